"""A benchmark killed with SIGKILL at five random moments, then run again, against an undisturbed one.

    python -m benchmarks.killed_runs

Needs the images and weights in ../shared. Writes benchmarks/killed_runs_<hardware>_<yyyymm>.md.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.results import machine_line, write_results

SHARED = Path(__file__).resolve().parents[2] / "shared"
BACKBONES = {
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "resnet50.tv_in1k": "resnet50.pqf_in1k",
}
KILLS, SEED = 5, 0
CLOCK = ("seconds", "user_s")


def main() -> None:
    """Run both, compare, and write the outcome beside this file."""
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.killed_runs", ""]
    lines += [machine_line(), ""]
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, disturbed = Path(folder) / "undisturbed", Path(folder) / "disturbed"
        begun = time.monotonic()
        start(undisturbed).wait()
        whole_s = time.monotonic() - begun
        lines.append(f"flowers_original, 800 images, two backbones; the undisturbed run took {whole_s:.1f} s.")
        draws = np.random.default_rng(SEED)
        for _ in range(KILLS):
            moment = draws.uniform(1, 0.7 * whole_s)
            process = start(disturbed)
            try:
                process.wait(moment)
                outcome = "it had finished"
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                outcome = "killed"
            lines.append(f"- after {moment:.1f} s {outcome}; rows on disk: {rows(disturbed)[0]}")
            print(lines[-1], flush=True)
        start(disturbed).wait()
        total, distinct = rows(disturbed)
        equal = figures(disturbed) == figures(undisturbed)
        lines += [
            "",
            f"Resumed: {total} rows on disk, {distinct} distinct, of {rows(undisturbed)[1]}; results equal: {equal}.",
        ]
        print(lines[-1])
    write_results("killed_runs", lines)


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The benchmark, with a cache of its own."""
    asked = [f"-b{name}={SHARED / 'weights' / f'{file}.safetensors'}" for name, file in BACKBONES.items()]
    command = [sys.executable, "-c", "from vitrail.cli import main; main()", "bench"]
    command += [str(SHARED / "data" / "flowers_original"), *asked, "--out", str(folder / "run"), "-q"]
    environment = os.environ | {"VITRAIL_CACHE": str(folder / "cache")}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def rows(folder: Path) -> tuple[int, int]:
    """Rows in all shards, and how many of them are distinct by backbone and example."""
    found = Counter(
        (path.parent.name, example)
        for path in (folder / "cache").glob("v1/features/*/*.arrow")
        for example in pa.ipc.open_file(pa.memory_map(str(path))).read_all()["id"].to_pylist()
    )
    return sum(found.values()), len(found)


def figures(folder: Path) -> dict[str, object]:
    """What two equal runs share: data, split, search figures, test, pairs and decision, without what the clock said."""
    results = json.loads((folder / "run" / "results.json").read_text())
    for one in results["backbones"]:
        del one["cost"], one["trial"]
    return {part: timeless(results[part]) for part in ("data", "split", "backbones", "pairs", "decision")}


def timeless(value: object) -> object:
    """The same without what the clock said."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in CLOCK}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
