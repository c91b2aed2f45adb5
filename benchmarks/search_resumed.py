"""A search that is killed again and again goes on to the same trials and the same winner.

    python -m benchmarks.search_resumed

A search on planted features (3,000 rows x 128, 20 classes, every kind, 32 drawn settings) is made once undisturbed. The
same search is then started in a process of its own that is killed (SIGKILL) after a drawn time, again and again, until
one comes to its end. Trials and winner must be equal to the last bit but for the seconds, and no finished step may be
trained again. Writes benchmarks/search_resumed_<hardware>_<yyyymm>.md.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.results import machine_line, write_results
from vitrail.data import EXAMPLE_SCHEMA, Dataset, make_split, open_source
from vitrail.search import Search, TuneOptions, tune

ROWS, WIDTH, CLASSES = 3000, 128, 20
OPTIONS = TuneOptions(trials=32)
SHORTEST, LONGEST = 3.0, 12.0  # seconds that a process lives


@dataclass(frozen=True)
class Planted:
    """Features that were drawn: classes around centres, in noise."""

    feature: dict[str, np.ndarray]
    backbone: str = "planted"
    key: str = "planted"
    pooling: str = "own"
    poolings: tuple[str, ...] = ("own",)

    def rows(self, ids):
        """N x D."""
        return np.stack([self.feature[id_] for id_ in ids])

    def pooled(self, pooling):
        """The only one there is."""
        assert pooling == self.pooling
        return self


def search(kept_in: Path | None) -> Search:
    """The search, which keeps its steps in a folder."""
    draws = np.random.default_rng(0)
    label_N = draws.integers(0, CLASSES, ROWS)
    feature_ND = draws.normal(size=(CLASSES, WIDTH))[label_N] + 2.5 * draws.normal(size=(ROWS, WIDTH))
    ids = [f"{number:064x}" for number in range(ROWS)]
    columns = {"id": ids, "paths": [[id_] for id_ in ids], "label": label_N}
    columns |= dict.fromkeys(("group", "given_split", "jpeg_side"), [None] * ROWS)
    table = pa.table(columns, schema=EXAMPLE_SCHEMA)
    dataset = Dataset(
        name="planted",
        table=table,
        classes=tuple(f"class {c}" for c in range(CLASSES)),
        set_aside=(),
        warnings=(),
        fingerprint="",
        source=open_source(None),
    )
    sealed_dataset, split, _ = make_split(dataset)
    features = Planted(dict(zip(ids, feature_ND.astype(np.float32), strict=True)))
    return tune(features, split, sealed_dataset, OPTIONS, kept_in=kept_in)


def main() -> None:
    """Run it, check it and write the table beside this file."""
    begun = time.perf_counter()
    whole = search(None)
    undisturbed_s = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        kept_in = Path(folder)
        lives = list(_lives(kept_in))
        before = {path: path.stat().st_mtime_ns for path in kept_in.iterdir()}
        resumed = search(kept_in)
        assert before == {path: path.stat().st_mtime_ns for path in kept_in.iterdir()}, "a step was done again"
    trials = [[replace(trial, seconds=0) for trial in result.trials] for result in (whole, resumed)]
    equal = trials[0] == trials[1] and whole.digest == resumed.digest
    lines = [
        "A search that is killed again and again goes on to the same trials and the same winner.",
        "",
        "    python -m benchmarks.search_resumed",
        "",
        machine_line(),
        "",
        f"Undisturbed: {len(whole.trials)} trials in {undisturbed_s:.1f} s.",
        f"Winner: {whole.head.kind} {whole.head.setting}.",
        "",
        "| process | lived, s | steps on disk when it ended | ended by |",
        "| --- | --- | --- | --- |",
        *(f"| {n} | {lived:.1f} | {steps} | {how} |" for n, (lived, steps, how) in enumerate(lives, 1)),
        "",
        f"The same trials, the same winner, the same head to the last bit: {'yes' if equal else 'NO'}.",
    ]
    print("\n".join(lines))
    write_results("search_resumed", lines)
    if not equal:
        sys.exit(1)


def _lives(kept_in: Path):
    draws = np.random.default_rng(1)
    while True:
        begun = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.search_resumed", str(kept_in)], env=os.environ)
        try:
            process.wait(timeout=float(draws.uniform(SHORTEST, LONGEST)))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        steps = len([path for path in kept_in.glob("*.parquet") if not path.name.startswith(".")])
        yield time.perf_counter() - begun, steps, "its end" if process.returncode == 0 else "SIGKILL"
        if process.returncode == 0:
            return


if __name__ == "__main__":
    if len(sys.argv) > 1:
        search(Path(sys.argv[1]))
    else:
        main()
