"""Both translation networks on unseen dates: exact match and training time, three seeds each.

python -m benchmarks.dates
"""

import statistics
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.results import machine_line
from examples.dates import draw_pairs
from examples.translation import SETTINGS, Translator, exact_match, train
from vitrail.core.machine import usable_cores

UNSEEN = 2000


def main() -> None:
    """Train, measure, and write the table beside this file."""
    torch.set_num_threads(usable_cores())
    lines = ["Both translation networks on unseen dates, three seeds each.", "", "    python -m benchmarks.dates", ""]
    lines += [machine_line(), "", f"Exact match on {UNSEEN:,} writings of dates kept out of training.", ""]
    lines += ["| network | seeds' exact match | median | training s, median |", "| --- | --- | --- | --- |"]
    for kind, settings in SETTINGS.items():
        matches, seconds = [], []
        for seed in range(3):
            translator = Translator(settings, seed=seed)
            begun = time.perf_counter()
            train(translator, seed=seed)
            seconds.append(time.perf_counter() - begun)
            unseen = draw_pairs(UNSEEN, split="test", generator=np.random.default_rng(100 + seed))
            matches.append(exact_match(translator, unseen))
        each = ", ".join(f"{match:.4f}" for match in matches)
        lines.append(f"| {kind} | {each} | {statistics.median(matches):.4f} | {statistics.median(seconds):.0f} |")
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
