"""One flipped bit in every kind of file that Vitrail writes: noticed, or without effect on any number.

    python -m benchmarks.bit_flips [--flips N] [--runs N]

A small run is made, one that stopped after its search, and what else Vitrail remembers. Random bits of each file are
flipped, one at a time. What then reads the file must refuse it, compute it again, or give what it gave before: the
reader of the file, in a process that may crash, for every flip; and the whole command for the first few.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from benchmarks.commands import BAD_ENDS, import_everything, read_run, run_command
from benchmarks.flip_readers import (
    MISSING,
    NOTICED,
    VERIFY,
    Kind,
    Read,
    list_kinds,
    make_files,
    name_command,
    use_folders_below,
)
from benchmarks.results import machine_line, write_results
from vitrail.core.errors import VitrailError

OUTCOMES = ("noticed", "no effect", "silent change", "internal error", "crash")
GOOD = ("noticed", "no effect")
SEED = 0


def main() -> None:
    """Flip bits in every kind of file, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1000, help="flips of each kind that its reader gets")
    parser.add_argument("--runs", type=int, default=5, help="flips of each kind that whole commands get")
    parser.add_argument("--only", help="only kinds whose name has this in it")
    parser.add_argument("--table", action="store_true", help="write the table beside this file")
    arguments = parser.parse_args()
    import_everything()
    command = f"    python -m benchmarks.bit_flips --flips {arguments.flips} --runs {arguments.runs}"
    lines = [f"# {(__doc__ or '').splitlines()[0]}", "", command, "", machine_line(), ""]
    lines += [f"| file | read by | flips | {' | '.join(OUTCOMES)} |", f"| --- | --- | {'---: | ' * 6}".rstrip()]
    bad = 0
    with tempfile.TemporaryDirectory() as root:
        make_files(Path(root))
        for kind in list_kinds():
            if arguments.only is None or arguments.only in kind.name:
                for reader, outcomes in flip_kind(kind, Path(root), flips=arguments.flips, runs=arguments.runs):
                    cells = " | ".join(str(outcomes[outcome]) for outcome in OUTCOMES)
                    lines.append(f"| {kind.name} | {reader} | {outcomes.total()} | {cells} |")
                    print(lines[-1], flush=True)
                    bad += outcomes.total() - sum(outcomes[outcome] for outcome in GOOD)
    if arguments.table:
        write_results("bit_flips", lines)
    sys.exit(bool(bad))


def flip_kind(kind: Kind, root: Path, *, flips: int, runs: int) -> Iterator[tuple[str, Counter[str]]]:
    """Flip bits of one file and let everything that reads it read it.

    Yields:
        tuple[str, Counter[str]]: what read it, and how often it ended how.
    """
    paths = sorted(root.glob(kind.place))
    if not paths:
        return  # without OpenVINO, there is no model and no batch to remember
    path = max(paths, key=lambda path: sum(file.stat().st_size for file in path.parent.iterdir()))
    draws = np.random.default_rng(SEED)
    size = path.stat().st_size
    bits = list(zip(draws.integers(0, size, flips).tolist(), draws.integers(0, 8, flips).tolist(), strict=True))
    for name, read in kind.readers.items():
        yield name, Counter(_flip_in_forks(read, root, path, bits))
    for command in kind.commands if runs else ():
        _, wanted = _run_whole(command, root, path, None)
        yield f"`{command}`", Counter(_run_whole_after(command, root, path, bit, wanted) for bit in bits[:runs])


def _flip_in_forks(read: Read, root: Path, path: Path, bits: Sequence[tuple[int, int]]) -> Iterator[str]:
    """The outcome of each flip, in a process that goes on with the next after a crash."""
    done = 0
    while done < len(bits):
        with tempfile.TemporaryFile("w+") as report:
            kept = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
            process = os.fork()
            if process == 0:
                try:
                    _flip_all(read, root, path, bits[done:], kept, report)
                finally:
                    os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            _put_back(path.parent, kept)
            report.seek(0)
            outcomes = report.read().splitlines()
        done += len(outcomes)
        yield from outcomes
        if done < len(bits):
            if status == 0:
                raise SystemExit(f"The reader of {path} stopped without a crash.")
            done += 1
            yield "crash"


def _flip_all(
    read: Read, root: Path, path: Path, bits: Sequence[tuple[int, int]], kept: dict[Path, bytes], report: IO[str]
) -> None:
    use_folders_below(root)
    intact = read(root, path)
    _put_back(path.parent, kept)
    for bit in bits:
        _overwrite(path, _flip(kept[path], bit))
        try:
            value = read(root, path)
            outcome = "noticed" if value is NOTICED else "no effect" if value == intact else "silent change"
        except VitrailError:
            outcome = "noticed"
        except Exception as error:  # noqa: BLE001 - every other error is counted as internal
            outcome = "internal error"
            print(f"{path.name} {bit}: {error!r}", file=sys.stderr)
        report.write(f"{outcome}\n")
        report.flush()
        _put_back(path.parent, kept)


def _flip(content: bytes, bit: tuple[int, int]) -> bytes:
    place, number = bit
    return content[:place] + bytes([content[place] ^ 1 << number]) + content[place + 1 :]


def _put_back(folder: Path, kept: dict[Path, bytes]) -> None:
    """Undo what a reader changed: files it moved aside, made or wrote."""
    for file in folder.iterdir():
        if file.is_file() and file not in kept:
            file.unlink()
    for file, content in kept.items():
        if not file.exists():
            file.write_bytes(content)
        elif file.read_bytes() != content:
            _overwrite(file, content)


def _overwrite(file: Path, content: bytes) -> None:
    """Without emptying the file first: ext4 would wait for the disk when it is closed."""
    with file.open("r+b") as opened:
        opened.write(content)
        opened.truncate()


def _run_whole(command: str, root: Path, path: Path, bit: tuple[int, int] | None) -> tuple[str, object]:
    """The outcome of a whole command on a copy of everything, and what it gave."""
    copy = root.with_name(f"{root.name}-copy")  # always the same, since results hold the command
    shutil.copytree(root, copy)
    try:
        if bit is not None:
            (copy / path.relative_to(root)).write_bytes(_flip(path.read_bytes(), bit))
        arguments = name_command(command, copy)
        ended = run_command(arguments, copy)
        if ended.exit < 0:
            return "crash", None
        if any(mark in ended.text for mark in BAD_ENDS):
            return "internal error", None
        if ended.exit or (command == VERIFY and MISSING in ended.text):
            return "noticed", None
        if "--out" in arguments:
            return "no effect", read_run(copy / arguments[arguments.index("--out") + 1])
        return "no effect", ended.text
    finally:
        shutil.rmtree(copy)


def _run_whole_after(command: str, root: Path, path: Path, bit: tuple[int, int], wanted: object) -> str:
    outcome, value = _run_whole(command, root, path, bit)
    return "silent change" if outcome == "no effect" and value != wanted else outcome


if __name__ == "__main__":
    main()
