"""How a benchmark of the processor is timed, and where its figures are kept: a file a theme, hardware and month."""

import argparse
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from vitrail.core.machine import describe_machine, usable_cores


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


def write_results(script: str, lines: list[str]) -> Path:
    """Write <theme>_<hardware>_<yyyymm>.md beside the script, and say where."""
    machine = describe_machine()
    words = re.findall(r"[a-z0-9]+", (machine.gpu or machine.cpu).lower())
    hardware = "_".join([*(word for word in words if word not in {"amd", "intel", "r", "tm", "cpu"})][:2])
    path = Path(script).with_name(f"{Path(script).stem}_{hardware}_{machine.cores}cores_{datetime.now(UTC):%Y%m}.md")
    path.write_text("\n".join(lines) + "\n")
    print(path)
    return path


def keep_chapter(path: Path, script: str, promise: str, title: str, lines: Sequence[str]) -> None:
    """Put one chapter into a result file, with the machine it was measured on; its other chapters stay."""
    text = path.read_text() if path.exists() else ""
    known = dict(re.findall(r"^## (.*?)\n\n(.*?)(?=\n## |\Z)", text, re.M | re.S))
    known[title] = "\n".join([*lines, "", machine_line()])
    head = f"# {promise}\n\n    python -m {script} {' '.join(known)}\n"
    path.write_text(head + "".join(f"\n## {name}\n\n{chapter.strip()}\n" for name, chapter in known.items()))
