"""The search on rows that stay on disk beside the search in memory, on the same rows: seconds, loss, peak memory.

    python -m benchmarks.logistic_streamed [30000x512x10 12000x64x500 100000x768x100]

Rows x width x classes, planted, in a feature store as a pass over images writes it. Each search runs in a process of
its own: from disk (what `search/streamed.py` does), in memory with logistic heads alone, and in memory with all kinds,
whose peak is what the rule of `search/memory.py` estimates. "All kinds" draws 2 heads for 2 epochs, since more take
time and no memory. A peak is that of resident memory above the start, when the features are in the store already. NLL
is that of the head on the test split.
Writes benchmarks/logistic_streamed_<hardware>_<yyyymm>.md, and the features into a temporary folder.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tests.search.stored import resident_bytes, store_features

from benchmarks.results import machine_line, write_results
from vitrail.core.machine import peak_rss_bytes, usable_cores
from vitrail.data import make_split
from vitrail.heads import probabilities
from vitrail.search import TuneOptions, memory, tune
from vitrail.search.memory import estimate_need
from vitrail.search.options import KINDS

PROBLEMS = ("30000x512x10", "12000x64x500", "100000x768x100")
WAYS = {
    "from disk": TuneOptions(kinds=("logistic",)),
    "in memory, logistic": TuneOptions(kinds=("logistic",)),
    "in memory, all kinds": TuneOptions(kinds=KINDS, trials=2, epochs=2),
}


def main() -> None:
    """Measure every way on every problem, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("problems", nargs="*", default=PROBLEMS, metavar="ROWSxWIDTHxCLASSES")
    problems = parser.parse_args().problems
    lines = [__doc__.split("\n", 1)[0], "", f"    python -m benchmarks.logistic_streamed {' '.join(problems)}", ""]
    lines += [machine_line(), "", f"{usable_cores()} cores; seconds of the clock; GB are 10^9 bytes.", ""]
    titles = ("rows x width x classes", "way", "s", "CPU, user, s", "head", "test NLL", "peak, GB", "rule, GB")
    lines += [f"| {' | '.join(titles)} |"]
    lines += ["| --- " * 8 + "|"]
    for problem in problems:
        for way in WAYS:
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-c", CHILD, folder, problem, way]
                found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            times = f"{found['s']:.0f} | {found['user_s']:.0f}"
            peak = f"{found['peak'] / 1e9:.2f} | {found['needed'] / 1e9:.2f}"
            lines.append(f"| {problem} | {way} | {times} | {found['winner']} | {found['nll']:.4f} | {peak} |")
            print(lines[-1], flush=True)
    write_results("logistic_streamed", lines)


CHILD = "import sys; from benchmarks.logistic_streamed import measure; measure(*sys.argv[1:])"


def measure(folder: str, problem: str, way: str) -> None:
    """Print the figures of one search."""
    rows, width, classes = map(int, problem.split("x"))
    memory.usable_memory = lambda: 1 if way == "from disk" else 2**60
    features, dataset = store_features(Path(folder) / "first", 2048, width=32, classes=4)  # what torch takes only once
    sealed, split, _ = make_split(dataset)
    tune(features, split, sealed, TuneOptions(kinds=("logistic", "centroid"), label_curves=False, splits=0))
    features, dataset = store_features(Path(folder) / "features", rows, width=width, classes=classes)
    sealed, split, _ = make_split(dataset)
    start, begun = resident_bytes(), time.perf_counter()
    search = tune(features, split, sealed, WAYS[way])
    seconds, peak = time.perf_counter() - begun, peak_rss_bytes() - start
    assert search.streamed == (way == "from disk")
    label = dataset.by_id("label")
    label_N = np.array([label[example] for example in split.test])
    probability_NC = probabilities(search.head, features.rows(split.test))
    kept = len(split.train) + len(split.val)
    found = {
        "s": seconds,
        "user_s": search.user_s,
        "winner": " ".join(map(str, (search.winner.kind, *search.winner.setting.values()))),
        "nll": float(-np.log(probability_NC[np.arange(len(label_N)), label_N]).mean()),
        "peak": peak,
        "needed": estimate_need(kept, width=width, classes=classes, fits=min(4, usable_cores()), memory=0).needed,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
