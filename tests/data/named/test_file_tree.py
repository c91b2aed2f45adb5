import pytest

from tests.data.named.layouts.miniature import tar_bytes
from tests.data.named.layouts.test_class_folders import zip_bytes
from vitrail.core.errors import DataError
from vitrail.data.named.file_tree import ArchiveTree, FileTree, FolderTree, read_lines, read_needed

FILES = {"a/1.txt": b"0123456789", "a/caf\u00e9.txt": b"1 2\n\n3 4\n", "list.txt": b"x"}


@pytest.fixture(params=["folder", "tar", "zip", "loose"])
def tree(request, tmp_path) -> FileTree:
    """The same files in a folder, in archives, and one of them beside an archive."""
    if request.param == "folder":
        for name, content in FILES.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
        (tmp_path / "beside.txt").touch()
        return FolderTree(tmp_path, ["a", "list.txt", "missing"])
    archived = {name: content for name, content in FILES.items() if request.param != "loose" or "/" in name}
    ending = "zip" if request.param == "zip" else "tar"
    (tmp_path / f"x.{ending}").write_bytes(zip_bytes(archived) if ending == "zip" else tar_bytes(archived))
    (tmp_path / "somewhere").write_bytes(FILES["list.txt"])
    files = {f"data.{ending}": tmp_path / f"x.{ending}"}
    return ArchiveTree(files | ({"list.txt": tmp_path / "somewhere"} if request.param == "loose" else {}), "mine")


def test_files_are_read_by_their_paths_wherever_they_are(tree):
    assert set(tree.names) == set(FILES)
    assert {name: tree.read(name) for name in tree.names} == FILES
    assert list(tree.aside) == []


def test_parts_of_a_file_are_read(tree):
    assert tree.read_part("a/1.txt", 3, 4) == b"3456"
    assert tree.read_part("a/1.txt", 8, 4) == b"89"
    assert tree.read_part("a/1.txt", 20, 4) == b""


def test_a_file_that_is_not_there_is_an_os_error(tree):
    with pytest.raises(OSError, match=r"[Nn]o such file"):
        tree.read("a/2.txt")


def test_lists_are_read_by_lines_and_a_missing_one_is_one_sentence(tree):
    assert read_lines(tree, "a/caf\u00e9.txt") == [["1", "2"], ["3", "4"]]
    with pytest.raises(DataError, match=r"cannot be read without meta\.json \(there is no such file\): fetch"):
        read_needed(tree, "meta.json")


def test_a_list_that_is_no_text_is_one_sentence(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"x\.txt of .* is not a list in UTF-8"):
        read_lines(FolderTree(tmp_path, ["x.txt"]), "x.txt")


def test_an_archive_that_is_damaged_is_one_sentence(tmp_path):
    for name in ("x.tar", "x.zip"):
        (tmp_path / name).write_bytes(b"not an archive" * 100)
        with pytest.raises(DataError, match=rf"{name} cannot be read as a"):
            ArchiveTree({name: tmp_path / name}, "mine")
