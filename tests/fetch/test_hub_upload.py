"""Uploads to a hub on loopback: what arrives, and what each failure says."""

import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from tests.fetch.upload_server import Repository, UploadHub
from vitrail.core.errors import UploadError, UsageError
from vitrail.core.progress import Silent
from vitrail.fetch.hub_upload import require_repository_name, upload_files

NAME = "eve/roses"
# huggingface_hub 2.4 gives httpx a file in a way that it will drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    contents = {"model.onnx": bytes(range(256)) * 999, "model.bin": b"weights", "README.md": b"---\ntags: []\n---\n"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


def upload(paths: dict[str, Path], repository: str = NAME, **options: Any) -> str:
    settings = {"private": False, "revision": None, "message": "Add roses", "progress": Silent(), **options}
    return upload_files(repository, paths, **settings)


def test_the_files_arrive_as_one_commit(upload_hub: UploadHub, paths: dict[str, Path]):
    address = upload(paths)
    repository = upload_hub.repositories[NAME]
    assert re.fullmatch(rf"{upload_hub.endpoint}/{NAME}/commit/[0-9a-f]{{40}}", address)
    assert repository.branches == {"main": {name: path.read_bytes() for name, path in paths.items()}}
    assert (repository.titles, repository.private) == (["Add roses"], False)


def test_a_repository_that_is_there_gets_another_commit(upload_hub: UploadHub, paths: dict[str, Path]):
    upload_hub.repositories[NAME] = Repository(private=True, branches={"main": {"notes.txt": b"mine"}})
    upload(paths)
    assert upload_hub.repositories[NAME].branches["main"].keys() == {"notes.txt", *paths}
    assert "POST /api/repos/create" not in upload_hub.requests


def test_a_new_branch_is_made(upload_hub: UploadHub, paths: dict[str, Path]):
    upload(paths, revision="v2")
    assert upload_hub.repositories[NAME].branches["v2"].keys() == paths.keys()
    assert upload_hub.repositories[NAME].branches["main"] == {}
    upload(paths, revision="v2")


def test_private_is_private_or_nothing(upload_hub: UploadHub, paths: dict[str, Path]):
    upload(paths, private=True)
    assert upload_hub.repositories[NAME].private
    upload(paths, private=True)
    upload_hub.repositories[NAME].private = False
    before = len(upload_hub.repositories[NAME].titles)
    with pytest.raises(UsageError, match="is public, so everybody would see these files"):
        upload(paths, private=True)
    assert len(upload_hub.repositories[NAME].titles) == before


def test_each_failure_says_what_to_do(
    upload_hub: UploadHub, paths: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    with pytest.raises(UploadError, match=r"may not write to .*/adam/roses: log in"):
        upload(paths, "adam/roses")
    upload_hub.refuse = 404
    with pytest.raises(UploadError, match="check the owner and the branch"):
        upload(paths)
    upload_hub.refuse = 500
    with pytest.raises(UploadError, match="run the same command again"):
        upload(paths)
    upload_hub.refuse, upload_hub.metadata_errors = None, ['"license" must be one of']
    with pytest.raises(UploadError, match=r'The hub refuses the files .*"license" must be one of'):
        upload(paths)
    upload_hub.token = "another"
    with pytest.raises(UploadError, match=r"does not accept the login .*hf auth login"):
        upload(paths)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UsageError, match="Nobody is logged in to the hub: log in"):
        upload(paths)
    assert upload_hub.repositories[NAME].titles == []
    assert "hf_token_of_eve" not in "".join(capfd.readouterr())


def test_a_hub_that_is_not_there_is_said(
    upload_hub: UploadHub, paths: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UploadError, match=r"could not be uploaded to http://127\.0\.0\.1:9/eve/roses"):
        upload(paths)


@pytest.mark.parametrize("endpoint", ["http://hub.example.org", "ftp://127.0.0.1", "http://127.0.0.1.example.org"])
def test_a_token_never_travels_in_the_open(
    upload_hub: UploadHub, paths: dict[str, Path], endpoint: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    with pytest.raises(UsageError, match="not encrypted: give an address that begins with https"):
        upload(paths)


def test_offline_mode_of_the_hub_is_kept(
    upload_hub: UploadHub, paths: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE is set"):
        upload(paths)
    assert upload_hub.requests == []


@pytest.mark.parametrize("name", ["roses", "", "../eve", "eve/../adam", "eve/a b", "https://huggingface.co/eve/roses"])
def test_a_name_is_owner_and_name(name: str):
    with pytest.raises(UsageError, match="write OWNER/NAME"):
        require_repository_name(name)
