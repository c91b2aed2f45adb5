"""Whole runs, from files to decision and report, each in a fresh process with an empty cache: where their time goes.

    python -m benchmarks.whole_runs [digits] [flowers] [dogs] [busy] [raced] [--rounds N]

`digits` is what `make bench` runs; `flowers` are 800 photographs and the four backbones of ../shared/weights; `dogs`
are stanford_dogs_224.csv with ViT-Ti and the quantised ResNet50; `busy` are the flowers with an endless loop on each
core beside them, in turn with a quiet run; `raced` are the dogs and the four backbones, unnamed, so that they race, in
turn with a run that names them. The cache of Vitrail is empty; files that the system has read may be in its
memory. Each chapter is kept in benchmarks/whole_runs_<hardware>_<yyyymm>.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.busy import busy_cores
from benchmarks.report import RESNET50, SHARED, VIT_TI, spread
from benchmarks.results import keep_chapter
from vitrail.core.machine import usable_cores
from vitrail.delivery.report.words import parts_of
from vitrail.runs import load_run

DEIT_TI, RESNET18 = "deit_tiny_patch16_224.fb_in1k", "resnet18.tv_in1k"
FILES = {VIT_TI: VIT_TI, DEIT_TI: DEIT_TI, RESNET18: "resnet18.pqf_in1k", RESNET50: "resnet50.pqf_in1k"}
FLOWERS, DOGS = SHARED / "data" / "flowers_original", SHARED / "data" / "stanford_dogs_224.csv"
OUTSIDE = "Python and imports before, the closing table after"
DIGITS_BAR_S, FLOWERS_BAR_S, BUSY_BAR = 15.0, 60.0, 2.5


@dataclass(frozen=True, slots=True)
class Timed:
    """One run: seconds of the whole process by the wall and of its parts, and the backbone to take."""

    wall_s: float
    parts: dict[str, float]
    taken: str


def main() -> None:
    """Run the cases, all by default, and keep a chapter of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all if none is given")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(f"there is no case {', '.join(sorted(unknown))}: choose from {', '.join(CASES)}")
    for name in arguments.cases or CASES:
        lines = CASES[name](arguments.rounds)
        print(f"{name}\n", *lines, "", sep="\n", flush=True)
        keep_chapter("whole_runs", (__doc__ or "").splitlines()[0], name, lines)


def time_digits(rounds: int) -> list[str]:
    """The embedded benchmark."""
    runs = [run_bench(None, ()) for _ in range(rounds)]
    return [*describe(runs), "", judge("Whole", runs, DIGITS_BAR_S)]


def time_flowers(rounds: int) -> list[str]:
    """Four backbones on 800 photographs."""
    runs = [run_bench(FLOWERS, tuple(FILES)) for _ in range(rounds)]
    return [*describe(runs), "", judge("Whole", runs, FLOWERS_BAR_S)]


def time_dogs(rounds: int) -> list[str]:
    """Two backbones on 4,800 dogs."""
    runs = [run_bench(DOGS, (VIT_TI, RESNET50)) for _ in range(rounds)]
    return [*describe(runs), "", f"Whole: {_spread(runs)} s."]


def time_busy(rounds: int) -> list[str]:
    """The flowers, quiet and beside a loop on each core, in turn."""
    quiet, busy = [], []
    for _ in range(rounds):
        quiet.append(run_bench(FLOWERS, tuple(FILES)))
        with busy_cores(usable_cores()):
            busy.append(run_bench(FLOWERS, tuple(FILES)))
    ratios = [slow.wall_s / fast.wall_s for slow, fast in zip(busy, quiet, strict=True)]
    met = "met" if statistics.median(ratios) <= BUSY_BAR else "NOT met"
    return [
        *describe(busy),
        "",
        f"Whole: {_spread(busy)} s beside {usable_cores()} loops, {_spread(quiet)} s quiet: {spread(ratios, 2)} times "
        f"as long (the bar is {BUSY_BAR}: {met}).",
    ]


def time_raced(rounds: int) -> list[str]:
    """The dogs with four backbones, which race if nobody names them."""
    raced, named = [], []
    for _ in range(rounds):
        raced.append(run_bench(DOGS, (), "--weights", str(SHARED / "weights"), "--offline"))
        named.append(run_bench(DOGS, tuple(FILES)))
    ratios = [short.wall_s / long.wall_s for short, long in zip(raced, named, strict=True)]
    return [
        *describe(raced),
        "",
        f"Whole: {_spread(raced)} s with a race, {_spread(named)} s if all are named: {spread(ratios, 2)} times as "
        f"long. Taken with a race: {_say_taken(raced)}; without: {_say_taken(named)}.",
    ]


def describe(runs: Sequence[Timed]) -> list[str]:
    """The table of parts, each with its median, least and most over the rounds."""
    names = list(dict.fromkeys(name for run in runs for name in run.parts))
    rows = {name: [run.parts.get(name, 0.0) for run in runs] for name in names}
    whole = statistics.median(run.wall_s for run in runs)
    return [
        f"{len(runs)} rounds; median, least and most.",
        "",
        "| part | seconds of the wall | share |",
        "| --- | --- | --- |",
        *(f"| {name} | {spread(row, 2)} | {statistics.median(row) / whole:.0%} |" for name, row in rows.items()),
    ]


def judge(what: str, runs: Sequence[Timed], bar_s: float) -> str:
    """The whole against its bar."""
    met = "met" if statistics.median(run.wall_s for run in runs) <= bar_s else "NOT met"
    return f"{what}: {_spread(runs)} s (the bar is {bar_s:.0f} s: {met})."


def run_bench(data: Path | None, backbones: Sequence[str], *flags: str) -> Timed:
    """One benchmark in a process, a cache and a config folder of its own."""
    with tempfile.TemporaryDirectory(prefix="vitrail-whole-runs-") as folder:
        weights = [f"-b{name}={SHARED / 'weights' / f'{FILES[name]}.safetensors'}" for name in backbones]
        command = [
            sys.executable,
            "-c",
            "from vitrail.cli import main; main()",
            "bench",
            *([str(data)] if data else []),
        ]
        environment = os.environ | {"VITRAIL_CACHE": f"{folder}/cache", "VITRAIL_CONFIG": f"{folder}/config"}
        begun = time.perf_counter()
        subprocess.run(
            [*command, *weights, *flags, "--out", f"{folder}/run", "--quiet"],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        wall_s = time.perf_counter() - begun
        results = load_run(Path(folder) / "run").results
    cost, (taken,) = results.cost, [each for each in results.backbones if each.name == results.decision.choose]
    print(json.dumps({"wall_s": round(wall_s, 2), "decode_s": round(cost.decode_s, 2)}), flush=True)
    parts = dict(parts_of(cost)) | {OUTSIDE: wall_s - cost.wall_s}
    return Timed(wall_s, parts, f"{taken.name} ({100 * taken.test.top1.value:.1f}%)")


def _spread(runs: Sequence[Timed]) -> str:
    return spread([run.wall_s for run in runs])


def _say_taken(runs: Sequence[Timed]) -> str:
    return ", ".join(dict.fromkeys(run.taken for run in runs))


CASES = {"digits": time_digits, "flowers": time_flowers, "dogs": time_dogs, "busy": time_busy, "raced": time_raced}

if __name__ == "__main__":
    main()
