"""Model folders of a real run, pushed to a hub on loopback."""

import json
import shutil
from pathlib import Path

import pytest

from tests.delivery.export.conftest import Finished
from tests.fetch.upload_server import UploadHub
from vitrail.cli.main import _run
from vitrail.core.errors import RunError, UsageError
from vitrail.core.resources import Resources
from vitrail.delivery.export.export import ExportOptions, export_run
from vitrail.delivery.folder_checks import read_folder
from vitrail.delivery.push import plan_upload, push_folder

NAME = "eve/roses"
pytestmark = [
    pytest.mark.slow,
    # huggingface_hub 2.4 gives httpx a file in a way that it will drop.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]


@pytest.fixture
def folder(onnx_folder: Path, tmp_path: Path) -> Path:
    """A copy of a model folder that a test may change."""
    return shutil.copytree(onnx_folder, tmp_path / "model")


def test_what_arrives_is_the_folder_and_nothing_else(upload_hub: UploadHub, folder: Path, tmp_path: Path):
    (folder / "notes.txt").write_text("mine")
    (folder / "__pycache__").mkdir()
    address = push_folder(plan_upload(folder, NAME))
    files = upload_hub.repositories[NAME].branches["main"]
    listed = json.loads((folder / "receipt.json").read_text())["files"]
    assert files.keys() == {*listed, "receipt.json"}
    assert {"README.md", "certificate.html", "model.onnx"} <= files.keys()
    assert address.startswith(f"{upload_hub.endpoint}/{NAME}/commit/")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in files.items():
        (copy / name).write_bytes(content)
    assert read_folder(copy) == read_folder(folder), "whoever downloads it has a whole model folder"


@pytest.mark.parametrize("name", ["model.onnx", "README.md", "receipt.json"])
def test_a_changed_folder_is_not_pushed(upload_hub: UploadHub, folder: Path, name: str):
    with (folder / name).open("ab") as file:
        file.write(b" x")
    with pytest.raises(RunError, match=r"not the file that the receipt|damaged"):
        plan_upload(folder, NAME)
    assert upload_hub.requests == []


def test_a_file_that_changes_after_the_check_is_noticed(upload_hub: UploadHub, folder: Path):
    upload = plan_upload(folder, NAME)
    (folder / "README.md").write_text("other")
    with pytest.raises(RunError, match="changed during the upload"):
        push_folder(upload)
    assert upload_hub.requests == [], "it was noticed before anything left the machine"


def test_offline_nothing_is_uploaded(upload_hub: UploadHub, folder: Path):
    with pytest.raises(UsageError, match="Offline mode does not allow an upload"):
        push_folder(plan_upload(folder, NAME), resources=Resources(offline=True))
    assert upload_hub.requests == []


def test_the_command_says_what_it_uploads(upload_hub: UploadHub, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert _run(["push", str(folder), NAME, "--revision", "v1", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["Model", "Upload", "Features", "Licence", "Done"]
    assert lines[0] == f"Model     {folder}: vit_mini, onnx fp32"
    assert lines[1].endswith(f"to {upload_hub.endpoint}/{NAME}")
    assert "features of 48 training images" in lines[2]
    assert lines[3] == "Licence   of the weights: Apache-2.0; commercial use: yes"
    repository = upload_hub.repositories[NAME]
    assert repository.private
    assert "README.md" in repository.branches["v1"]
    assert upload_hub.token not in "".join(lines)


def test_the_command_makes_a_public_repository_only_if_told_so(
    upload_hub: UploadHub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert _run(["push", str(folder), NAME, "--public", "-q"]) == 0
    assert not upload_hub.repositories[NAME].private
    assert _run(["push", str(folder), NAME, "-q"]) == 2
    assert "give --public" in " ".join(capsys.readouterr().err.split())


def test_the_command_uploads_nothing_on_a_dry_run(
    upload_hub: UploadHub, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("HF_TOKEN")
    assert _run(["push", str(folder), NAME, "--dry-run", "--offline"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Done      nothing was uploaded (--dry-run)"
    assert _run(["push", str(folder), NAME, "--dry-run", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["commit"] is None
    assert facts["bytes"] == sum((folder / name).stat().st_size for name in facts["files"])
    assert upload_hub.requests == []


def test_wrong_usage_ends_with_2(upload_hub: UploadHub, folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert _run(["push", str(folder), "roses"]) == 2
    assert _run(["push", str(folder), NAME, "--offline"]) == 2
    monkeypatch.delenv("HF_TOKEN")
    assert _run(["push", str(folder), NAME]) == 2
    assert _run(["push", str(folder.parent), NAME]) == 1
    assert upload_hub.requests == []


def test_a_folder_that_needs_torch_can_be_handed_on(
    upload_hub: UploadHub, finished: Finished, tmp_path: Path, onnx_folder: Path
):
    folder = tmp_path / "model"
    export_run(finished.run.folder, folder, ExportOptions(format="torch"), backbone="vit_mini")
    push_folder(plan_upload(folder, NAME))
    files = upload_hub.repositories[NAME].branches["main"]
    assert "model.pt2" in files
    assert "Dockerfile" not in files, "the service runs without torch"
    assert b"Dockerfile" not in files["README.md"]
    assert b"Dockerfile" in (onnx_folder / "README.md").read_bytes()
