"""Data sets that have one folder of images for each class; the card says which folders of classes are which split."""

from collections.abc import Iterator

from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree
from vitrail.data.sources.local import clean_text


def list_class_folders(tree: FileTree, card: DatasetCard) -> Iterator[ListedFile | SetAside]:
    """Every file in a folder of a class; other files of an archive, such as a licence, are not images of the set."""
    for path in sorted(tree.names):
        for folder, split in card.class_folders.items():
            label, slash, _ = path.removeprefix(f"{folder}/").partition("/")
            if not path.startswith(f"{folder}/"):
                continue
            if not slash:
                yield SetAside(path=path, reason="it is not in the folder of a class")
            elif label in card.without_classes:
                yield SetAside(path=path, reason=f"{label} is not a class of {card.title}")
            else:
                yield ListedFile(path=path, label=clean_text(label), split=split or None)
