"""What the feature cache holds, seen from outside: one shelf a key. Listing, verifying and pruning read no feature.

Other rooms list what they keep in the cache; what goes is chosen and taken away here. The lock of trusted weights lies
in the config folder and is never touched.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from vitrail.core.errors import StoreError, UsageError
from vitrail.features.shard import SHARD, matches_its_name
from vitrail.features.store import DAMAGED, FACTS


class Prunable(Protocol):
    """Something in the cache that pruning may take."""

    @property
    def key(self) -> str:
        """Its name."""

    @property
    def bytes(self) -> int:
        """How much it takes."""

    @property
    def last_used(self) -> float:
        """When, in seconds since 1970."""

    def place(self, cache: Path) -> Path:
        """Its file or folder."""


Thing = TypeVar("Thing", bound=Prunable)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelf:
    """All rows under one key. `last_used` is in seconds since 1970: when rows were last asked for or written."""

    key: str
    backbone: str
    engine: str
    precision: str
    pooling: str
    storage: str
    rows: int
    shards: int
    damaged: int
    bytes: int
    last_used: float

    def place(self, cache: Path) -> Path:
        """The folder of its shards."""
        return cache / "features" / self.key


def list_shelves(cache: Path) -> list[Shelf]:
    """Every key of the cache, the one used last first.

    Args:
        cache: the cache folder; it need not exist.

    Returns:
        What each holds. A shard that cannot be opened counts as damaged and has no rows.

    Raises:
        StoreError: the folder cannot be listed.
    """
    try:
        folders = sorted(path for path in (cache / "features").iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"The cache {cache} cannot be listed ({error.strerror}): mend its permissions.") from error
    return sorted((_shelf(folder) for folder in folders), key=lambda shelf: (-shelf.last_used, shelf.key))


def verify_shelf(cache: Path, key: str) -> Iterator[tuple[str, bool]]:
    """Read every shard of a key against the digest in its name.

    Args:
        cache: the cache folder.
        key: of a shelf that is there.

    Yields:
        tuple[str, bool]: the shard's file name, and whether its bytes are those that were written.
    """
    for path in _shards(cache / "features" / key):
        yield path.name, matches_its_name(path)


def choose(
    things: Sequence[Thing], *, keys: Sequence[str], older_than_s: float | None, keep_bytes: int | None
) -> list[Thing]:
    """What pruning takes: the things of `keys`, and those not used for long, and then the oldest until it fits.

    Args:
        things: all that are there.
        keys: the beginning of a key is enough where it is of one only.
        older_than_s: seconds since the last use beyond which a thing goes.
        keep_bytes: at most this much stays.

    Returns:
        What goes, the one used longest ago first.

    Raises:
        UsageError: a key is of nothing there, or its beginning of several.
    """
    gone: set[str] = set()
    for key in keys:
        found = [thing.key for thing in things if thing.key.startswith(key)]
        if len(found) != 1:
            number = "no key" if not found else f"{len(found)} keys"
            raise UsageError(f"{key} is the beginning of {number} in the cache: `vitrail cache` lists them.")
        gone.add(found[0])
    oldest_first = sorted(things, key=lambda thing: (thing.last_used, thing.key))
    if older_than_s is not None:
        gone |= {thing.key for thing in oldest_first if time.time() - thing.last_used > older_than_s}
    if keep_bytes is not None:
        left = sum(thing.bytes for thing in things if thing.key not in gone)
        for thing in oldest_first:
            if left > keep_bytes and thing.key not in gone:
                gone.add(thing.key)
                left -= thing.bytes
    return [thing for thing in oldest_first if thing.key in gone]


def remove(cache: Path, things: Sequence[Prunable]) -> None:
    """Take things away; a run that needs the rows of a shelf stops, and asked again computes them anew.

    Args:
        cache: the cache folder.
        things: what goes.

    Raises:
        StoreError: a file or folder cannot be deleted.
    """
    for thing in things:
        place = thing.place(cache)
        try:
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink()
        except FileNotFoundError:
            continue  # another pruning was quicker
        except OSError as error:
            raise StoreError(f"{place} cannot be deleted ({error.strerror}): mend its permissions.") from error


def _shelf(folder: Path) -> Shelf:
    try:
        facts = json.loads((folder / FACTS).read_text())
    except (OSError, ValueError):
        facts = {}
    entries = list(_files(folder))
    rows = [_rows(path) for path in _shards(folder)]
    stored = facts.get("storage", "unknown")
    return Shelf(
        key=folder.name,
        backbone=_backbone(facts),
        engine=str(facts.get("engine", "unknown")),
        precision=str(facts.get("precision", "unknown")),
        pooling=str(facts.get("poolings", "unknown")),
        storage=str(stored),
        rows=sum(count for count in rows if count is not None),
        shards=len(rows),
        damaged=rows.count(None) + sum(entry.name.endswith(DAMAGED) for entry, _ in entries),
        bytes=sum(status.st_size for _, status in entries),
        last_used=max((status.st_mtime for _, status in entries), default=folder.stat().st_mtime),
    )


def _files(folder: Path) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):  # a run has renamed its temporary file meanwhile
            if entry.is_file():
                yield entry, entry.stat()


def _backbone(facts: dict[str, Any]) -> str:
    """Facts hold what changes a feature, and a name does not: the network and the beginning of its weights' digest."""
    net = facts.get("net", {})
    variant = " ".join(f"{key} {value}" for key, value in sorted(net.get("variant", {}).items()))
    return f"{net.get('family', 'unknown')} {variant} ({str(facts.get('weights', 'unknown'))[:12]})"


def _shards(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.endswith(SHARD))


def _rows(path: Path) -> int | None:
    try:
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        return int(sum(file.get_batch(number).num_rows for number in range(file.num_record_batches)))
    except (OSError, pa.ArrowException):
        return None
