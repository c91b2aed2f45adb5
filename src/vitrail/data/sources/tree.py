"""Which folders are classes and which are splits: the same rules for a folder, an archive and a bucket.

    cat/1.jpg, dog/2.jpg                    the folder is the label; so is that of cat/kittens/3.jpg
    train/cat/1.jpg, test/cat/2.jpg         splits on top; `split_words.py` has their names
    cat/train/1.jpg, cat/test/2.jpg         splits in each class folder
    pets/cat/1.jpg, pets/dog/2.jpg          one folder round all the others is looked through, also beside a README
    seg_train/seg_train/cat/1.jpg           so is one folder in each split
    list.csv, images/1.jpg                  a manifest (path, label, perhaps split and group) on top says it all

Every file is a candidate whatever its name; its bytes decide what it is. `clutter.py` has what is passed over. Names in
archives come from strangers, and none is ever used as a path of this machine. One that could not be a file below a
folder (absolute, with "..") is set aside, so that no tool which unpacks the same archive is led out of it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.sources.clutter import below, without_clutter
from vitrail.data.sources.local import clean_text, written
from vitrail.data.sources.manifest import choose_manifest, list_rows, spellings
from vitrail.data.sources.split_words import SPLIT_WORDS, names_several, split_folders
from vitrail.data.sources.table import TABLES, check_rows, read_rows
from vitrail.data.sources.walk import Parts
from vitrail.data.text_identity import normalise

DRIVE = re.compile(r"[A-Za-z]:")

ListFolder = Callable[[Parts], tuple[list[str], list[str]]]  # the folders and the files in a folder
ReadFile = Callable[[Parts], bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What the folders of a tree mean.

    `root` is below the folders round everything. `manifest` is the name of the manifest in it; otherwise `classes` has
    each class folder with its label and split, and `splits` are the names of the folders of splits.
    """

    root: Parts
    manifest: str | None = None
    classes: Mapping[Parts, tuple[str, SplitName | None]]
    splits: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    def why_outside(self, parts: Parts) -> str:
        """Why a file that is in no class folder is not used."""
        inside = parts[len(self.root) :]
        if len(inside) == 1 and inside[0] in self.tables:
            return "it is a table without the columns path and label, so it is no manifest"
        if len(inside) < 2 or not self.splits:
            return "it is not in a class folder"
        if inside[0] in self.splits:
            return f"it is in {written(inside[0])} but not in a class folder"
        return f"it is outside the folders {', '.join(map(written, self.splits))}"


def find_layout(list_folder: ListFolder, read: ReadFile, where: str) -> Layout:
    """The layout of a tree.

    Args:
        list_folder: lists one folder, without clutter, each list sorted.
        read: gives the bytes of a file, for the manifest.
        where: the name of the tree in errors.

    Raises:
        DataError: a table on top cannot be read, or there are several manifests.
    """
    root: Parts = ()
    while True:
        folders, files = list_folder(root)
        tables = {name: _read_table(read, (*root, name), where) for name in files if _is_table(name)}
        manifest = choose_manifest(tables, where)
        if manifest is not None:
            return Layout(root=root, manifest=manifest, classes={})
        if not _is_wrapper(list_folder, root, folders):
            break
        root = (*root, folders[0])
    classes, splits = _find_classes(list_folder, root, folders)
    return Layout(root=root, classes=classes, splits=splits, tables=tuple(tables))


def _find_classes(
    list_folder: ListFolder, root: Parts, folders: Sequence[str]
) -> tuple[dict[Parts, tuple[str, SplitName | None]], tuple[str, ...]]:
    """Each class folder with its label and split, and the names of the folders of splits."""
    if splits := split_folders(folders):
        holding = _unwrap_splits(list_folder, {(*root, name): split for name, split in splits.items()})
        return {
            (*folder, name): (_label(name), split)
            for folder, split in holding.items()
            for name in list_folder(folder)[0]
        }, tuple(splits)
    if inner := _splits_in_each(list_folder, root, folders):
        classes = {folder: (_label(folder[-2]), split) for folder, split in inner.items()}
        return dict(classes), tuple(sorted({folder[-1] for folder in inner}))
    return {(*root, name): (_label(name), None) for name in folders}, ()


def _label(folder: str) -> str:
    return clean_text(folder) or written(folder)


def _is_wrapper(list_folder: ListFolder, root: Parts, folders: Sequence[str]) -> bool:
    """Whether the only folder holds all classes, or a manifest, rather than being a class or a split."""
    if len(folders) != 1 or folders[0].lower() in SPLIT_WORDS:
        return False
    inner, files = list_folder((*root, folders[0]))
    return bool(inner) or any(map(_is_table, files))


