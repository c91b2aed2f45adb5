"""Arrays in an HDF5 file, as some data sets are published. Needs the extra `keras`, which is h5py.

Only arrays that are in the file itself are read: HDF5 can name other files, whose content nobody asked for.
"""

from typing import Any

from vitrail.core.errors import DataError, UsageError
from vitrail.data.named.file_tree import FileTree, TreeRanges
from vitrail.data.sources.local import MAX_FILE_BYTES
from vitrail.data.sources.ranges import as_file


def open_arrays(tree: FileTree, name: str, arrays: list[str]) -> list[Any]:
    """Some arrays of a file, which stays open with them; a part of one is read when it is indexed.

    Raises:
        UsageError: h5py is not installed.
        DataError: the file is missing or damaged, or lacks an array.
    """
    try:
        import h5py
    except ImportError as error:
        raise UsageError(
            f'{name} is an HDF5 file, which h5py reads: pip install "vitrail[keras]", or give the data set as '
            "TensorFlow Datasets prepares it."
        ) from error
    try:
        file = h5py.File(as_file(TreeRanges(tree, name), most=MAX_FILE_BYTES), "r")
        return [_find_array(file, array) for array in arrays]
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise DataError(f"{name} of {tree.where} cannot be read ({error}): fetch it again.") from error


def _find_array(file: Any, path: str) -> Any:
    """An array by its path; ValueError if it is not in the file itself."""
    import h5py

    item = file
    for name in path.split("/"):
        if not isinstance(item, h5py.Group) or not isinstance(item.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"it has no array {path}")
        item = item[name]
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        raise ValueError(f"{path} is not an array in the file")
    return item
