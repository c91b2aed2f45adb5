"""A file is found by its digest for as long as it is there with the same bytes."""

from pathlib import Path

from vitrail.backbones.remembered import find_remembered, is_unchanged
from vitrail.backbones.specs import digest_of
from vitrail.core.progress import Silent
from vitrail.fetch.hub import HF_FILES
from vitrail.fetch.known_weights import KnownFile, remember_file


def remember(path: Path) -> str:
    digest = digest_of(path)
    remember_file(KnownFile(name="net", sha256=digest, path=str(path)), Silent())
    return digest


def test_a_file_is_found_until_it_moves_or_changes(tmp_path: Path):
    file = tmp_path / "w.bin"
    file.write_bytes(b"weights")
    digest = remember(file)
    assert find_remembered(digest, Silent()).path == file
    file.write_bytes(b"others")
    assert find_remembered(digest, Silent()).fault == f"{file}, where they were last used, has changed"
    file.unlink()
    assert find_remembered(digest, Silent()).fault == f"{file}, where they were last used, no longer exists"


def test_a_folder_of_another_library_is_found_by_the_digest_of_its_files(tmp_path: Path):
    for name in HF_FILES:
        (tmp_path / name).write_bytes(name.encode())
    digest = remember(tmp_path)
    assert find_remembered(digest, Silent()).path == tmp_path
    (tmp_path / HF_FILES[0]).write_bytes(b"other")
    assert find_remembered(digest, Silent()).path is None


def test_what_was_never_used_is_not_known(tmp_path: Path):
    assert "does not know a file" in find_remembered("a" * 64, Silent()).fault
    assert not is_unchanged(tmp_path / "none", "a" * 64)
