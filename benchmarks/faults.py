"""Every call of a run and of a training that changes a file fails once in turn, and the next run is as if none had.

    python -m benchmarks.faults [--first] [--sample N]

Opening for writing, writing, syncing, renaming, linking, making and deleting: each fails with an I/O error, or because
the disk is full from then on (half of a write still gets through), or the process is killed in it. Then the same
command runs again without a fault. Its results must equal those of a run that never failed, and the command that failed
must have ended in one sentence. SQLite tests itself like this (sqlite.org/testing.html, section 3).

Needs Linux and a C compiler: the calls are counted in C (faults.c), since Arrow, safetensors and OpenVINO write files
without Python.
"""

import argparse
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from benchmarks.commands import BAD_ENDS, Ended, copy_weights, draw_images, import_everything, read_run, run_command
from benchmarks.results import machine_line, write_results
from vitrail.training import loop

COUNTER = Path(__file__).with_suffix(".c")
COUNT_ONLY = 0
KINDS = {"I/O error": 1, "disk full": 2, "kill -9": 3}  # the numbers are those of faults.c


@dataclass(frozen=True, kw_only=True)
class Work:
    """A command to disturb, what it leaves behind that must always be the same, and the command that checks it."""

    name: str
    command: Callable[[Path], list[str]]
    read_outcome: Callable[[Path], object]
    check: tuple[str, ...] = ()


@dataclass
class Tally:
    """What became of the calls that one kind of fault hit; problems are printed at once."""

    points: int = 0
    equal: int = 0
    went_on: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add_problem(self, problem: str) -> None:
        """One more."""
        print(problem, file=sys.stderr, flush=True)
        self.problems.append(problem)


