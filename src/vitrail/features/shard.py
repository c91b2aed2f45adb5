"""One file of the feature store: an Arrow IPC file with the ids and features of some examples (docs/formats.md).

It is named after its digest (`core/digest_files.py`), which is checked in blocks, so that memory does not grow with the
number of rows.

Letters: N rows, D features.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import TypeAdapter

from vitrail.core.digest_files import matches_its_name, write_digest_file
from vitrail.core.errors import StoreError

SHARD_VERSION = "1"
SHARD = ".arrow"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardCost:
    """What the rows of a shard cost when they were computed, in seconds; `user_s` is CPU time over all threads."""

    forward_s: float
    decode_s: float
    user_s: float


_COST = TypeAdapter(ShardCost)


@dataclass(frozen=True, slots=True)
class Shard:
    """One file whose bytes were compared with its name."""

    path: Path
    ids: pa.StringArray
    width: int
    cost: ShardCost

    def features(self) -> NDArray[np.float16] | NDArray[np.float32]:
        """Its rows, mapped only while they are in use: pages that stay mapped would count as memory of this process."""
        try:
            rows = pa.ipc.open_file(pa.memory_map(os.fsencode(self.path))).read_all().column("feature").chunk(0)
        except OSError as error:
            raise StoreError(
                f"The shard {self.path} can no longer be read; the cache may have been pruned. Run the same command "
                "again: only its rows are computed again."
            ) from error
        feature_ND: NDArray[np.float16] | NDArray[np.float32] = rows.values.to_numpy(zero_copy_only=True)
        return feature_ND.reshape(len(self.ids), self.width)


def write_shard(
    folder: Path, ids: Sequence[str], stored_ND: NDArray[np.float16] | NDArray[np.float32], cost: ShardCost
) -> Path:
    """Write a shard of features in the dtype they are stored in, whole or not at all; returns its path.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    rows = pa.FixedSizeListArray.from_arrays(pa.array(stored_ND.reshape(-1)), stored_ND.shape[1])
    facts = {"version": SHARD_VERSION, "cost": json.dumps(asdict(cost))}
    schema = pa.schema([("id", pa.string()), ("feature", rows.type)], metadata=facts)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([pa.array(ids, pa.string()), rows], schema=schema))
    return write_digest_file(folder, sink.getvalue(), SHARD)


def read_shard(path: Path) -> Shard | None:
    """The shard, or None if its bytes are not those that were written.

    They are verified before Arrow sees them: one wrong bit can make its reader crash the process.

    Raises:
        StoreError: the file may not be read.
    """
    try:
        path.open("rb").close()
        if not matches_its_name(path):
            return None
        with pa.OSFile(os.fsencode(path)) as file:
            schema = pa.ipc.open_file(file).schema
            ids_alone = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index("id")])
            read = pa.ipc.open_file(file, options=ids_alone).read_all().column("id").chunk(0)
            ids = read.take(pa.array(np.arange(len(read))))  # what was read holds room for the features too
        width = schema.field("feature").type.list_size
        cost = _COST.validate_json(schema.metadata[b"cost"])
    except PermissionError as error:
        raise StoreError(f"The features in {path} cannot be read ({error.strerror}): fix its permissions.") from error
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError):
        return None
    return Shard(path, ids, width, cost)
