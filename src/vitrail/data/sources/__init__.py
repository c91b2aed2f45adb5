"""Where images come from. A new kind is a new file here and a line in KINDS."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vitrail.core.errors import UsageError
from vitrail.data.dataset import Source
from vitrail.data.sources.digits import DigitsSource
from vitrail.data.sources.folder import FolderSource
from vitrail.data.sources.manifest import ManifestSource

__all__ = ["KINDS", "DigitsSource", "FolderSource", "Kind", "ManifestSource", "open_source"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of source: what it is called, which paths are of it, and how one is opened."""

    words: str
    takes: Callable[[Path], bool]
    open: Callable[[Path], Source]


KINDS = (
    Kind("a folder with one folder of images a class", Path.is_dir, FolderSource),
    Kind(
        "a manifest (.csv or .parquet)",
        lambda path: path.is_file() and path.suffix.lower() in {".csv", ".tsv", ".parquet"},
        ManifestSource,
    ),
)


def open_source(data: str | Path | None) -> Source:
    """The source that a path names; without one, scikit-learn's digits.

    Args:
        data: a folder, a manifest, or None.

    Returns:
        A source, of which nothing has been read yet.

    Raises:
        UsageError: there is nothing at the path, or nothing of a kind that is read.
    """
    if data is None:
        return DigitsSource()
    path = Path(data).expanduser()
    for kind in KINDS:
        if kind.takes(path):
            return kind.open(path)
    kinds = " or ".join(kind.words for kind in KINDS)
    if not path.exists():
        raise UsageError(f"There is nothing at {path}: give {kinds}.")
    raise UsageError(f"{path} is no data set that can be read: give {kinds}.")
