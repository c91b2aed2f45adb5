"""One file of the feature store: an Arrow IPC file with the ids and features of some examples (docs/formats.md).

Its name is the start of the sha256 of its bytes, so that a flipped byte anywhere is noticed. It is read through for
that in blocks, so that memory does not grow with the number of rows.

Letters: N rows, D features.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.core.errors import StoreError
from vitrail.core.hashing import sha256_file
from vitrail.core.whole_files import put_in_place

SHARD_VERSION = "1"
SHARD = ".arrow"
NAME_DIGITS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardCost:
    """What the rows of a shard cost when they were computed, in seconds; `user_s` is CPU time over all threads."""

    forward_s: float
    decode_s: float
    user_s: float


@dataclass(slots=True)
class Shard:
    """One file; `verified` once its bytes were found to be those that were written."""

    path: Path
    ids: pa.StringArray
    width: int
    cost: ShardCost
    verified: bool = False

    def features(self) -> NDArray[np.float16] | NDArray[np.float32]:
        """Its rows, mapped only as long as they are held: pages that stay mapped would count as this process's."""
        try:
            rows = pa.ipc.open_file(pa.memory_map(str(self.path))).read_all().column("feature").chunk(0)
        except OSError as error:
            raise StoreError(
                f"The shard {self.path} cannot be read any more; the cache may have been pruned. Run the same command "
                "again: only its rows are computed anew."
            ) from error
        feature_ND: NDArray[np.float16] | NDArray[np.float32] = rows.values.to_numpy(zero_copy_only=True)
        return feature_ND.reshape(len(self.ids), self.width)


def write_shard(
    folder: Path, ids: Sequence[str], kept_ND: NDArray[np.float16] | NDArray[np.float32], cost: ShardCost
) -> Path:
    """Write a shard, whole or not at all; OSError where it cannot be.

    Args:
        folder: where it shall be; made where it is not there.
        ids: the examples, one a row.
        kept_ND: their features as they are kept.
        cost: what computing them cost.

    Returns:
        Its path.
    """
    rows = pa.FixedSizeListArray.from_arrays(pa.array(kept_ND.reshape(-1)), kept_ND.shape[1])
    facts = {"version": SHARD_VERSION, "cost": json.dumps(asdict(cost))}
    schema = pa.schema([("id", pa.string()), ("feature", rows.type)], metadata=facts)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([pa.array(ids, pa.string()), rows], schema=schema))
    content = sink.getvalue()
    path = folder / (sha256(content).hexdigest()[:NAME_DIGITS] + SHARD)
    put_in_place(path, lambda temporary: temporary.write_bytes(content))
    return path


def read_shard(path: Path) -> Shard | None:
    """The shard, not yet verified, or None where it is seen to be damaged."""
    try:
        with pa.OSFile(str(path)) as file:
            schema = pa.ipc.open_file(file).schema
            ids_alone = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index("id")])
            read = pa.ipc.open_file(file, options=ids_alone).read_all().column("id").chunk(0)
            ids = read.take(pa.array(np.arange(len(read))))  # what was read holds room for the features too
        width = schema.field("feature").type.list_size
        cost = ShardCost(**json.loads(schema.metadata[b"cost"]))
    except PermissionError as error:
        raise StoreError(f"The features in {path} cannot be read ({error.strerror}): mend its permissions.") from error
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError):
        return None
    return Shard(path, ids, width, cost)


def matches_its_name(path: Path) -> bool:
    """Whether a shard's bytes are those that were written: its name is the start of their sha256."""
    try:
        return sha256_file(path)[:NAME_DIGITS] + SHARD == path.name
    except OSError:
        return False
