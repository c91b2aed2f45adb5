"""The path of 20 strengths of logistic regression, against scikit-learn's lbfgs at tol 1e-6 and max_iter 5000.

    python -m benchmarks.logistic_path [--every 4]

12,000 x 384 x 120, standardised: the dogs' features of a ViT-Ti tiled with noise to that size, and a hard synthetic
set; and the dogs' 2048 features of a ResNet-50, tiled likewise. C from 1e-4 to 100. Ours ends at a gradient of 1e-6, as
scikit-learn's does, and each strength starts from the one before; scikit-learn is run on every n-th strength, and the
ratio is of the seconds of those same strengths. Val is 3,000 further rows. Needs the images and weights in ../shared.
Writes benchmarks/logistic_path_<hardware>_<yyyymm>.md.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from benchmarks.results import clock_for, machine_line, write_results
from vitrail.heads.head import log_softmax
from vitrail.heads.logistic import LogisticPath

STRENGTHS = np.logspace(-4, 2, 20)
N, VAL, C = 12_000, 3_000, 120


def main() -> None:
    """Run every set and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="scikit-learn takes every n-th strength")
    parser.add_argument("--width", type=int, help="this one only")
    parser.add_argument("--dtypes", nargs="*", default=["float32", "float64"])
    arguments, clock, timing = clock_for(parser)
    lines = [
        __doc__.split("\n", 1)[0],
        "",
        f"    python -m benchmarks.logistic_path --every {arguments.every} --threads {arguments.threads}",
        "",
    ]
    lines += [machine_line(), timing, ""]
    for name, feature_ND, label_N in sets():
        if arguments.width in (None, feature_ND.shape[1]):
            lines += [*compare(name, feature_ND, label_N, arguments.every, arguments.dtypes, clock), ""]
            write_results("logistic_path", lines)


def compare(name: str, feature_ND: np.ndarray, label_N: np.ndarray, every: int, dtypes: list[str], clock) -> list[str]:
    """One set: a line a strength that both were given."""
    mean_D, scale_D = feature_ND[:N].mean(axis=0), feature_ND[:N].std(axis=0)
    scaled_ND = (feature_ND - mean_D) / scale_D
    start = clock()
    path = LogisticPath(feature_ND[:N], label_N[:N], classes=C)
    ready = clock() - start
    fits, seconds_of = [], {}
    for strength in STRENGTHS.tolist():
        begun = clock()
        fits.append(path.fit(strength))
        seconds_of[strength] = clock() - begun
    whole = clock() - start
    lines = [
        f"**{name}**, {N} x {feature_ND.shape[1]} x {C}: ours takes {whole:.1f} s for all {len(STRENGTHS)} strengths, "
        f"{sum(not fit.converged for fit in fits)} of them unconverged.",
        "",
        "| C | ours: val NLL | gradient | s | " + " | ".join(f"{d}: val NLL | s" for d in dtypes) + " |",
        "| --- " * (4 + 2 * len(dtypes)) + "|",
    ]
    ours_s = ready
    theirs_s = dict.fromkeys(dtypes, 0.0)
    apart = 0.0
    for fit in fits[::every]:
        ours = nll(fit.logits(feature_ND[N:]), label_N[N:])
        ours_s += seconds_of[fit.strength]
        cells = []
        for dtype in dtypes:
            theirs, seconds = sklearn_nll(scaled_ND.astype(dtype), label_N, fit.strength, clock)
            theirs_s[dtype] += seconds
            apart = max(apart, abs(theirs - ours))
            cells.append(f"{theirs:.5f} | {seconds:.1f}")
        mine = f"{fit.strength:.3g} | {ours:.5f} | {fit.gradient:.1e} | {seconds_of[fit.strength]:.2f}"
        lines.append(f"| {mine} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    ratios = ", ".join(f"{theirs_s[dtype] / ours_s:.1f} ({dtype})" for dtype in dtypes)
    lines += ["", f"scikit-learn's seconds over ours: {ratios}. Largest difference of a val NLL: {apart:.1e}."]
    return lines


def sklearn_nll(scaled_ND: np.ndarray, label_N: np.ndarray, strength: float, clock) -> tuple[float, float]:
    """scikit-learn's val NLL and its seconds."""
    start = clock()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=strength, tol=1e-6, max_iter=5000).fit(scaled_ND[:N], label_N[:N])
    seconds = clock() - start
    return nll(model.decision_function(scaled_ND[N:]).astype(np.float64), label_N[N:]), seconds


def nll(logit_NC: np.ndarray, label_N: np.ndarray) -> float:
    """In nats."""
    return float(-log_softmax(logit_NC)[np.arange(len(label_N)), label_N].mean())


def sets():
    """Each set's name, features (val last) and labels."""
    draws = np.random.default_rng(0)
    for width, backbone in ((384, "vit_tiny_patch16_224.augreg_in21k_ft_in1k"), (2048, "resnet50.tv_in1k")):
        feature_ND, label_N = dogs(backbone)
        row_N = draws.integers(0, len(label_N), N + VAL)
        tiled_ND = np.tile(feature_ND, (1, -(-width // feature_ND.shape[1])))[:, :width]
        noise_ND = draws.standard_normal((N + VAL, width), dtype=np.float32)
        yield f"dogs, {backbone}", tiled_ND[row_N] + tiled_ND.std(axis=0) * noise_ND, label_N[row_N]
        if width == 384:
            label_N = draws.integers(0, C, N + VAL)
            basis_DD = draws.standard_normal((width, width)) * np.logspace(0, -3, width)[:, None]  # ill-conditioned
            centre_CD = 0.3 * draws.standard_normal((C, width))
            hard_ND = (centre_CD[label_N] + draws.standard_normal((N + VAL, width))) @ basis_DD
            yield "hard synthetic set", hard_ND.astype(np.float32), label_N


def dogs(backbone: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of every dog, from the store or computed now."""
    from benchmarks.heads_against_sklearn import SHARED, WEIGHTS
    from vitrail.backbones import BackboneSpec, open_backbone
    from vitrail.core.progress import Silent
    from vitrail.core.resources import Resources
    from vitrail.data import load, open_source
    from vitrail.features import extract

    dataset = load(open_source(SHARED / "data" / "stanford_dogs_224.csv"))
    spec = BackboneSpec(name=backbone, file=Path(SHARED / "weights" / f"{WEIGHTS[backbone]}.safetensors"))
    extraction = extract(
        dataset,
        [open_backbone(spec, progress=Silent())],
        max_pixels=10**8,
        resources=Resources(),
    )
    return extraction.features[0].rows(dataset.table["id"].to_pylist()), np.array(dataset.table["label"].to_pylist())


if __name__ == "__main__":
    main()
