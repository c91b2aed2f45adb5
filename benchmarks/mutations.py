"""Mutated images, archives, tables and JSON files: crashes, internal errors, peak memory, the slowest item.

    python -m benchmarks.mutations [--images 5000] [--archives 1000] [--tables 1000]

Valid files of every kind are damaged at random (bits, bytes, lengths, cuts, repeats) and read as a run reads them, in a
process of its own, so that a crash is counted and does not end the measurement. An internal error is any exception that
is not an answer to the user. Memory is the most that one item adds to the process (VmHWM), time is CPU time. Vitrail
parses Parquet in one more process, which has limits of its own: a crash there is a refusal, and its memory and time are
not counted.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.mutation_seeds import archive_seeds, image_seeds, json_seeds, table_seeds
from benchmarks.results import machine_line, write_results
from vitrail.core.errors import VitrailError
from vitrail.data import ImageRejected, inspect, open_source
from vitrail.data.images import decode, decode_for, decode_grey
from vitrail.runs import read_results

MOST_PIXELS = 100_000_000
ADDRESS_SPACE = 16 << 30  # bytes; what asks for more fails in place of swapping
LENGTHS = (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff", b"\x7f\xff")

Seed = tuple[str, bytes]  # a file's name, and its content


def main() -> None:
    """Read every mutant in child processes, and write the table."""
    parser = argparse.ArgumentParser()
    counts = {"images": 5000, "archives": 1000, "tables": 1000}
    for kind, count in counts.items():
        parser.add_argument(f"--{kind}", type=int, default=count)
    parser.add_argument("--child", nargs=3, metavar=("KIND", "FIRST", "END"))
    given = parser.parse_args()
    if given.child:
        read_mutants(given.child[0], int(given.child[1]), int(given.child[2]))
        return
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.mutations", "", machine_line()]
    lines += ["", "| files | mutants | read | refused | crashes | internal errors | most memory | slowest |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
    faults: list[str] = []
    for kind in counts:
        items = list(follow_children(kind, getattr(given, kind)))
        lines.append(describe(kind, items))
        faults += [f"- {item['seed']}, mutant {item['number']}: {item['outcome']}" for item in items if is_fault(item)]
        print(lines[-1], flush=True)
    lines += ["", "MB are 10^6 bytes above the process before the item; seconds of CPU. Other work ran on the machine."]
    lines += ["The process that parses Parquet is not counted: a crash there is a refusal."]
    lines += ["", "Faults: " + ("none." if not faults else ""), *faults]
    write_results("mutations", lines)


def describe(kind: str, items: Sequence[dict]) -> str:
    """A row of the table."""
    outcomes = Counter(item["outcome"].split(":")[0] for item in items)
    largest, slowest = (max(items, key=lambda item: item.get(figure, 0)) for figure in ("peak", "cpu"))
    return (
        f"| {kind} | {len(items):,} | {outcomes['read']:,} | {outcomes['refused']:,} | {outcomes['crash']} | "
        f"{outcomes['internal error']} | {largest['peak'] / 1e6:.0f} MB ({largest['seed']}) | "
        f"{slowest['cpu']:.2f} s ({slowest['seed']}) |"
    )


def is_fault(item: dict) -> bool:
    """Whether an item ended in no answer to the user."""
    return item["outcome"].startswith(("crash", "internal error"))


def follow_children(kind: str, count: int) -> Iterator[dict]:
    """The outcome of each mutant; after a crash another process goes on behind it."""
    following = 0
    while following < count:
        command = [sys.executable, "-m", "benchmarks.mutations", "--child", kind, str(following), str(count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                item = json.loads(line)
                following = item["number"] + 1
                yield item
        if following < count:
            yield {"number": following, "seed": "", "outcome": f"crash: exit {child.returncode}", "peak": 0, "cpu": 0}
            following += 1


def read_mutants(kind: str, first: int, end: int) -> None:
    """Read mutants one after the other, with a line of JSON for each."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    seeds = seeds_of(kind)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in seeds:  # what is imported and allocated once is no cost of a mutant
            read_file(kind, name, content, Path(folder))
        for number in range(first, end):
            name, content = seeds[number % len(seeds)]
            mutant = mutate(random.Random(f"{kind} {number}"), content)
            before, begun = restart_peak(), time.process_time()
            outcome = read_file(kind, name, mutant, Path(folder))
            cpu, peak = time.process_time() - begun, peak_bytes() - before
            item = {"number": number, "seed": name, "outcome": outcome, "peak": peak, "cpu": cpu}
            print(json.dumps(item), flush=True)


def seeds_of(kind: str) -> list[Seed]:
    """The valid files that mutants of a kind are made from."""
    if kind == "tables":
        return [*table_seeds(), *json_seeds()]
    return list({"images": image_seeds, "archives": archive_seeds}[kind]())


def read_file(kind: str, name: str, content: bytes, folder: Path) -> str:
    """Read a file as a run does: "read", "refused", or "internal error" and what it was."""
    read: Callable[[str, bytes, Path], None] = read_image if kind == "images" else read_data
    try:
        read(name, content, folder)
    except VitrailError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - every other exception is counted
        return f"internal error: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return "read"


def read_image(name: str, content: bytes, folder: Path) -> None:
    """Decode an image in every way that there is."""
    inspect(content, max_pixels=MOST_PIXELS)
    whole = decode(content, max_pixels=MOST_PIXELS)
    assert whole.mode == "RGB"
    decode_for(content, [None, 16], max_pixels=MOST_PIXELS)
    decode_grey(content, at_least=16, max_pixels=MOST_PIXELS)


def read_data(name: str, content: bytes, folder: Path) -> None:
    """List an archive or a table and read its files; or read the results of a run."""
    path = folder / name
    path.write_bytes(content)
    if name == "results.json":
        read_results(folder)
        return
    source = open_source(path)
    for listed in source.list_files():
        if hasattr(listed, "label"):
            try:
                inspect(source.read(listed.path), max_pixels=MOST_PIXELS)
            except (OSError, ImageRejected):  # which a run names as the reason
                continue


def mutate(rng: random.Random, content: bytes) -> bytes:
    """The same file with one kind of damage, more often near its ends, where headers and directories are."""
    mutant = bytearray(content)

    def place() -> int:
        near = min(len(mutant), 200)
        return rng.choice([rng.randrange(len(mutant)), rng.randrange(near), len(mutant) - 1 - rng.randrange(near)])

    at, length = place(), rng.randrange(1, 64)
    damage = rng.choice(["bits", "bits", "byte", "length", "cut", "zeros", "repeat", "drop", "noise"])
    if damage == "bits":
        for _ in range(rng.choice([1, 1, 2, 8])):
            mutant[place()] ^= 1 << rng.randrange(8)
    elif damage == "byte":
        mutant[at] = rng.choice([0, 1, 127, 128, 255])
    elif damage == "length":
        value = rng.choice(LENGTHS)
        mutant[at : at + len(value)] = value
    elif damage == "cut":
        del mutant[at:]
    elif damage == "zeros":
        mutant[at : at + length] = bytes(length)
    elif damage == "repeat":
        mutant[at:at] = mutant[at : at + length] * rng.choice([1, 1, 1000])
    elif damage == "drop":
        del mutant[at : at + length]
    else:
        mutant[at : at + length] = rng.randbytes(length)
    return bytes(mutant)


def restart_peak() -> int:
    """Begin a new peak of resident memory, and return what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def peak_bytes() -> int:
    """The peak of resident memory since it was begun."""
    status = Path("/proc/self/status").read_text()
    return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
