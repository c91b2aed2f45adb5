"""The deck's comparison at its full size, files to decision: 20,580 dogs, ViT-S/16 and ResNet50, heads included.

The 4,800 dogs of ../shared are repeated, each copy made distinct by a JPEG comment, and both backbones have random
weights of seed 0: this measures time, and its accuracies mean nothing. The deck names 9 h 50 min of a GPU machine.
"""

import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.report import SHARED, VIT_S, Page, weights
from vitrail.benchmark import bench
from vitrail.candidates import deck

IMAGES = 20_580
RESNET = "resnet50.a1_in1k"  # no weights of that name in ../shared, so they are random
DECK_S = deck.RESNET.user_s + deck.VIT.user_s
START_OF_IMAGE, COMMENT = b"\xff\xd8", b"\xff\xfe"


def main(*kept: str) -> None:
    """Draw the folder, run the benchmark, write the page. With a folder that is kept, an interrupted run goes on."""
    work = Path(kept[0]) if kept else Path(mkdtemp(prefix="vitrail-deck-"))
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", "benchmarks.deck")
    repeat_dogs(work / "dogs")
    specs = [weights(name, work) for name in (VIT_S, RESNET)]
    begun = time.perf_counter()
    run = bench(work / "dogs", [f"{spec.name}={spec.file}" for spec in specs], out=work / "run")
    wall_s = time.perf_counter() - begun
    results = run.results
    counts = {part: sum(classes.values()) for part, classes in results.data.counts.items()}
    page.say(f"{IMAGES:,} images: {counts['train']:,} train, {counts['val']:,} val, {counts['test']:,} test.", "")
    page.head("backbone", "engine", "forward s, both cores", "decode s of a core", "computed now", "search s", "trials")
    for one in results.backbones:
        page.row(
            one.name,
            f"{one.engine} {one.precision}",
            f"{one.cost.forward_s:.0f}",
            f"{one.cost.decode_s:.0f}",
            f"{100 * (1 - one.cost.cached):.0f} %",
            f"{one.search.seconds:.0f}",
            one.search.trials,
        )
    page.say(
        "",
        f"Files to decision and report: {wall_s / 60:.1f} min; the deck's 9 h 50 min is {DECK_S / wall_s:.0f} x that.",
    )
    cost = results.cost
    page.say(f"Peak memory {cost.peak_rss_bytes / 2**30:.1f} GiB; CPU in user mode {cost.user_s / 60:.1f} min.")
    page.write("deck")


def repeat_dogs(folder: Path) -> None:
    """So many dogs in their class folders, no two of them equal byte for byte."""
    files = sorted((SHARED / "data" / "stanford_dogs_224").rglob("*.jpg"))
    for number in range(IMAGES):
        file = files[number % len(files)]
        target = folder / file.parent.name / f"{file.stem}-{number // len(files)}.jpg"
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        content, said = file.read_bytes(), f"copy {number // len(files)}".encode()
        assert content.startswith(START_OF_IMAGE)
        segment = COMMENT + (len(said) + 2).to_bytes(2, "big") + said
        target.write_bytes(START_OF_IMAGE + segment + content[2:])


if __name__ == "__main__":
    main(*sys.argv[1:])
