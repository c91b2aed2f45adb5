"""Whether two runs of the same question say the same: decision, predicted classes, probabilities.

    python -m benchmarks.same_answers RUN_BEFORE RUN_AFTER [RUN_BEFORE RUN_AFTER ...]

Reads results.json and predictions/*.parquet without the package, so that runs of two versions of it can be compared.
Exit 1 where a decision or a predicted class differs, or a probability by more than 1e-6.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

TOLERANCE = 1e-6


def read_probabilities(path: Path) -> tuple[list[str], np.ndarray]:
    """The ids and the N x C probabilities of a table of predictions."""
    table = pq.read_table(path)
    columns = [name for name in table.column_names if name.startswith("p:")]
    return table["id"].to_pylist(), np.column_stack([table[name].to_numpy() for name in columns])


def compare(before: Path, after: Path) -> bool:
    """Print a line per backbone and one for the decision; returns whether all are the same."""
    decisions = [json.loads((run / "results.json").read_text())["decision"] for run in (before, after)]
    same = decisions[0] == decisions[1]
    print(f"{before} and {after}: decision, reasons and caveats {'equal' if same else 'DIFFER'}")
    names = [sorted(path.name for path in (run / "predictions").iterdir()) for run in (before, after)]
    if names[0] != names[1]:
        print(f"  backbones differ: {names[0]} and {names[1]}")
        return False
    for name in names[0]:
        ids, first_NC = read_probabilities(before / "predictions" / name)
        other_ids, second_NC = read_probabilities(after / "predictions" / name)
        if ids != other_ids:
            print(f"  {name}: other test images")
            return False
        flips = int((first_NC.argmax(axis=1) != second_NC.argmax(axis=1)).sum())
        largest = float(np.abs(first_NC - second_NC).max())
        print(f"  {name}: {len(ids):,} test images, {flips} other classes, probabilities within {largest:.1e}")
        same &= flips == 0 and largest <= TOLERANCE
    return same


if __name__ == "__main__":
    runs = [Path(argument) for argument in sys.argv[1:]]
    if not runs or len(runs) % 2:
        sys.exit(__doc__)
    outcomes = [compare(*pair) for pair in zip(runs[::2], runs[1::2], strict=True)]
    sys.exit(0 if all(outcomes) else 1)