def _unwrap_splits(list_folder: ListFolder, splits: Mapping[Parts, SplitName]) -> Mapping[Parts, SplitName]:
    """The folders that hold the classes of each split: one further down while every split has one folder alone.

    With one folder in every split there would be one class, and no benchmark.
    """
    while True:
        inner = {folder: list_folder(folder)[0] for folder in splits}
        if any(len(names) != 1 for names in inner.values()):
            return splits
        further = {(*folder, inner[folder][0]): split for folder, split in splits.items()}
        if not all(list_folder(folder)[0] for folder in further):
            return splits
        splits = further


def _splits_in_each(list_folder: ListFolder, root: Parts, classes: Sequence[str]) -> dict[Parts, SplitName]:
    """The folders of splits in class folders, if each class has such folders, train among them, and no files beside."""
    found: dict[Parts, SplitName] = {}
    for name in classes:
        folders, files = list_folder((*root, name))
        splits = split_folders([folder for folder in folders if folder.lower() in SPLIT_WORDS])
        if files or not splits:
            return {}
        found |= {(*root, name, folder): split for folder, split in splits.items()}
    return found if names_several(found.values()) else {}


def _is_table(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in TABLES


def _read_table(read: ReadFile, parts: Parts, where: str) -> bytes:
    try:
        return read(parts)
    except OSError as error:
        raise DataError(
            f"A table in {where} cannot be read: {error.strerror}. Fetch it again, or take the table out."
        ) from error


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


def list_names(names: Sequence[str], where: str, read: Callable[[str], bytes]) -> Iterator[ListedFile | SetAside]:
    """Every name of an archive or a bucket with its label, or the reason why it has none, in the order of the names.

    Args:
        names: what it holds, clutter included, in any order, each once.
        where: its name in errors.
        read: gives the bytes of a name, for the manifest.

    Raises:
        DataError: the manifest inside is damaged or cannot be used.
    """
    names = without_clutter(names)

    def list_folder(folder: Parts) -> tuple[list[str], list[str]]:
        start = "".join(f"{part}/" for part in folder)
        inside = (names[place][len(start) :].partition("/") for place in below(names, start))
        folders: set[str] = set()
        files: list[str] = []
        for name, slash, _ in inside:
            if slash:
                folders.add(name)
            else:
                files.append(name)
        return sorted(folders), files

    layout = find_layout(list_folder, lambda parts: read("/".join(parts)), where)
    if layout.manifest is not None:
        yield from _list_manifest(names, layout.root, layout.manifest, where, read)
        return
    depths = sorted({len(folder) for folder in layout.classes})
    for name in names:
        parts = tuple(name.split("/"))
        known = next((layout.classes[parts[:depth]] for depth in depths if parts[:depth] in layout.classes), None)
        if known is None or parts in layout.classes:
            yield SetAside(path=written(name), reason=layout.why_outside(parts))
        else:
            yield ListedFile(path=written(name), label=known[0], split=known[1])


def _list_manifest(
    names: Sequence[str], root: Parts, manifest: str, where: str, read: Callable[[str], bytes]
) -> Iterator[ListedFile | SetAside]:
    start = "".join(f"{part}/" for part in root)
    rows = read_rows(read(start + manifest), f"{where}/{start}{manifest}")
    check_rows(rows, f"{where}/{start}{manifest}")
    there = {name.removeprefix(start) for name in names if name.startswith(start)}
    alike: dict[str, list[str]] = {}
    for name in there:
        alike.setdefault(normalise(name), []).append(name)

    def find(given: str) -> str | None:
        paths = [str(PurePosixPath(spelling)) for spelling in spellings(given)]
        exact = [path for path in paths if path in there]
        same = exact or alike.get(normalise(paths[-1]), [])
        return written(same[0]) if exact or len(same) == 1 else None

    table, folder = written(start + manifest), written(f"{where}/{start}".rstrip("/"))
    listed = list_rows(rows, find, table=table, folder=folder, start=written(start))
    yield from set_aside_unlisted(listed, map(written, names), table)


def set_aside_unlisted(
    listed: Iterator[ListedFile | SetAside], found: Iterator[str | SetAside], table: str
) -> Iterator[ListedFile | SetAside]:
    """What a manifest lists, then every other path found in its folder, since the manifest does not name it."""
    named = {table}
    for file in listed:
        named.add(file.path)
        yield file
    for path in found:
        if isinstance(path, SetAside):
            yield path
        elif path not in named:
            yield SetAside(path=path, reason=f"{table} does not name it")
