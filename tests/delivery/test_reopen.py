"""A run says the digest of its weights; the machine knows where a file with them is."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.pictures import draw_folder
from tests.test_benchmark import FAST
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.benchmark import bench
from vitrail.cli.main import _run
from vitrail.core.digest_json import DIGEST, add_digest
from vitrail.core.machine import config_folder
from vitrail.core.progress import Silent
from vitrail.fetch.known_weights import KNOWN_WEIGHTS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, weights of our own, and a run with them; the config folder of the run is beside them."""
    root = tmp_path_factory.mktemp("made")
    state = load_file(open_backbone(BackboneSpec(name="vit_mini"), progress=Silent()).file)
    state["norm.bias"][0] += 1e-3
    save_file(state, root / "mine.safetensors")
    draw_folder(root / "pictures", per_class=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CONFIG", str(root / "config"))
        bench(root / "pictures", [f"vit_mini={root / 'mine.safetensors'}"], out=root / "run", options=FAST)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy whose config names the copied weights."""
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    known = copy / "config" / KNOWN_WEIGHTS
    facts = json.loads(known.read_text().replace(str(made), str(copy)))
    del facts[DIGEST]
    known.write_text(json.dumps(add_digest(facts)))
    monkeypatch.setenv("VITRAIL_CONFIG", str(copy / "config"))
    return copy


def predict(root: Path, *more: str) -> int:
    image = min((root / "pictures" / "red").glob("*.png"))
    return _run(["predict", str(root / "run"), str(image), "-q", "--offline", *more])


def test_predict_and_audit_find_the_weights_of_a_run(root: Path, capsys, monkeypatch):
    monkeypatch.chdir(root)
    assert predict(root) == 0
    assert "red" in capsys.readouterr().out
    audit = ["audit", str(root / "pictures"), "--run", str(root / "run"), "-q", "--offline", "--json"]
    assert _run(audit) == 0
    assert json.loads(capsys.readouterr().out)["labels"]["test_included"]


def test_no_file_of_the_run_names_the_place_of_the_weights(root: Path, made: Path):
    assert str(made / "mine.safetensors") in (made / "config" / KNOWN_WEIGHTS).read_text()
    files = [path for path in (root / "run").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"mine.safetensors" in path.read_bytes()]


def test_weights_that_moved_are_asked_for_once(root: Path, capsys):
    moved = (root / "mine.safetensors").rename(root / "moved.safetensors")
    assert predict(root) != 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"{root / 'mine.safetensors'}, where they were last used, no longer exists" in said
    assert "give the file that the run was made with, as -b vit_mini=FILE" in said
    assert predict(root, "-b", f"vit_mini={moved}") == 0
    assert predict(root) == 0, "the new place is remembered"


def test_weights_that_changed_are_not_used(root: Path, capsys):
    state = load_file(root / "mine.safetensors")
    state["norm.bias"][1] += 1
    save_file(state, root / "mine.safetensors")
    assert predict(root) != 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"{root / 'mine.safetensors'}, where they were last used, has changed" in said
    assert "as -b vit_mini=FILE" in said


def test_on_a_machine_that_never_saw_them_the_weights_are_asked_for(root: Path, capsys, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("VITRAIL_CONFIG", str(tmp_path / "new"))
    assert predict(root) != 0
    assert "does not know a file on this machine that has them" in " ".join(capsys.readouterr().err.split())


def test_weights_that_do_not_fit_are_not_remembered(root: Path, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("VITRAIL_CONFIG", str(tmp_path / "new"))
    save_file({"surprise": load_file(root / "mine.safetensors")["norm.bias"]}, root / "bad.safetensors")
    assert _run(["bench", str(root / "pictures"), "-b", f"vit_mini={root / 'bad.safetensors'}", "-q", "--offline"]) != 0
    assert not (config_folder() / KNOWN_WEIGHTS).exists()
