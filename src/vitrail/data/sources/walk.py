"""Look through a folder of files that people and their machines put there.

What `clutter.py` names is passed over. Nothing else is, unless it is named with a reason. Links are followed; each
folder is entered once a walk, so a loop of links ends.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from vitrail.data.dataset import SetAside
from vitrail.data.sources.clutter import RUN_LOG, RUNS, is_clutter, is_run
from vitrail.data.sources.local import written

Parts = tuple[str, ...]  # a path below the root, name by name, as the disk has it


def written_path(parts: Parts) -> str:
    """A path below the root as a data set writes it."""
    return "/".join(map(written, parts))


def list_folder(root: Path, parts: Parts = ()) -> tuple[list[str], list[str], list[str]]:
    """The names of folders, of regular files and of all else in a folder, without clutter, sorted; or OSError."""
    folders: list[str] = []
    files: list[str] = []
    others: list[str] = []
    with os.scandir(root.joinpath(*parts)) as scan:
        for entry in scan:
            if is_clutter(entry.name):
                continue
            try:
                if entry.is_dir() and _holds_only_runs(Path(entry.path)):
                    continue
                names = folders if entry.is_dir() else files if entry.is_file() else others
            except OSError:
                names = others  # a link to itself, for one
            names.append(entry.name)
    return sorted(folders), sorted(files), sorted(others)


def walk(root: Path, parts: Parts, without: Collection[Parts] = ()) -> Iterator[Parts | SetAside]:
    """Every file below a folder, at any depth.

    Args:
        root: the folder that paths are relative to.
        parts: the folder below it to look through.
        without: folders that are not entered.

    Yields:
        Parts | SetAside: the path of a file, or what cannot be followed and why.
    """
    seen: set[tuple[int, int]] = set()
    for depth in range(len(parts)):  # a link back to a folder above is a loop too
        _enter(root.joinpath(*parts[:depth]), seen)
    waiting = [parts]
    while waiting:
        here = waiting.pop()
        try:
            if not _enter(root.joinpath(*here), seen):
                yield SetAside(path=written_path(here), reason="it links to a folder that was already read")
                continue
            folders, files, others = list_folder(root, here)
        except OSError as error:
            yield SetAside(path=written_path(here), reason=f"the folder cannot be listed: {error.strerror}")
            continue
        waiting.extend((*here, name) for name in reversed(folders) if (*here, name) not in without)
        for name in files:
            yield (*here, name)
        for name in others:  # opening a pipe or a device would wait for ever
            yield SetAside(path=written_path((*here, name)), reason="it is a broken link or not a regular file")


def _enter(folder: Path, seen: set[tuple[int, int]]) -> bool:
    status = folder.stat()
    identity = status.st_dev, status.st_ino
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _holds_only_runs(folder: Path) -> bool:
    """Whether a folder is a run of Vitrail, or the folder of runs in which it puts them."""
    if os.path.exists(folder / RUN_LOG):  # noqa: PTH110 - false also where it may not be looked up
        return is_run(set(_list_names(folder)))
    if folder.name != RUNS:
        return False
    inside = [folder / name for name in _list_names(folder) if not is_clutter(name)]
    return bool(inside) and all(is_run(set(_list_names(each))) for each in inside)


def _list_names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []  # whoever lists it to read it says what is wrong
