"""Names in an archive or a bucket, read by the rules of a folder (`folder.py`).

    cat/1.jpg, dog/2.jpg             the first folder is the label
    train/cat/1.jpg, test/cat/2.jpg  splits on top are honoured
    dogs/cat/1.jpg, dogs/dog/2.jpg   one folder round everything is looked through, as archives often have one
    list.csv, images/1.jpg           a manifest (path, label, perhaps split and group) on top says it all

Names come from strangers, and none is ever used as a path of this machine. One that could not be a file below a
folder (absolute, with "..") is set aside, so that no tool which unpacks the same archive is led out of it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.sources.folder import SPLIT_WORDS, split_folders
from vitrail.data.sources.local import class_name, written
from vitrail.data.sources.table import TABLES, check_rows, lists_images, read_rows
from vitrail.data.sources.walk import CLUTTER

DRIVE = re.compile(r"[A-Za-z]:")


def why_not_inside(name: str) -> str | None:
    """Why a member's name cannot be that of a file below the archive; None if it can."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or DRIVE.match(name):
        return "its path is absolute, which would write outside the archive"
    if ".." in parts:
        return "its path goes up with .., which would write outside the archive"
    if "\0" in name or not name:
        return "its name is not a file name"
    return None


def is_clutter(name: str) -> bool:
    """Whether an operating system left this file, or a folder above it, behind."""
    return any(
        part.lower() in CLUTTER or (part.startswith(".") and part not in (".", "..")) for part in name.split("/")
    )


def list_names(names: Sequence[str], where: str, read: Callable[[str], bytes]) -> Iterator[ListedFile | SetAside]:
    """Every name with its label, or the reason why it has none, in the order of the names.

    Args:
        names: what the archive holds, clutter included, in any order, each once.
        where: the archive's name in errors.
        read: gives the bytes of a name, for the manifest.

    Raises:
        DataError: the manifest inside is damaged or cannot be used.
    """
    names = sorted(name for name in names if not is_clutter(name))
    root = _wrapper(names)
    try:
        content = {name: read(name) for name in names if _is_table(name, root)}
    except OSError as error:
        raise DataError(f"A table in {where} cannot be read: {error.strerror}. Fetch the archive again.") from error
    manifests = [name for name in content if lists_images(content[name], name)]
    if len(manifests) > 1:
        both = " and ".join(map(written, manifests))
        raise DataError(f"{where} holds more than one manifest, {both}: keep only one of them.")
    if manifests:
        yield from _from_manifest(content[manifests[0]], names, root, manifests[0], where)
    else:
        yield from _from_folders(names, root)


def _wrapper(names: Sequence[str]) -> str:
    """The folders round everything, with a slash at the end, or ""."""
    root = ""
    while True:
        tops = {name[len(root) :].partition("/")[0] for name in names}
        if len(tops) != 1 or next(iter(tops)).lower() in SPLIT_WORDS:
            return root
        inside = f"{root}{next(iter(tops))}/"
        # One more folder must lie below: else the only folder is a class, and so is the folder of a manifest's images.
        below = [name[len(inside) :] for name in names if name.startswith(inside)]
        if len(below) < len(names) or not any("/" in name or _is_table(name, "") for name in below):
            return root
        root = inside


def _is_table(name: str, root: str) -> bool:
    rest = name[len(root) :]
    return "/" not in rest and PurePosixPath(rest).suffix.lower() in TABLES


def _from_folders(names: Sequence[str], root: str) -> Iterator[ListedFile | SetAside]:
    tops = sorted({name[len(root) :].partition("/")[0] for name in names if "/" in name[len(root) :]})
    splits = split_folders(tops)
    for name in names:
        parts = name[len(root) :].split("/")
        split: SplitName | None = splits.get(parts[0])
        if len(parts) == 1:
            yield SetAside(path=written(name), reason="it is not in a class folder")
        elif not splits:
            yield ListedFile(path=written(name), label=class_name(parts[0]))
        elif split is None:
            beside = ", ".join(written(top) for top in splits)
            yield SetAside(path=written(name), reason=f"it is outside the folders {beside}")
        elif len(parts) == 2:
            yield SetAside(path=written(name), reason=f"it is in {written(parts[0])} but not in a class folder")
        else:
            yield ListedFile(path=written(name), label=class_name(parts[1]), split=split)


def _from_manifest(
    content: bytes, names: Sequence[str], root: str, table: str, where: str
) -> Iterator[ListedFile | SetAside]:
    rows = read_rows(content, f"{where}/{table}")
    check_rows(rows, f"{where}/{table}")
    there, listed = set(names), set()
    for row in rows:
        if row.fault:
            yield SetAside(path=f"{written(table)}, row {row.number}", reason=row.fault)
            continue
        name = root + str(PurePosixPath(row.path.replace("\\", "/")))
        if name not in there:
            reason = f"row {row.number} of {written(table)} names it, and there is no such file in {where}"
            yield SetAside(path=written(name), reason=reason)
            continue
        listed.add(name)
        split = SPLIT_WORDS[row.split.lower()] if row.split else None
        yield ListedFile(
            path=written(name), label=class_name(row.label), split=split, group=row.group or None, further=row.further
        )
    for name in names:
        if name not in listed and name != table:
            yield SetAside(path=written(name), reason=f"{written(table)} does not name it")
