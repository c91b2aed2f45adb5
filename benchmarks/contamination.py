"""What is said of images that backbones saw in pretraining, and of images that they did not.

    python -m benchmarks.contamination [digits flowers dogs anonymous renamed]

`anonymous` are the dogs with random file names, as own photographs of their breeds would have; `renamed` have classes
named 1 to 120 too. Needs the images and weights in ../shared but
for the digits. Logistic heads alone are searched: the figure of interest is the untuned classifier beside them. Writes
benchmarks/contamination_<hardware>_<yyyymm>.md, a chapter a data set.
"""

import csv
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.results import keep_chapter
from vitrail.benchmark import bench
from vitrail.candidates.options import BenchOptions
from vitrail.runs import Results
from vitrail.search import TuneOptions

SHARED = Path(__file__).resolve().parents[2] / "shared"
DOGS = SHARED / "data" / "stanford_dogs_224.csv"
WEIGHTS = {
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "deit_tiny_patch16_224.fb_in1k": "deit_tiny_patch16_224.fb_in1k",
    "resnet18.tv_in1k": "resnet18.pqf_in1k",
    "resnet50.tv_in1k": "resnet50.pqf_in1k",
}
DATA = ("digits", "flowers", "dogs", "anonymous", "renamed")
OPTIONS = BenchOptions(search=TuneOptions(kinds=("logistic",), seeds=1))


def main() -> None:
    """Measure, print, and write each chapter beside this file."""
    for name in [name for name in DATA if name in sys.argv[1:]] or DATA:
        with TemporaryDirectory() as folder:
            lines = list(say(run(name, Path(folder))))
        print("\n".join([f"## {name}", "", *lines, ""]), flush=True)
        keep_chapter("contamination", (__doc__ or "").splitlines()[0], name, lines)


def run(name: str, folder: Path) -> Results:
    """The benchmark of one data set."""
    backbones = [f"{known}={SHARED / 'weights' / file}.safetensors" for known, file in WEIGHTS.items()]
    if name == "digits":
        return bench(None, out=folder / name, options=OPTIONS).results
    data = {"flowers": SHARED / "data" / "flowers_original", "dogs": DOGS}.get(name) or rename(
        folder, classes=name == "renamed"
    )
    return bench(data, backbones, out=folder / name, options=OPTIONS).results


def rename(folder: Path, *, classes: bool) -> Path:
    """The dogs under file names that say nothing, and class names too: a manifest beside the copies."""
    rows = list(csv.DictReader(DOGS.read_text().splitlines()))
    draws = random.Random(0)
    breeds = sorted({row["label"] for row in rows})
    number = dict(zip(breeds, draws.sample(range(1, len(breeds) + 1), len(breeds)), strict=True))
    (folder / "images").mkdir()
    lines = ["path,label,split"]
    for row in rows:
        name = f"images/{draws.getrandbits(64):016x}.jpg"
        shutil.copy(DOGS.parent / row["path"], folder / name)
        lines.append(f"{name},{number[row['label']] if classes else row['label']},{row['split']}")
    manifest = folder / "renamed.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def say(results: Results) -> Iterator[str]:
    """A table of one run, and its sentences."""
    yield "| backbone | verdict | untuned | classes, matched by | tuned head | test images |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for one in results.backbones:
        found = one.contamination
        assert found is not None
        zero, tuned = found.untuned, one.test.top1
        untuned = f"{100 * zero.accuracy.value:.1f}% | {zero.classes}, {zero.matched_by}" if zero else "- | -"
        yield f"| {one.name} | {found.verdict} | {untuned} | {100 * tuned.value:.1f}% | {tuned.n:,} |"
    yield ""
    for one in results.backbones:
        yield f"- {one.contamination.sentence if one.contamination else ''}"
    yield ""
    yield results.decision.sentence


if __name__ == "__main__":
    main()
