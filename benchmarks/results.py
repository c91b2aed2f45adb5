"""How a benchmark of the processor is timed, and where its figures are kept: a file a theme, hardware and month."""

import argparse
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from vitrail.core.machine import describe_machine, usable_cores

HERE = Path(__file__).resolve().parent
VENDORS = {"amd", "cpu", "intel", "processor", "r", "tm", "nvidia"}


def clock_for(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Callable[[], float], str]:
    """Add and heed --threads: the arguments, the clock, and what it shows, in words.

    With one thread the clock shows seconds of CPU, which other work on the machine moves little; else it is the wall's.
    """
    import torch

    parser.add_argument("--threads", type=int, default=usable_cores())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.threads == 1:
        return asked, time.process_time, "One thread; seconds of CPU, since other work ran on the machine."
    return asked, time.perf_counter, f"{asked.threads} threads; seconds of the clock."


def machine_line() -> str:
    """The machine and the versions that matter, in one line."""
    machine = describe_machine()
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return f"{machine.cpu}, {machine.cores} cores, {machine.memory / 2**30:.0f} GiB; {machine.os}; {versions}."


def result_file(theme: str) -> Path:
    """benchmarks/<theme>_<hardware>_<yyyymm>.md; the hardware is the GPU where there is one, else the processor."""
    machine = describe_machine()
    words = re.findall(r"[a-z]\w*", (machine.gpu or machine.cpu).lower())
    hardware = next((word for word in words if word not in VENDORS), "cpu")
    return HERE / f"{theme}_{hardware}_{machine.cores}cores_{datetime.now(UTC):%Y%m}.md"


def write_results(theme: str, lines: Sequence[str]) -> None:
    """Write the lines as the result of a theme, and say where."""
    path = result_file(theme)
    path.write_text("\n".join(lines) + "\n")
    print(path)


def keep_chapter(theme: str, promise: str, title: str, lines: Sequence[str]) -> None:
    """Put one chapter into a theme's result, with the machine it was measured on; its other chapters stay."""
    path = result_file(theme)
    text = path.read_text() if path.exists() else ""
    known = dict(re.findall(r"^## (.*?)\n\n(.*?)(?=\n## |\Z)", text, re.M | re.S))
    known[title] = "\n".join([*lines, "", machine_line()])
    head = f"# {promise}\n\n    python -m benchmarks.{theme} {' '.join(known)}\n"
    path.write_text(head + "".join(f"\n## {name}\n\n{chapter.strip()}\n" for name, chapter in known.items()))
