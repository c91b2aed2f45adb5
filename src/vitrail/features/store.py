"""The feature store: Arrow IPC shards under a key that holds everything that changes a feature (docs/formats.md).

A shard (`shard.py`) is written whole or not at all, and verified before it is parsed: the shards of a key are read once
when it is opened, those of other data sets among them.

Letters: N rows, D features.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.core.bounded import is_there, read_json
from vitrail.core.errors import StoreError
from vitrail.core.hashing import fingerprint
from vitrail.core.whole_files import TEMPORARY, put_in_place
from vitrail.features.shard import (
    SHARD,
    SHARD_VERSION,
    Shard,
    ShardCost,
    read_shard,
    write_shard,
)

FEATURES = "features"
FACTS = "facts.json"
DAMAGED = ".damaged"
LOOKED_UP = 32_768  # rows at a time, when examples are looked up
STALE_S = 24 * 3600  # a temporary file this old belongs to a writer that is gone
KEPT_COSINE = 0.99999  # float16 must keep this cosine to the computed row, else float32 is stored

Storage = Literal["float16", "float32"]


class FeatureSet:
    """All rows of one backbone under one key."""

    def __init__(self, cache: Path, facts: Mapping[str, object], storage: Storage) -> None:
        """Open the shards that are there; nothing is made until one is written.

        Args:
            cache: the cache folder.
            facts: everything that changes a feature except the storage type.
            storage: the type that rows are stored in.
        """
        self.storage: Storage = storage
        self.facts = dict(facts) | {"storage": storage, "shard_version": SHARD_VERSION}
        self.key = _key_of(self.facts)
        self.folder = cache / FEATURES / self.key
        self._damaged: list[Path] = []
        self._shards: list[Shard] = []
        for name in _names_in(self.folder):
            if name.endswith(SHARD):
                self._open_shard(self.folder / name)

    def __len__(self) -> int:
        return len(self._ids().unique())

    def ids(self) -> frozenset[str]:
        """The examples that have a row."""
        return frozenset(self._ids().to_pylist())

    def has(self, ids: pa.Array | Sequence[str]) -> NDArray[np.bool_]:
        """Which of these examples have a row, in their order."""
        return self._find(ids) >= 0

    def set_damaged_aside(self) -> list[str]:
        """Rename the shards that were found damaged when this was opened; their rows count as missing.

        Returns:
            Their names.
        """
        damaged, self._damaged = self._damaged, []
        for path in damaged:
            with suppress(OSError):  # in a read-only cache a damaged shard is passed over every time
                path.replace(path.with_name(path.name + DAMAGED))
        return [path.name for path in damaged]

    def delete_leftovers(self) -> None:
        """Delete the temporary files of writers that are gone."""
        for name in _names_in(self.folder):
            if name.endswith(TEMPORARY):
                with suppress(OSError):  # its writer may have renamed it meanwhile
                    if time.time() - (self.folder / name).stat().st_mtime > STALE_S:
                        (self.folder / name).unlink()

    def mark_used(self) -> None:
        """Set the time of the last use, by which `vitrail cache` prunes, and write damaged facts again.

        A read-only cache stays as it is.
        """
        with suppress(OSError):
            if self._shards:
                self._write_facts_if_damaged()
            os.utime(self.folder / FACTS)

    def rows(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """The rows of these examples, in this order, N x D in float32; raises as `reader`."""
        return self.reader(ids)[np.arange(len(ids))]

    def reader(self, ids: pa.Array | Sequence[str]) -> "RowReader":
        """Reads rows of these examples, which are looked up now, whenever they are needed.

        Raises:
            KeyError: an example has no row.
        """
        place_N = self._find(ids)
        if (place_N < 0).any():
            raise KeyError(str(ids[int(np.argmin(place_N >= 0))]))
        starts = self._starts()
        shard_N = np.searchsorted(starts, place_N, side="right") - 1
        return RowReader(tuple(self._shards), shard_N, place_N - starts[shard_N] if len(place_N) else place_N)

    def cost(self, ids: Sequence[str]) -> ShardCost:
        """What the rows of these examples cost when they were computed: an equal share of their shards' costs."""
        place_N = self._find(ids)
        shard_N = np.searchsorted(self._starts(), place_N, side="right") - 1
        used = np.bincount(shard_N, minlength=len(self._shards))
        shares = [(count / len(shard.ids), shard.cost) for count, shard in zip(used, self._shards, strict=True)]
        return ShardCost(  # fsum: the same in whichever order the shards were written or found
            forward_s=math.fsum(share * cost.forward_s for share, cost in shares),
            decode_s=math.fsum(share * cost.decode_s for share, cost in shares),
            user_s=math.fsum(share * cost.user_s for share, cost in shares),
        )

    def keeps(self, feature_ND: NDArray[np.float32]) -> bool:
        """Whether the storage type keeps every one of these rows."""
        if self.storage == "float32":
            return True
        with np.errstate(over="ignore"):
            kept_ND = feature_ND.astype(np.float16).astype(np.float64)
        wanted_ND = feature_ND.astype(np.float64)
        norms_N = np.linalg.norm(kept_ND, axis=1) * np.linalg.norm(wanted_ND, axis=1)
        return bool(np.all((kept_ND * wanted_ND).sum(axis=1) >= KEPT_COSINE * norms_N) and np.isfinite(norms_N).all())

    def seal(self, ids: Sequence[str], feature_ND: NDArray[np.float32], cost: ShardCost) -> None:
        """Write a shard and open it.

        Raises:
            StoreError: the disk is full or the cache cannot be written.
        """
        try:
            self._write_facts_if_damaged()
            path = write_shard(self.folder, ids, np.ascontiguousarray(feature_ND.astype(self.storage)), cost)
        except OSError as error:
            raise StoreError(
                f"Features could not be written to {self.folder} ({error.strerror or error}); what was written before "
                "is kept. Free some disk space or set VITRAIL_CACHE to another folder, then run the same command again."
            ) from error
        self._open_shard(path)

    def _write_facts_if_damaged(self) -> None:
        if read_facts(self.folder) is None:
            text = json.dumps(self.facts, indent=2, sort_keys=True)
            put_in_place(self.folder / FACTS, lambda temporary: temporary.write_text(text))

    def _open_shard(self, path: Path) -> None:
        shard = read_shard(path)
        if shard is None:
            self._damaged.append(path)
        else:
            self._shards.append(shard)

    def _ids(self) -> pa.ChunkedArray:
        return pa.chunked_array([shard.ids for shard in self._shards], pa.string())

    def _starts(self) -> NDArray[np.int64]:
        """The place of each shard's first row, where all rows are counted through."""
        return np.cumsum([0, *(len(shard.ids) for shard in self._shards[:-1])], dtype=np.int64)

    def _find(self, ids: pa.Array | Sequence[str]) -> NDArray[np.int64]:
        """The place of each example's first row, or -1.

        Arrow looks it up, since a dictionary would cost 300 bytes a row, and in some shards at a time, since its own
        table of the ids costs 140.
        """
        wanted = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())
        place_N = np.full(len(wanted), -1, np.int64)
        start = 0
        for shards in _in_groups(self._shards):
            held = pa.chunked_array([shard.ids for shard in shards], pa.string())
            row_N = pc.index_in(wanted, value_set=held).fill_null(-1).to_numpy(zero_copy_only=False)
            first_N = (place_N < 0) & (row_N >= 0)
            place_N[first_N] = start + row_N[first_N]
            start += len(held)
        return place_N


