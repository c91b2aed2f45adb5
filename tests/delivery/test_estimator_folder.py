"""The folder of a saved estimator: the same answers, nothing that is damaged or forged, and no download on its word."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.delivery.estimators import PER_CLASS, make
from tests.delivery.estimators import fitted as fitted
from tests.delivery.estimators import labels as labels
from tests.delivery.estimators import paths as paths
from vitrail import FrozenClassifier
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.core.digest_json import add_digest
from vitrail.core.errors import RunError, UsageError, WeightsError
from vitrail.core.hashing import sha256_bytes
from vitrail.core.progress import Silent
from vitrail.heads import head_to_bytes, load_head


@pytest.fixture
def saved(fitted: FrozenClassifier, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, 1, 2], np.int8),
        np.array([True, False, True]),
        np.array(["é", "b", "a"], object),
        np.array([0.0, 2.0, 1.0]),
    ],
)
def test_labels_keep_their_type(labels: NDArray[np.generic], paths: list[Path], tmp_path: Path):
    y = np.repeat(labels, PER_CLASS)
    estimator = make().fit(paths, y)
    estimator.save(tmp_path)
    again = FrozenClassifier.load(tmp_path)
    assert again.classes_.dtype == y.dtype
    assert again.predict(paths).tolist() == y.tolist()


PREDICT = """
import sys
from vitrail import FrozenClassifier
estimator = FrozenClassifier.load(sys.argv[1], cache=sys.argv[2])
sys.stdout.buffer.write(estimator.predict_proba(sys.argv[3:]).tobytes())
"""


def test_another_process_gives_the_same_probabilities_to_the_last_bit(
    fitted: FrozenClassifier, saved: Path, paths: list[Path], tmp_path: Path
):
    wanted = fitted.predict_proba(paths).tobytes()
    for cache in (str(fitted.cache), str(tmp_path / "empty")):  # with stored features, and with those of its own
        command = [sys.executable, "-c", PREDICT, str(saved), cache, *map(str, paths)]
        assert subprocess.run(command, check=True, capture_output=True).stdout == wanted
    again = FrozenClassifier.load(saved)
    assert {name: value for name, value in again.get_params().items() if name != "cache"} == {
        name: value for name, value in fitted.get_params().items() if name != "cache"
    }


def test_a_folder_is_replaced_as_a_whole(saved: Path, paths: list[Path], labels: NDArray[np.str_], monkeypatch):
    before = FrozenClassifier.load(saved).predict_proba(paths)
    other = make(strength=10.0).fit(paths, labels)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("vitrail.delivery.estimator_folder.put_in_place", fail)
        with pytest.raises(RunError, match="could not be written"):
            other.save(saved)
    np.testing.assert_array_equal(FrozenClassifier.load(saved).predict_proba(paths), before)
    other.save(saved)
    np.testing.assert_array_equal(FrozenClassifier.load(saved).predict_proba(paths), other.predict_proba(paths))
    assert len(list(saved.iterdir())) == 2


def test_every_flipped_bit_is_noticed(saved: Path):
    for path in saved.iterdir():
        content = path.read_bytes()
        for place in {0, len(content) // 3, len(content) // 2, len(content) - 2}:
            path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
            with pytest.raises(RunError, match="intact"):
                FrozenClassifier.load(saved)
        path.write_bytes(content)
    FrozenClassifier.load(saved)


def forge(folder: Path, **changes: object) -> None:
    """Change what a folder says, with digests that fit."""
    facts = json.loads((folder / "estimator.json").read_text())
    facts.pop("digest")
    (folder / "estimator.json").write_text(json.dumps(add_digest(facts | changes)))


def forge_origin(folder: Path, **changes: str) -> None:
    """Change what its head says of its features."""
    (file,) = folder.glob("head-*")
    head, origin = load_head(file)
    content = head_to_bytes(head, origin | changes)
    file.unlink()
    (folder / f"head-{sha256_bytes(content)[:24]}.safetensors").write_bytes(content)
    forge(folder, head_sha256=sha256_bytes(content))


@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": 2},
        {"classes": ["blue", "green"]},
        {"classes": ["blue", "green", None]},
        {"label_type": "complex64"},
        {"label_type": "int8"},
        {"label_type": "no type"},
        {"settings": {}},
        {"head_sha256": "../../head"},
    ],
    ids=str,
)
def test_a_folder_that_contradicts_itself_is_refused(saved: Path, changes: dict[str, object]):
    forge(saved, **changes)
    with pytest.raises(RunError):
        FrozenClassifier.load(saved)


def test_a_folder_without_an_estimator_is_refused(tmp_path: Path, saved: Path):
    with pytest.raises(RunError, match=r"no intact estimator\.json"):
        FrozenClassifier.load(tmp_path / "nothing")
    forge_origin(saved, pooling="")
    with pytest.raises(RunError, match="pooling missing"):
        FrozenClassifier.load(saved)


def test_the_name_in_a_folder_alone_downloads_nothing(saved: Path):
    forge_origin(saved, backbone="timm:resnet18.a1_in1k")
    with pytest.raises(WeightsError, match=r"only the folder says to download them"):
        FrozenClassifier.load(saved)


def test_other_weights_are_refused(saved: Path):
    with pytest.raises(WeightsError, match=r"sha256 .* but resnet_mini has"):
        FrozenClassifier.load(saved, backbone="resnet_mini")


def test_local_weights_are_found_again_and_may_be_elsewhere(paths: list[Path], labels, tmp_path: Path):
    embedded = open_backbone(BackboneSpec(name="vit_mini"), progress=Silent()).file
    local, moved = tmp_path / "local.safetensors", tmp_path / "moved.safetensors"
    shutil.copy(embedded, local)
    estimator = make().set_params(backbone=f"vit_mini={local}").fit(paths, labels)
    estimator.save(tmp_path / "saved")
    again = FrozenClassifier.load(tmp_path / "saved")
    assert again.backbone == f"vit_mini={local}"
    np.testing.assert_array_equal(again.predict_proba(paths), estimator.predict_proba(paths))
    local.rename(moved)
    assert FrozenClassifier.load(tmp_path / "saved", backbone=f"vit_mini={moved}").predict(paths).tolist() == [*labels]


def test_an_engine_that_is_not_here_is_replaced_with_a_warning(saved: Path, paths: list[Path], labels):
    forge_origin(saved, engine="an engine of the future")
    with pytest.warns(UserWarning, match="does not have an engine of the future"):
        again = FrozenClassifier.load(saved)
    assert again.score(paths, labels) == 1


def test_labels_that_json_cannot_hold_are_refused(paths: list[Path], tmp_path: Path):
    dates = np.repeat(np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[D]"), PER_CLASS)
    estimator = make().fit(paths, dates)
    with pytest.raises(UsageError, match="Labels of type date cannot be stored"):
        estimator.save(tmp_path)
    assert not list(tmp_path.iterdir())