def main() -> None:
    """Disturb every command at every call with every fault, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sample", type=int, metavar="N", help="one call of each function, with faults from the N-th on"
    )
    parser.add_argument("--first", action="store_true", help="only the first of calls in a row that are the same")
    parser.add_argument("--only", choices=[work.name for work in WORKS], help="only this command")
    parser.add_argument("--table", action="store_true", help="write the table beside this file")
    arguments = parser.parse_args()
    if not hasattr(ctypes.CDLL(None), "faults_arm"):
        _start_again_with_counter()
    Path(os.environ.pop("LD_PRELOAD")).unlink()
    import_everything()
    loop.SAVE_EVERY_S = 0.0  # so that a short training has more than one checkpoint
    lines = [f"# {(__doc__ or '').splitlines()[0]}", "", f"    python -m benchmarks.faults {' '.join(sys.argv[1:])}"]
    lines += [
        "",
        machine_line(),
        "",
        "| command | fault | calls tried | equal after the next run | went on at once | calls |",
    ]
    lines += ["| --- | --- | ---: | ---: | ---: | --- |"]
    problems = []
    for work in WORKS:
        if arguments.only in (None, work.name):
            for kind, tally in disturb(work, sample=arguments.sample, first=arguments.first).items():
                calls = ", ".join(f"{number} {call}" for call, number in sorted(tally.calls.items()))
                lines.append(f"| {work.name} | {kind} | {tally.points} | {tally.equal} | {tally.went_on} | {calls} |")
                print(lines[-1], flush=True)
                problems += [f"- {work.name}, {kind}, call {problem}" for problem in tally.problems]
    lines += ["", *(problems or ["Every command that failed said why in one sentence, and none hung."])]
    if arguments.table:
        write_results("faults", lines)
    sys.exit(bool(problems))


def disturb(work: Work, *, sample: int | None, first: bool) -> dict[str, Tally]:
    """What becomes of a fault of each kind at every call of a command, or at a sample of its calls.

    Raises:
        SystemExit: the command fails, or two undisturbed runs differ.
    """
    tallies = {kind: Tally() for kind in KINDS}
    with tempfile.TemporaryDirectory() as root:
        given = Path(root) / "given"
        draw_images(given / "images")
        copy_weights(given)
        calls, wanted = _run_undisturbed(work, Path(root) / "undisturbed", given)
        if _run_undisturbed(work, Path(root) / "again", given)[1] != wanted:
            raise SystemExit(f"Two undisturbed runs of {work.name} differ.")
        for point, kind in choose_trials(calls, sample=sample, first=first):
            print(f"{work.name}: {point} of {len(calls)}, {kind}", file=sys.stderr, flush=True)
            folder = Path(root) / "disturbed"
            _try(work, folder, given, kind, point, wanted, tallies[kind])
            shutil.rmtree(folder)
    return tallies


def choose_trials(calls: list[str], *, sample: int | None, first: bool) -> list[tuple[int, str]]:
    """The numbers of the calls to disturb, counted from 1, each with a fault.

    Args:
        calls: what an undisturbed command calls, each as `function path`.
        sample: take one call of each function, from the middle of its calls, and give the first function the fault of
            this number, the second the next fault, and so on in turn; samples 0, 1 and 2 give each function each fault.
        first: leave out calls that repeat the one before.
    """
    points = [place + 1 for place, call in enumerate(calls) if not first or place == 0 or call != calls[place - 1]]
    if sample is None:
        return [(point, kind) for point in points for kind in KINDS]
    by_function: dict[str, list[int]] = {}
    for point in points:
        by_function.setdefault(calls[point - 1].split()[0], []).append(point)
    faults = islice(cycle(KINDS), sample, None)
    return [(same[len(same) // 2], kind) for same, kind in zip(by_function.values(), faults, strict=False)]


def _run_undisturbed(work: Work, folder: Path, given: Path) -> tuple[list[str], object]:
    """The calls of the command that change files, and its outcome."""
    ended = run_command(work.command(given), folder, _arm(folder, COUNT_ONLY, 0))
    if ended.exit:
        raise SystemExit(f"{work.name} failed without a fault: {ended.text}")
    return ended.report.splitlines(), work.read_outcome(folder)


def _arm(folder: Path, kind: int, point: int) -> Callable[[int], None]:
    def arm(report: int) -> None:
        counter = ctypes.CDLL(None)
        counter.faults_arm(ctypes.c_long(point), kind, str(folder).encode(), report)

    return arm


def _try(work: Work, folder: Path, given: Path, kind: str, point: int, wanted: object, tally: Tally) -> None:
    """Run a command with a fault, run it again without, and compare."""
    disturbed = run_command(work.command(given), folder, _arm(folder, KINDS[kind], point))
    if not disturbed.report:
        return  # threads make a few calls more or fewer
    tally.points += 1
    tally.calls[disturbed.report.split()[0]] += 1
    where = f"{point} ({disturbed.report.strip()})"
    if fault := _describe_bad_end(disturbed, kind):
        tally.add_problem(f"{where}: {fault}")
    tally.went_on += disturbed.exit == 0
    for command in (work.command(given), list(work.check)):
        again = run_command(command, folder) if command else None
        if again and again.exit:
            tally.add_problem(f"{where}: then `{command[0]}` ended with {again.exit}: {again.text.strip()[-300:]}")
            return
    if work.read_outcome(folder) == wanted:
        tally.equal += 1
    else:
        tally.add_problem(f"{where}: the next run differs")


def _describe_bad_end(ended: Ended, kind: str) -> str:
    """What is wrong with how a disturbed command ended; empty if it was killed, went on, or said why in a sentence."""
    if kind == "kill -9":
        return "" if ended.exit == -signal.SIGKILL else f"exit {ended.exit} in place of a kill"
    said_why = ended.text.count("Error: ") == 1 and not any(mark in ended.text for mark in BAD_ENDS)
    if ended.exit == 0 or (ended.exit > 0 and said_why):
        return ""
    return f"exit {ended.exit}: {ended.text.strip()[-300:]}"


def _start_again_with_counter() -> None:
    """Compile faults.c and start this process again with it: its functions then hide those of libc."""
    descriptor, library = tempfile.mkstemp(suffix=".so")
    os.close(descriptor)
    compile_it = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-o", library, str(COUNTER)]
    subprocess.run([*compile_it, "-ldl"], check=True)
    command = [sys.executable, "-m", "benchmarks.faults", *sys.argv[1:]]
    os.execve(sys.executable, command, os.environ | {"LD_PRELOAD": library})


def _bench(given: Path) -> list[str]:
    backbone = f"vit_mini={given / 'vit_mini.safetensors'}"
    return ["bench", str(given / "images"), "-b", backbone, "--calibration", "0.2", "--out", "run", "-q"]


def _pretrain(_: Path) -> list[str]:
    numbers = ["--classes", "4", "--images-per-class", "8", "--epochs", "2"]
    return ["pretrain", "vit_mini", *numbers, "--out", "weights", "-q"]


def _read_weights(folder: Path) -> object:
    return {path.name: path.read_bytes() for path in (folder / "weights").iterdir()}


WORKS = (
    Work(name="bench", command=_bench, read_outcome=lambda folder: read_run(folder / "run"), check=("verify", "run")),
    Work(name="pretrain", command=_pretrain, read_outcome=_read_weights),
)


if __name__ == "__main__":
    main()
