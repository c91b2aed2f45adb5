import os
from pathlib import Path

import pytest

from vitrail.data.dataset import SetAside
from vitrail.data.sources.walk import list_folder, walk, written_path


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def found(root: Path, *parts: str) -> tuple[list[str], dict[str, str]]:
    everything = list(walk(root, parts))
    files = [written_path(each) for each in everything if not isinstance(each, SetAside)]
    return files, {each.path: each.reason for each in everything if isinstance(each, SetAside)}


def test_files_at_any_depth_are_found_but_clutter_is_not(tmp_path):
    touch(tmp_path, "a/1.jpg", "a/b/c/2", "a/.hidden", "a/.git/x", "a/Thumbs.db", "a/__MACOSX/1.jpg", "a/Desktop.ini")
    assert found(tmp_path, "a") == (["a/1.jpg", "a/b/c/2"], {})


def test_folders_files_and_the_rest_are_listed_apart_and_sorted(tmp_path):
    touch(tmp_path, "b/1", "a/1", "z.txt", "c.txt", "__MACOSX/x")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "itself").symlink_to("itself")
    assert list_folder(tmp_path) == (["a", "b"], ["c.txt", "z.txt"], ["broken", "itself"])


def test_links_are_followed_once_and_loops_end(tmp_path):
    touch(tmp_path, "a/1", "elsewhere/2")
    (tmp_path / "a" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    files, aside = found(tmp_path, "a")
    assert files == ["a/1", "a/again/2"]
    assert set(aside) == {"a/self", "a/linked", "a/again/up"}
    assert all("already read" in reason for reason in aside.values())


def test_only_regular_files_are_opened(tmp_path):
    touch(tmp_path, "a/1")
    (tmp_path / "a" / "broken").symlink_to("nowhere")
    (tmp_path / "a" / "itself").symlink_to("itself")
    os.mkfifo(tmp_path / "a" / "pipe")
    files, aside = found(tmp_path, "a")
    assert files == ["a/1"]
    assert set(aside) == {"a/broken", "a/itself", "a/pipe"}


def test_a_locked_folder_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a/1", "a/locked/2")
    scan = os.scandir

    def scandir(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert found(tmp_path, "a") == (["a/1"], {"a/locked": "the folder cannot be listed: Permission denied"})


@pytest.mark.parametrize("raw", [b"caf\xe9.jpg", "été à la mer.jpg".encode(), b"a\nb.jpg"])
def test_any_name_is_found(tmp_path, raw):
    try:
        (tmp_path / os.fsdecode(raw)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such name")
    (name,), _ = found(tmp_path)
    assert name.encode()
