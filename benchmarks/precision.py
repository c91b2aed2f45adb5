"""What a reduced precision changes: features' cosine to fp32 and the test top-1 of the tuned head, paired.

Needs the images and weights in ../shared; ResNet50's weights there are the product-quantised ones, and those of the
ViTs are real. Every precision is a whole benchmark of its own: features, search, refit, test.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.report import RESNET50, SHARED, VIT_TI, Page, weights
from vitrail.benchmark import bench
from vitrail.candidates.options import BenchOptions
from vitrail.runs import RunRecord
from vitrail.statistics.paired import mcnemar_exact, paired_difference

DATA = {"dogs": SHARED / "data" / "stanford_dogs_224.csv", "flowers": SHARED / "data" / "flowers_original"}


def main(*wanted: str) -> None:
    """Run the benchmarks and write the table; what is asked for by name, or everything."""
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", "benchmarks.precision")
    page.say(
        "Difference in test top-1 to fp32, in points, with its 95 % interval (paired, score), and McNemar's p.", ""
    )
    page.head(
        "data",
        "backbone",
        "precision",
        "top-1 %",
        "difference",
        "only it / only fp32 right, p",
        "cosine",
        "same answer",
    )
    for data in DATA:
        for name in (VIT_TI, RESNET50):
            if not wanted or data in wanted or name in wanted:
                compare(page, data, name)
    page.write("precision")


def compare(page: Page, data: str, name: str) -> None:
    """The rows of one backbone on one data set."""
    with TemporaryDirectory(prefix="vitrail-precision-") as folder:
        runs = {precision: run(data, name, precision, Path(folder)) for precision in ("fp32", "bf16", "int8")}
        exact_N = right(runs["fp32"], name)
        for precision, one in runs.items():
            right_N, parity = right(one, name), one.results.backbones[0].parity
            only, only_exact = int((right_N & ~exact_N).sum()), int((exact_N & ~right_N).sum())
            gain = paired_difference(only, only_exact, len(exact_N))
            page.row(
                data,
                name,
                precision,
                f"{100 * right_N.mean():.2f}",
                f"{100 * gain.value:+.2f} [{100 * gain.low:+.2f}, {100 * gain.high:+.2f}]",
                f"{only} / {only_exact}, {mcnemar_exact(only, only_exact):.2f}",
                "1" if parity is None else f"{parity.cosine_least:.4f} least, {parity.cosine_median:.4f} median",
                "all" if parity is None else f"{round(parity.top1_agreement * parity.images)} of {parity.images}",
            )


def run(data: str, name: str, precision: str, folder: Path) -> RunRecord:
    """A benchmark of one backbone in one precision."""
    spec = weights(name, folder)
    options = BenchOptions(engine="openvino", precision=precision)
    return bench(DATA[data], [f"{name}={spec.file}"], out=folder / precision, options=options)


def right(one: RunRecord, name: str) -> np.ndarray:
    """Which test examples were told right, in the order of their ids."""
    tested = one.predictions(name)
    right_N = tested.probability_NC.argmax(axis=1) == tested.label_N
    return right_N[np.argsort(tested.ids)]


if __name__ == "__main__":
    main(*sys.argv[1:])
