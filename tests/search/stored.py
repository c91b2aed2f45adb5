"""Features of planted classes in a real store, for searches on rows that stay on disk.

Run as a script it searches them with little memory, and prints how far resident memory rose, in bytes:

    python -m tests.search.stored FOLDER ROWS WIDTH
"""

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from vitrail.data import EXAMPLE_SCHEMA, Dataset, open_source
from vitrail.features.pipeline import Cost, Features
from vitrail.features.shard import ShardCost
from vitrail.features.store import FeatureSet

SHARD_ROWS = 256  # as a pass over images writes them
NO_COST = ShardCost(forward_s=0.0, decode_s=0.0, user_s=0.0)


def store_features(folder: Path, rows: int, *, width: int, classes: int) -> tuple[Features, Dataset]:
    """Overlapping classes in an ill-conditioned basis, one class after the other as in a folder of folders."""
    draws = np.random.default_rng(0)
    label_N = np.sort(draws.integers(0, classes, rows))
    ids = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(rows)]
    centre_CD = 0.25 * draws.standard_normal((classes, width), dtype=np.float32)
    scale_D = np.logspace(0.5, -1, width).astype(np.float32)
    stored = FeatureSet(folder, {"rows": rows}, "float16")
    for start in range(0, rows, SHARD_ROWS):
        label_B = label_N[start : start + SHARD_ROWS]
        noise_BD = draws.standard_normal((len(label_B), width), dtype=np.float32)
        stored.seal(ids[start : start + SHARD_ROWS], (centre_CD[label_B] + noise_BD) * scale_D + 1, NO_COST)
    columns = dict.fromkeys(EXAMPLE_SCHEMA.names, [None] * rows)
    columns |= {"id": ids, "paths": [[f"{row:09}"] for row in range(rows)], "label": label_N}
    table = pa.table(columns, schema=EXAMPLE_SCHEMA)
    dataset = Dataset(
        name="stored",
        table=table.sort_by("id").combine_chunks(),
        classes=tuple(f"{index:04}" for index in range(classes)),
        set_aside=(),
        warnings=(),
        fingerprint="",
        source=open_source(None),
    )
    features = Features(
        backbone="planted",
        key=stored.key,
        width=width,
        pooling="mean",
        poolings=("mean",),
        cost=Cost(images=rows, computed=0, forward_s=0.0, decode_s=0.0, user_s=0.0),
        stored=stored,
    )
    return features, dataset


def resident_bytes() -> int:
    """What this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """The most it ever had. Not `ru_maxrss`: that begins with what the process had which started this one."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def search_with_little_memory(folder: Path, rows: int, width: int) -> int:
    """Search and set thresholds; the bytes by which the peak of resident memory, ever, lies above that at the start."""
    from vitrail.candidates.thresholds import make_refusal, predict
    from vitrail.data import make_split
    from vitrail.search import TuneOptions, memory, tune

    memory.usable_memory = lambda: 10**6
    options = TuneOptions(kinds=("logistic",), strengths=(1e-2,), scalings=("standardise",), label_curves=False)
    features, dataset = store_features(folder / "small", 4 * SHARD_ROWS * 2, width=32, classes=8)
    dataset, split, _ = make_split(dataset)
    tune(features, split, dataset, options)  # what torch and others take once is there before the start
    features, dataset = store_features(folder / "large", rows, width=width, classes=8)
    dataset, split, _ = make_split(dataset)
    start = resident_bytes()
    search = tune(features, split, dataset, options)
    assert search.streamed
    make_refusal(search, features, split, dataset)
    predict(search.head, features, split.test)
    return peak_bytes() - start


if __name__ == "__main__":
    print(search_with_little_memory(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