class RowReader:
    """Rows of some examples that stay in the store until they are read; it keeps no shard open.

    Rows that were computed one after the other are in the same shard, so reading them together opens few shards.
    """

    def __init__(self, shards: Sequence[Shard], shard_N: NDArray[np.int64], row_N: NDArray[np.int64]) -> None:
        """From the shard of each example, and its row there."""
        self._shards, self._shard_N, self._row_N = shards, shard_N, row_N
        self.width = shards[0].width if shards else 0

    def __len__(self) -> int:
        return len(self._row_N)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows with these numbers, in this order, in float32; raises StoreError if a shard is gone or holds NaN."""
        shard_N, row_N = self._shard_N[rows], self._row_N[rows]
        feature_ND = np.empty((len(rows), self.width), np.float32)
        for number in np.unique(shard_N):
            chosen = shard_N == number
            feature_ND[chosen] = self._shards[number].features()[row_N[chosen]]
        finite_N = np.isfinite(feature_ND).all(axis=1)
        if not finite_N.all():  # earlier versions stored what a network gave
            folder = self._shards[int(shard_N[np.argmin(finite_N)])].path.parent
            raise StoreError(
                f"The cache holds features that are not finite, of {np.count_nonzero(~finite_N)} of "
                f"{len(feature_ND)} images: delete {folder} and run the same command again."
            )
        return feature_ND


def _in_groups(shards: Sequence[Shard]) -> Iterator[list[Shard]]:
    """The shards in order, in groups that have LOOKED_UP rows together or a little more."""
    group: list[Shard] = []
    for shard in shards:
        group.append(shard)
        if sum(len(member.ids) for member in group) >= LOOKED_UP:
            yield group
            group = []
    if group:
        yield group


def open_features(cache: Path, facts: Mapping[str, object]) -> FeatureSet:
    """The rows of a backbone, in float16 unless float32 was once found necessary; `facts` as for `FeatureSet`."""
    return FeatureSet(cache, facts, "float32" if is_there(_wide_mark(cache, facts)) else "float16")


def widen(cache: Path, facts: Mapping[str, object]) -> FeatureSet:
    """From now on store the rows of this backbone in float32, since float16 does not hold them.

    Returns:
        The rows in float32 that are there.

    Raises:
        StoreError: the cache cannot be written.
    """
    mark = _wide_mark(cache, facts)
    try:
        put_in_place(mark, lambda temporary: temporary.write_text("float16 does not keep these features\n"))
    except OSError as error:
        raise StoreError(
            f"{mark} could not be written ({error.strerror}); free some disk space, then run again."
        ) from error
    return FeatureSet(cache, facts, "float32")


def _wide_mark(cache: Path, facts: Mapping[str, object]) -> Path:
    return cache / FEATURES / f"{fingerprint(dict(facts))[:32]}.float32"


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What the key of a folder was made from; None if its facts are missing, or give another key."""
    try:
        facts = read_json(folder / FACTS)
        return facts if isinstance(facts, dict) and _key_of(facts) == folder.name else None
    except (OSError, RecursionError, ValueError):
        return None


def _key_of(facts: Mapping[str, object]) -> str:
    return fingerprint(dict(facts))[:32]


def _names_in(folder: Path) -> list[str]:
    """Names in order, so that a row that is stored twice is always taken from the same shard."""
    try:
        return sorted(entry.name for entry in os.scandir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"The features in {folder} cannot be read ({error.strerror}). Fix its permissions, or set VITRAIL_CACHE."
        ) from error
