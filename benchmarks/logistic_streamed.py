"""A logistic head on rows that stay on disk: minibatches from a memory-mapped file, memory and time.

    python -m benchmarks.logistic_streamed [--rows 1000000] [--gain 1e-4]

768 float16 features, 1,000 classes. First the streamed solution on 100,000 of the rows against the full-batch one of
`heads/logistic.py` on the same rows: val NLL on 5,000 further rows. Then all rows, with the peak of resident memory.
Writes benchmarks/logistic_streamed_<hardware>_<yyyymm>.md, and the features (1.5 GB) into a temporary folder.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.logistic_path import nll
from benchmarks.results import clock_for, machine_line, write_results
from vitrail.core.machine import peak_rss_bytes
from vitrail.heads.logistic import fit_path
from vitrail.heads.logistic_streamed import fit_streamed

D, C, VAL, STRENGTH = 768, 1000, 5_000, 0.01


def main() -> None:
    """Write the rows, fit, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--subset", type=int, default=100_000)
    parser.add_argument("--gain", type=float, default=1e-4, help="nats")
    arguments, clock, timing = clock_for(parser)
    with tempfile.TemporaryDirectory() as folder:
        label_N = write_features(Path(folder) / "features.npy", arguments.rows + VAL)
        mapped_ND = np.load(Path(folder) / "features.npy", mmap_mode="r")
        val = np.asarray(mapped_ND[arguments.rows :], dtype=np.float32), label_N[arguments.rows :]
        lines = [__doc__.split("\n", 1)[0], ""]
        command = f"--rows {arguments.rows} --subset {arguments.subset} --threads {arguments.threads}"
        lines += [f"    python -m benchmarks.logistic_streamed {command}", "", machine_line(), timing, ""]
        lines += ["| rows | way | val NLL | passes | s | peak memory so far, GiB |", "| --- " * 6 + "|"]
        for count in sorted({arguments.subset, arguments.rows}):
            start = clock()
            fit = fit_streamed(
                mapped_ND.__getitem__,
                label_N[:count],
                classes=C,
                strength=STRENGTH * arguments.subset / count,
                gain=arguments.gain,
            )
            lines.append(line(count, "streamed", fit, clock() - start, val))
            print(lines[-1], flush=True)
        start = clock()
        whole_ND = np.asarray(mapped_ND[: arguments.subset], dtype=np.float32)
        (whole,) = fit_path(whole_ND, label_N[: arguments.subset], classes=C, strengths=[STRENGTH], tolerance=1e-6)
        lines.append(line(arguments.subset, "full batch", whole, clock() - start, val))
        print(lines[-1], flush=True)
    write_results("logistic_streamed", lines)


def line(count: int, way: str, fit, seconds: float, val) -> str:
    """A row of the table."""
    peak = peak_rss_bytes() / 2**30
    return f"| {count} | {way} | {nll(fit.logits(val[0]), val[1]):.4f} | {fit.passes} | {seconds:.0f} | {peak:.2f} |"


def write_features(path: Path, count: int) -> np.ndarray:
    """Overlapping classes in an ill-conditioned basis, written part by part."""
    draws = np.random.default_rng(0)
    label_N = draws.integers(0, C, count)
    centre_CD = 0.25 * draws.standard_normal((C, D), dtype=np.float32)
    mix_DD = (draws.standard_normal((D, D)) * np.logspace(0, -2, D)[:, None]).astype(np.float32)
    rows_ND = np.lib.format.open_memmap(path, "w+", np.float16, (count, D))
    for start in range(0, count, 20_000):
        label_B = label_N[start : start + 20_000]
        noise_BD = draws.standard_normal((len(label_B), D), dtype=np.float32)
        rows_ND[start : start + 20_000] = (centre_CD[label_B] + noise_BD) @ mix_DD + 1
    rows_ND.flush()
    return label_N


if __name__ == "__main__":
    main()
