"""Images that official lists name: those that are there, those that are missing, and those that no list names."""

from collections.abc import Iterable, Iterator

from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.file_tree import FileTree
from vitrail.data.sources.local import clean_text

Row = tuple[str, str, SplitName | None]  # path, label, split


def list_rows(tree: FileTree, rows: Iterable[Row], *, folder: str, lists: str) -> Iterator[ListedFile | SetAside]:
    """Each row as a listed file, and each other file of a folder as set aside.

    Args:
        tree: the files.
        rows: what the lists say; a path as a data set writes it.
        folder: the folder of the images, with a slash at its end.
        lists: the lists' name in reasons, such as "trainval.txt and test.txt".
    """
    listed = set()
    for path, label, split in rows:
        listed.add(path)
        if path in tree.names:
            yield ListedFile(path=path, label=clean_text(label), split=split)
        else:
            yield SetAside(path=path, reason=f"it is listed in {lists}, and there is no such file")
    for path in sorted(tree.names):
        if path.startswith(folder) and path not in listed:
            yield SetAside(path=path, reason=f"it is not listed in {lists}")
