"""A cleaned manifest, as `--fix` writes it, for a benchmark to read instead. Images are not changed.

- Files that every benchmark sets aside or that cannot be decoded are left out; of equal files only the first path is
  kept.
- The same bytes, or the same image, under two labels are left out: one label is wrong, and nobody can say which.
- Near-duplicates share a group. If a split was given, the copy in the less guarded split is left out.
- Further columns of a manifest, such as camera, stay.
- Suspect labels stay as they are, with what is suspected in the column `note`, which no benchmark reads: changing
  labels to the answers of a model would train models on themselves.
"""

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vitrail.auditing.audit import Audit
from vitrail.core.bounded import is_folder
from vitrail.core.errors import RunError, UsageError
from vitrail.core.machine import expand_home
from vitrail.core.whole_files import put_in_place
from vitrail.data import Source
from vitrail.data.columns import list_columns
from vitrail.data.dataset import COLUMN_PREFIX
from vitrail.data.duplicates import GUARD
from vitrail.data.sources import FolderSource, ManifestSource
from vitrail.data.sources.local import as_on_disk

COLUMNS = ("path", "label", "split", "group", "note")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """What a cleaned manifest came to: rows kept, examples left out, files set aside before that, rows with a note."""

    rows: int
    left_out: int
    set_aside: int
    noted: int


def require_files(source: Source) -> None:
    """Raise a UsageError unless the images are files of this machine, which a manifest can list."""
    if not isinstance(source, FolderSource | ManifestSource):
        raise UsageError(
            f"The images of {source.name} are not single files, so --fix cannot list them in a manifest: give a "
            "folder of images or a manifest, or unpack the archive into a folder."
        )


def write_manifest(audit: Audit, data: Path, path: Path) -> Cleaned:
    """Write a cleaned manifest.

    Args:
        audit: of the data.
        data: the folder or manifest that was audited.
        path: where the CSV goes; its paths are relative to it.

    Raises:
        UsageError: the images are not files of a folder or a manifest.
        RunError: it cannot be written.
    """
    require_files(audit.dataset.source)
    data = expand_home(data)
    rows = list(_rows(audit, data if is_folder(data) else data.parent, path.parent))
    split, group = (any(row[place] for row in rows) for place in (2, 3))
    further = list_columns(audit.dataset)
    wanted = (True, True, split, group, True, *(True for _ in further))
    kept = [place for place, is_wanted in enumerate(wanted) if is_wanted]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([(*COLUMNS, *further)[place] for place in kept])
    writer.writerows([row[place] for place in kept] for row in rows)
    try:
        put_in_place(path, lambda temporary: temporary.write_bytes(text.getvalue().encode("utf-8")))
    except (OSError, UnicodeEncodeError) as error:
        raise RunError(
            f"The manifest {path} could not be written ({getattr(error, 'strerror', None) or error}): "
            "choose another place with --fix, and give every image a name in UTF-8."
        ) from error
    return Cleaned(
        rows=len(rows),
        left_out=audit.dataset.table.num_rows - len(rows),
        set_aside=len(audit.dataset.set_aside),
        noted=sum(bool(row[4]) for row in rows),
    )


def _rows(audit: Audit, root: Path, folder: Path) -> Iterator[tuple[str, ...]]:
    """A row an example: the cells of COLUMNS and those of further columns."""
    unreadable = {finding.path for finding in audit.findings if finding.kind == "unreadable"}
    unwanted = _of_pairs(audit)
    note = {suspect.id: f"suspect label, perhaps {suspect.suggested}" for suspect in audit.labels.suspects}
    table = audit.dataset.table
    further_names = [COLUMN_PREFIX + name for name in list_columns(audit.dataset)]
    names = ("id", "paths", "label", "given_split", "group", *further_names)
    columns = (table.column(name).to_pylist() for name in names)
    for id_, paths, label, split, group, *further in zip(*columns, strict=True):
        if id_ in unwanted or paths[0] in unreadable:
            continue
        where = os.path.relpath(root / as_on_disk(paths[0]), folder.resolve() if root.is_absolute() else folder)
        cells = (where, audit.dataset.classes[label], split or "", group or "", note.get(id_, ""))
        yield *cells, *(value or "" for value in further)


def _of_pairs(audit: Audit) -> set[str]:
    """The examples that near-duplicates make unusable."""
    gone = {id_ for copies in audit.conflicts for id_ in (copies.pair.a, copies.pair.b)}
    for copies in audit.crossing:
        ranks = [GUARD.index(split) for split in copies.splits if split in GUARD]
        gone.add(copies.pair.a if ranks[0] < ranks[1] else copies.pair.b)
    return gone
