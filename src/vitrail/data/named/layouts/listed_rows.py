"""The files that a layout lists, in the order of TensorFlow Datasets."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.named.layouts.tfds import SPLITS, prepared_order


class ListedRows:
    """Each file is an example whose label is the one that the layout gives."""

    def __init__(
        self,
        listed: Iterable[ListedFile | SetAside],
        read: Callable[[str], bytes],
        key: Callable[[ListedFile], str],
    ) -> None:
        """Sort the files.

        Args:
            listed: the layout's files; a file without a split is in TensorFlow Datasets' train.
            read: gives the bytes of a file by its path.
            key: gives the key of an example in TensorFlow Datasets.
        """
        self.read = read
        names = {split: name for name, split in SPLITS.items()}
        self._label: dict[str, str] = {}
        self._order: dict[str, list[str]] = {}
        files: dict[str, list[ListedFile]] = defaultdict(list)
        for file in listed:
            if isinstance(file, ListedFile):
                files[names[file.split or "train"]].append(file)
                self._label[file.path] = file.label
        for split, found in files.items():
            self._order[split] = [found[place].path for place in prepared_order(map(key, found), split)]

    def order(self, split: str) -> Sequence[str]:
        """The paths of a split's files, in their order; raises a DataError if there are none."""
        if split not in self._order:
            raise DataError(f"There are no images of {split}: fetch all files.")
        return self._order[split]

    def features(self, path: str) -> dict[str, list[str]]:
        """The label."""
        return {"label": [self._label[path]]}
