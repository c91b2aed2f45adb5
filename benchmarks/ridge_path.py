"""A ridge path of 40 strengths with exact leave-one-out: scaling, Gram matrix, eigh and scoring included.

    python -m benchmarks.ridge_path

12,000 rows, 120 classes. At 384 features scikit-learn's RidgeClassifierCV does the same in the same run. Writes
benchmarks/ridge_path_<hardware>_<yyyymm>.md.
"""

import argparse
import statistics
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import RidgeClassifierCV

from benchmarks.heads_together import synthetic
from benchmarks.results import clock_for, machine_line, write_results
from vitrail.heads.ridge import RidgeFit, RidgePath

ALPHAS = tuple(np.logspace(-2, 6, 40).tolist())
BARS = {384: 1.5, 2048: 8.0}


def main() -> None:
    """Time both widths."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=3)
    arguments, clock, timing = clock_for(parser)
    lines = [__doc__.split("\n", 1)[0], "", f"    python -m benchmarks.ridge_path --threads {arguments.threads}", ""]
    lines += [machine_line(), timing, ""]
    lines += [
        "| width | s, median (least to most) | bar, s | best alpha | its leave-one-out accuracy |",
        "| --- " * 5 + "|",
    ]
    for width, bar in BARS.items():
        feature_ND, label_N = synthetic(width)
        seconds = []
        for _ in range(arguments.repetitions):
            start = clock()
            best = ours(feature_ND, label_N)
            seconds.append(clock() - start)
        lines.append(
            f"| {width} | {statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f}) | {bar} | "
            f"{best.alpha:.4g} | {best.left_out.accuracy:.4f} |"
        )
        print(lines[-1], flush=True)
    lines += ["", *against_sklearn(clock)]
    write_results("ridge_path", lines)


def ours(feature_ND: np.ndarray, label_N: np.ndarray) -> RidgeFit:
    """The path, and the fit at its best strength."""
    path = RidgePath(feature_ND, label_N, classes=120)
    return path.fit(min((path.leave_one_out(alpha) for alpha in ALPHAS), key=lambda left_out: left_out.error).alpha)


def against_sklearn(clock: Callable[[], float]) -> list[str]:
    """The same question to scikit-learn, at 384 features."""
    feature_ND, label_N = synthetic(384)
    scaled_ND = (feature_ND - feature_ND.mean(axis=0)) / feature_ND.std(axis=0)
    start = clock()
    theirs = RidgeClassifierCV(alphas=ALPHAS).fit(scaled_ND.astype(np.float64), label_N)
    seconds = clock() - start
    best = ours(feature_ND, label_N)
    apart = np.abs(best.weight_CD * best.temperature - theirs.coef_).max()
    return [
        f"scikit-learn's RidgeClassifierCV at 384 features: {seconds:.1f} s, alpha {theirs.alpha_:.4g} "
        f"(ours {best.alpha:.4g}); largest difference of a weight {apart:.1e}, of weights up to "
        f"{np.abs(theirs.coef_).max():.2g}."
    ]


if __name__ == "__main__":
    main()
