"""A model folder is opened without torch, answers as its run does, and is refused when anything is not as stated."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.delivery.export.conftest import Finished
from vitrail.core.errors import RunError, VitrailError, WeightsError
from vitrail.core.hashing import fingerprint, sha256_file
from vitrail.core.resources import Resources
from vitrail.data import ImageRejected
from vitrail.delivery.folder_checks import is_model_folder
from vitrail.delivery.model_folder import ModelFolder
from vitrail.delivery.predict import Predictor

pytestmark = pytest.mark.slow
FORMATS = ("onnx", "openvino")
Change = Callable[[Path], None]


@pytest.fixture(params=FORMATS)
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(f"{request.param}_folder")
    return path


@pytest.fixture
def copy(onnx_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(onnx_folder, tmp_path / "copy"))


def pictures(finished: Finished) -> list[Path]:
    return sorted(finished.data.rglob("*.png"))[::7]


def sign(folder: Path) -> None:
    """Write a receipt for whatever is in a folder now, as a stranger can."""
    receipt = json.loads((folder / "receipt.json").read_text())
    receipt["files"] = {path.name: sha256_file(path) for path in folder.iterdir() if path.name in receipt["files"]}
    seal(folder, receipt)


def seal(folder: Path, receipt: dict[str, Any]) -> None:
    facts = {name: value for name, value in receipt.items() if name != "digest"}
    (folder / "receipt.json").write_text(json.dumps(facts | {"digest": fingerprint(facts)}))


def edit(folder: Path, name: str, *keys: str, value: Any) -> None:
    facts = json.loads((folder / name).read_text())
    place = facts
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (folder / name).write_text(json.dumps(facts))
    sign(folder)


def certify_as(folder: Path, model: bytes) -> None:
    """Replace model.onnx, with a certificate that says it passed."""
    (folder / "model.onnx").write_bytes(model)
    edit(folder, "certificate.json", "model", value={"model.onnx": sha256_file(folder / "model.onnx")})


def test_a_folder_answers_as_its_run(finished: Finished, folder: Path):
    model = ModelFolder.open(folder, threads=2)
    assert model.notes == ()
    predictor = Predictor.open(finished.run.folder, "vit_mini", resources=Resources(offline=True))
    pixel_BHWC = np.stack([model.decode(path.read_bytes()) for path in pictures(finished)])
    for rule in ("lac", "adaptive-by-class"):
        ours = model.predict(pixel_BHWC, rule=rule)
        for theirs, mine in zip(predictor.predict(pictures(finished)), ours, strict=True):
            assert (mine.label, mine.doubt, mine.least_probability) == (
                theirs.label,
                theirs.doubt,
                theirs.least_probability,
            )
            assert [name for name, _ in mine.top] == [name for name, _ in theirs.top]
            assert mine.probability == pytest.approx(theirs.probability, abs=1e-4)
            if rule == "lac":
                assert mine.set == theirs.set


def test_threads_share_a_folder(finished: Finished, folder: Path):
    model = ModelFolder.open(folder, threads=2, streams=2)
    pixels = [model.decode(path.read_bytes())[None] for path in pictures(finished)]
    alone = [model.answer(pixel_BHWC) for pixel_BHWC in pixels]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(model.answer, pixels * 8))
    for (probability_BC, distance_B), (expected_BC, expected_B) in zip(together, alone * 8, strict=True):
        np.testing.assert_array_equal(probability_BC, expected_BC)
        np.testing.assert_array_equal(distance_B, expected_B)


def test_an_image_that_cannot_be_used_has_a_reason(onnx_folder: Path):
    with pytest.raises(ImageRejected, match="not an image"):
        ModelFolder.open(onnx_folder, threads=1).decode(b"no image at all")


def test_a_folder_is_told_by_its_files(finished: Finished, onnx_folder: Path, tmp_path: Path):
    assert is_model_folder(onnx_folder)
    assert not is_model_folder(finished.run.folder)
    assert not is_model_folder(tmp_path)


def test_nothing_of_torch_and_no_code_of_the_folder_is_used(finished: Finished, copy: Path):
    for name in ("preprocess.py", "classify.py"):
        (copy / name).write_text("raise SystemExit('it ran')")
    sign(copy)
    program = (
        "import sys; from pathlib import Path; from vitrail.delivery.model_folder import ModelFolder\n"
        "model = ModelFolder.open(Path(sys.argv[1]), threads=1)\n"
        "print(model.predict(model.decode(Path(sys.argv[2]).read_bytes())[None])[0].label)\n"
        "print(sorted({'torch', 'classify', 'preprocess'} & set(sys.modules)))"
    )
    picture = str(pictures(finished)[0])
    done = subprocess.run([sys.executable, "-c", program, str(copy), picture], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "[]"


@pytest.mark.parametrize("name", ["model.onnx", "model.json", "certificate.json", "classify.py"])
def test_a_changed_file_is_noticed(copy: Path, name: str):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(RunError, match="is not the file that the receipt"):
        ModelFolder.open(copy, threads=1)


def rename_in_receipt(place: str) -> Change:
    def change(folder: Path) -> None:
        receipt = json.loads((folder / "receipt.json").read_text())
        receipt["files"][place] = "0" * 64
        seal(folder, receipt)

    return change


def link_out(folder: Path) -> None:
    target = folder.parent / "elsewhere.onnx"
    (folder / "model.onnx").rename(target)
    (folder / "model.onnx").symlink_to(target)


def fail_certificate(folder: Path) -> None:
    edit(folder, "certificate.json", "fidelity", "largest_difference", value=0.5)


def certificate_of_another_run(folder: Path) -> None:
    edit(folder, "certificate.json", "run", value="0" * 64)


def certificate_without_model(folder: Path) -> None:
    edit(folder, "certificate.json", "model", value={})


def make_pipe(folder: Path) -> None:
    import os

    (folder / "model.json").unlink()
    os.mkfifo(folder / "model.json")


CHANGES: dict[str, tuple[Change, str]] = {
    "no receipt": (lambda folder: (folder / "receipt.json").unlink(), "Give a folder that vitrail export has written"),
    "receipt is not JSON": (lambda folder: (folder / "receipt.json").write_text("[" * 9_999), "is damaged"),
    "absolute path": (rename_in_receipt("/etc/passwd"), "lies outside the model folder"),
    "parent": (rename_in_receipt("../x"), "lies outside the model folder"),
    "backslash": (rename_in_receipt("..\\x"), "lies outside the model folder"),
    "folder itself": (rename_in_receipt(".."), "lies outside the model folder"),
    "zero byte": (rename_in_receipt("a\0b"), "lies outside the model folder"),
    "not there": (rename_in_receipt("gone.txt"), "cannot be read"),
    "link": (link_out, "lies outside the model folder"),
    "pipe": (make_pipe, "cannot be read"),
    "failed": (fail_certificate, "did not pass its certificate: a probability differs by 0.5"),
    "another run": (certificate_of_another_run, "is not the certificate of the model"),
    "another model": (certificate_without_model, "is not the certificate of the model"),
    "not finite": (
        lambda folder: edit(folder, "model.json", "thresholds", "distance", value=float("nan")),
        "damaged or was written by another version of Vitrail .see thresholds.distance",
    ),
    "huge crop": (lambda folder: edit(folder, "model.json", "preprocessing", "resize", value=10**9), "cropped to"),
    "other classes": (lambda folder: edit(folder, "model.json", "classes", value=["a"]), "threshold of each"),
    "same classes": (lambda folder: edit(folder, "model.json", "classes", value=["a", "a", "b"]), "the same name"),
    "later version": (lambda folder: edit(folder, "model.json", "model_version", value=2), "another version"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_that_is_not_as_stated_is_refused(copy: Path, change: str):
    make, message = CHANGES[change]
    make(copy)
    with pytest.raises(VitrailError, match=message):
        ModelFolder.open(copy, threads=1)


def test_a_model_of_another_shape_is_refused(copy: Path):
    facts = json.loads((copy / "model.json").read_text())
    rules = {rule: row[:-1] for rule, row in facts["thresholds"]["sets"].items()}
    edit(copy, "model.json", "thresholds", "sets", value=rules)
    edit(copy, "model.json", "classes", value=facts["classes"][:-1])
    with pytest.raises(WeightsError, match="cannot be used: its outputs are"):
        ModelFolder.open(copy, threads=1)


@pytest.mark.parametrize("place", ["/etc/passwd", "../secret.bin", "model.onnx.data"])
def test_weights_outside_the_folder_are_refused(copy: Path, place: str):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(copy / "model.onnx")
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    certify_as(copy, model.SerializeToString())
    with pytest.raises(WeightsError, match="asks for other files"):
        ModelFolder.open(copy, threads=1)


def test_operators_that_are_not_the_runtimes_are_refused(copy: Path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(copy / "model.onnx")
    model.graph.node[0].op_type = "RunPython"
    model.graph.node[0].domain = "com.example"
    model.opset_import.add(domain="com.example", version=1)
    certify_as(copy, model.SerializeToString())
    with pytest.raises(WeightsError, match="cannot be loaded"):
        ModelFolder.open(copy, threads=1)


def test_another_release_of_the_runtime_is_noted(copy: Path):
    edit(copy, "certificate.json", "runtime", "pillow", value="1.0.0")
    (note,) = ModelFolder.open(copy, threads=1).notes
    assert note.startswith("The certificate was made with pillow 1.0.0, and here is ")
