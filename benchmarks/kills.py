"""Features after 20 kills -9, two writers at once, a flipped byte and a full disk, against an undisturbed pass.

    python -m benchmarks.kills

The 1,797 digits and both embedded backbones, each pass in a process of its own (`vitrail bench --part 1/1`).
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.results import machine_line, write_results

KILLS, SEED = 20, 0
SMALL_FILE = 40_000  # bytes: less than a whole shard


def main() -> None:
    """Run all of it, compare, and write the outcome."""
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.kills", ""]
    lines += [machine_line(), ""]

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        undisturbed, disturbed = Path(folder) / "undisturbed", Path(folder) / "disturbed"
        begun = time.monotonic()
        start(undisturbed).wait()
        whole_s = time.monotonic() - begun
        wanted = features(undisturbed)
        say(f"Undisturbed: {whole_s:.1f} s, {sum(table.num_rows for table in wanted.values()):,} rows.")
        kill_often(disturbed, whole_s, say)
        start(disturbed).wait()
        say(f"Gone on to the end: equal bit for bit: {features(disturbed) == wanted}.")
        for shard in sorted(disturbed.glob("features/*/*.arrow"))[1::2]:  # so that there is something to write
            shard.unlink()
        full = start(disturbed, smallest=True)
        said = full.communicate()[1].decode().strip().splitlines()
        line = said[-1].replace(str(disturbed), "CACHE") if said else "nothing said"
        say(f"- disk full (RLIMIT_FSIZE of {SMALL_FILE:,} bytes): exit {full.returncode}, {len(said)} line: {line}")
        writers = [start(disturbed), start(disturbed)]
        say(f"- two writers at once: exits {[writer.wait() for writer in writers]}; rows: {count(disturbed)}")
        say(f"Equal bit for bit: {features(disturbed) == wanted}.")
        shards = sorted(disturbed.glob("features/*/*.arrow"))
        flip(shards[0])
        say(f"- a flipped byte in one of {len(shards)} shards: equal {features(disturbed) == wanted}")
        start(disturbed).wait()
        again = sorted(disturbed.glob("features/*/*.arrow"))
        say(f"- computed again: {len(set(again) - set(shards))} new shards, {len(set(shards) & set(again))} kept")
        say(f"Equal bit for bit: {features(disturbed) == wanted}.")
    write_results("kills", lines)


def kill_often(folder: Path, whole_s: float, say: Callable[[str], None]) -> None:
    """KILLS passes, each killed at a random moment; the cache is emptied whenever a pass has finished before that."""
    draws, killed = np.random.default_rng(SEED), []
    while len(killed) < KILLS:
        moment = draws.uniform(0.3, 1) * whole_s
        process = start(folder)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed.append(count(folder))
            continue
        for shard in folder.glob("v1/features/*/*.arrow"):
            shard.unlink()
    say(f"- {KILLS} kills -9 at random moments; rows on disk after each: {', '.join(map(str, killed))}")


def start(cache: Path, *, smallest: bool = False) -> subprocess.Popen[bytes]:
    """One pass over the digits."""
    command = [sys.executable, "-c", "from vitrail.cli import main; main()", "bench", "--part", "1/1", "-q"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_FILE, SMALL_FILE))

    return subprocess.Popen(
        command,
        env=os.environ | {"VITRAIL_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if smallest else None,
        preexec_fn=limit if smallest else None,  # noqa: PLW1509 - this process has one thread
    )


def features(cache: Path) -> dict[str, pa.Table]:
    """All rows of each key, sorted by example, each example once; a row that stands twice must be twice the same."""
    found = {}
    for folder in sorted((cache / "v1" / "features").iterdir()):
        shards = [pa.ipc.open_file(path.read_bytes()).read_all() for path in sorted(folder.glob("*.arrow"))]
        if not shards:
            continue
        rows = {}
        for example, feature in (
            pair for shard in shards for pair in zip(shard["id"].to_pylist(), shard["feature"].to_pylist(), strict=True)
        ):
            if rows.setdefault(example, feature) != feature:
                raise SystemExit(f"{example} has two rows that differ")
        ids = sorted(rows)
        found[folder.name] = pa.table({"id": ids, "feature": [rows[example] for example in ids]})
    return found


def count(cache: Path) -> int:
    """Rows in all shards."""
    return sum(pa.ipc.open_file(path.read_bytes()).read_all().num_rows for path in cache.glob("v1/features/*/*.arrow"))


def flip(path: Path) -> None:
    """One bit of one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


if __name__ == "__main__":
    main()
