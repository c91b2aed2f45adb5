"""The feature store: Arrow IPC shards under a key that holds everything that changes a feature (docs/formats.md).

A shard is written beside its name, synced and renamed, so it is there whole or not there. Its name is the start of the
sha256 of the file, which is verified before any row of it is used: a flipped byte anywhere is noticed.

Letters: N rows, D features.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.core.errors import StoreError
from vitrail.core.hashing import fingerprint
from vitrail.core.whole_files import TEMPORARY, put_in_place

SHARD_VERSION = "1"
SHARD = ".arrow"
FACTS = "facts.json"
DAMAGED = ".damaged"
STALE_S = 24 * 3600  # a temporary file this old belongs to a writer that is gone
KEPT_COSINE = 0.99999  # float16 must keep this cosine to the computed row, else float32 is stored

Storage = Literal["float16", "float32"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardCost:
    """What the rows of a shard cost when they were computed, in seconds; `user_s` is CPU time over all threads."""

    forward_s: float
    decode_s: float
    user_s: float


@dataclass(frozen=True, slots=True)
class Shard:
    """One verified file, memory-mapped."""

    path: Path
    ids: tuple[str, ...]
    feature_ND: NDArray[np.float16] | NDArray[np.float32]
    cost: ShardCost


class FeatureSet:
    """All rows of one backbone under one key."""

    def __init__(self, cache: Path, facts: Mapping[str, object], storage: Storage) -> None:
        """Open the rows that are there; nothing is made until a shard is written.

        Args:
            cache: the cache folder.
            facts: everything that changes a feature but for the storage type.
            storage: how rows are kept.
        """
        self.storage: Storage = storage
        self.facts = dict(facts) | {"storage": storage, "shard_version": SHARD_VERSION}
        self.key = fingerprint(self.facts)[:32]
        self.folder = cache / "features" / self.key
        self.damaged: list[str] = []
        self._shards: list[Shard] = []
        self._place: dict[str, tuple[int, int]] = {}
        for path in _listed(self.folder):
            self._take(path)

    def __contains__(self, example: object) -> bool:
        return example in self._place

    def __len__(self) -> int:
        return len(self._place)

    def ids(self) -> frozenset[str]:
        """The examples that have a row."""
        return frozenset(self._place)

    def rows(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """The rows of these examples, in this order, N x D in float32; raises KeyError for one that has none."""
        places = np.array([self._place[example] for example in ids], dtype=np.int64).reshape(-1, 2)
        width = self._shards[0].feature_ND.shape[1] if self._shards else 0
        feature_ND = np.empty((len(ids), width), np.float32)
        for number in np.unique(places[:, 0]):
            chosen = places[:, 0] == number
            feature_ND[chosen] = self._shards[number].feature_ND[places[chosen, 1]]
        return feature_ND

    def cost(self, ids: Sequence[str]) -> ShardCost:
        """What the rows of these examples cost when they were computed: each takes its part of its shard's cost."""
        used = np.zeros(len(self._shards))
        for example in ids:
            used[self._place[example][0]] += 1
        shares = [(count / len(shard.ids), shard.cost) for count, shard in zip(used, self._shards, strict=True)]
        return ShardCost(
            forward_s=float(sum(share * cost.forward_s for share, cost in shares)),
            decode_s=float(sum(share * cost.decode_s for share, cost in shares)),
            user_s=float(sum(share * cost.user_s for share, cost in shares)),
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
        """Write a shard and take it in.

        Args:
            ids: the examples, one a row.
            feature_ND: their features.
            cost: what computing them cost.

        Raises:
            StoreError: the disk is full or the cache cannot be written.
        """
        try:
            facts = self.folder / FACTS
            if not facts.exists():
                text = json.dumps(self.facts, indent=2, sort_keys=True)
                put_in_place(facts, lambda temporary: temporary.write_text(text))
            content = _to_arrow(ids, np.ascontiguousarray(feature_ND.astype(self.storage)), cost)
            path = self.folder / _shard_name(content)
            put_in_place(path, lambda temporary: temporary.write_bytes(content))
        except OSError as error:
            raise StoreError(
                f"Features could not be written to {self.folder} ({error.strerror or error}); what was written before "
                "is kept. Free some room or set VITRAIL_CACHE to another folder, then run the same command again."
            ) from error
        self._take(path)

    def _take(self, path: Path) -> None:
        shard = _read(path)
        if shard is None:
            self.damaged.append(path.name)
            _put_out_of_use(path)
            return
        self._shards.append(shard)
        for row, example in enumerate(shard.ids):
            self._place.setdefault(example, (len(self._shards) - 1, row))


def open_features(cache: Path, facts: Mapping[str, object]) -> FeatureSet:
    """The rows of a backbone, in float16 unless float32 was once found necessary.

    Args:
        cache: the cache folder.
        facts: everything that changes a feature but for the storage type.

    Returns:
        The rows that are there.
    """
    return FeatureSet(cache, facts, "float32" if _wide_mark(cache, facts).exists() else "float16")


def widen(cache: Path, facts: Mapping[str, object]) -> FeatureSet:
    """From now on keep the rows of this backbone in float32, since float16 does not hold them.

    Args:
        cache: the cache folder.
        facts: everything that changes a feature but for the storage type.

    Returns:
        The rows in float32 that are there.

    Raises:
        StoreError: the cache cannot be written.
    """
    mark = _wide_mark(cache, facts)
    try:
        put_in_place(mark, lambda temporary: temporary.write_text("float16 does not keep these features\n"))
    except OSError as error:
        raise StoreError(f"{mark} could not be written ({error.strerror}); free some room, then run again.") from error
    return FeatureSet(cache, facts, "float32")


def _wide_mark(cache: Path, facts: Mapping[str, object]) -> Path:
    return cache / "features" / f"{fingerprint(dict(facts))[:32]}.float32"


def _listed(folder: Path) -> Iterator[Path]:
    """The shards of a folder by name, so that a row that stands twice is always taken from the same one."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(
            f"The features in {folder} cannot be read ({error.strerror}). Mend its permissions, or set VITRAIL_CACHE."
        ) from error
    for name in names:
        if name.endswith(SHARD):
            yield folder / name
        elif name.endswith(TEMPORARY):
            _sweep(folder / name)


def _sweep(temporary: Path) -> None:
    try:
        if time.time() - temporary.stat().st_mtime > STALE_S:
            temporary.unlink()
    except OSError:
        return  # its writer was quicker, or the folder is read-only: it is in nobody's way


def _to_arrow(ids: Sequence[str], kept_ND: NDArray[np.float16] | NDArray[np.float32], cost: ShardCost) -> pa.Buffer:
    rows = pa.FixedSizeListArray.from_arrays(pa.array(kept_ND.reshape(-1)), kept_ND.shape[1])
    facts = {"version": SHARD_VERSION, "cost": json.dumps(asdict(cost))}
    schema = pa.schema([("id", pa.string()), ("feature", rows.type)], metadata=facts)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([pa.array(ids, pa.string()), rows], schema=schema))
    return sink.getvalue()


def _shard_name(content: pa.Buffer) -> str:
    return sha256(content).hexdigest()[:24] + SHARD


def _read(path: Path) -> Shard | None:
    """The shard, or None where it is damaged."""
    try:
        content = pa.memory_map(str(path)).read_buffer()
        if _shard_name(content) != path.name:
            return None
        table = pa.ipc.open_file(content).read_all()
        facts = table.schema.metadata
        ids = tuple(table.column("id").to_pylist())
        rows = table.column("feature").chunk(0)
        feature_ND = rows.values.to_numpy(zero_copy_only=True).reshape(len(ids), rows.type.list_size)
        cost = ShardCost(**json.loads(facts[b"cost"]))
    except PermissionError as error:
        raise StoreError(f"The features in {path} cannot be read ({error.strerror}): mend its permissions.") from error
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError):
        return None
    return Shard(path, ids, feature_ND, cost)


def _put_out_of_use(path: Path) -> None:
    try:
        path.replace(path.with_name(path.name + DAMAGED))
    except OSError:
        return  # a read-only cache: the shard is passed over at every start, and its rows are computed again
