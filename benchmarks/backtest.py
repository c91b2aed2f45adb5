"""What the promises are worth: 200 small runs on real features, each printed claim scored on the images left out.

    python -m benchmarks.problems FEATURES.npz      (once; needs the images and weights in ../shared)
    python -m benchmarks.backtest FEATURES.npz [--runs 200] [--kept RUNS.jsonl]

A run draws 100 to 500 of the dogs or flowers and does what `bench` does from features on: split, search, refit,
thresholds, label curves, other splits, the test labels opened once, the verdict. All other images of the same classes
stay out and tell the truth about the very heads of the run. Four backbones take part, and two halves of ResNet50's
features, drawn at random, which do equally well but for luck. In every second round of runs a tenth of all labels are
replaced by another class, of the images left out too: the test as drawn then speaks of accuracy against such labels.

Each finished run is a line of RUNS.jsonl, from which the command goes on. One core is used.
Writes benchmarks/backtest_<hardware>_<yyyymm>.md, and the same figures into docs/backtest.md.
"""

import argparse
import csv
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.backtest_score import Notes, score_settling, score_verdict
from benchmarks.backtest_table import make_table
from benchmarks.backtest_training import score_training
from benchmarks.problems import SHARED, SOURCES, WEIGHTS, Rows, make_dataset, make_ids
from benchmarks.results import HERE, write_results
from vitrail.backbones import find_card
from vitrail.candidates.thresholds import make_refusal, predict
from vitrail.core.hashing import fingerprint
from vitrail.data import make_split
from vitrail.data.enough import MIN_IMAGES_PER_CLASS
from vitrail.evaluation import Contestant, Criteria, JudgedImages, assess, judge
from vitrail.heads import probabilities
from vitrail.search import Search, TuneOptions, tune

# Letters: N images of a run, M images left out, D features.

WORLDS = (  # data, classes, kinds (breeds or flowers) that are merged into them, numbers of images to draw
    ("dogs", 2, 120, (100, 200, 300, 400, 500)),
    ("dogs", 4, 120, (100, 200, 300, 400, 500)),
    ("dogs", 10, 120, (300, 400, 500)),
    ("dogs", 40, 40, (500,)),
    ("flowers", 4, 20, (100, 150, 200)),
    ("flowers", 20, 20, (200,)),
)
NOISES = (0.0, 0.1)
HALVED = "resnet50.tv_in1k"
PAGE = HERE.parent / "docs" / "backtest.md"
FIGURES = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class World:
    """A small data set and all other images of its classes; `clean_M` are the labels left out as they were."""

    data: str
    noise: float
    label_N: np.ndarray
    rest_M: np.ndarray
    clean_M: np.ndarray
    rows: Mapping[str, tuple[np.ndarray, np.ndarray]]


def draw_world(stored: Mapping[str, np.ndarray], number: int) -> World:
    """The world of a run: its number decides all of it."""
    draws = np.random.default_rng([24, number])
    data, classes, kinds, sizes = WORLDS[number % len(WORLDS)]
    noise = NOISES[number // len(WORLDS) % len(NOISES)]
    size = int(draws.choice(sizes))
    all_N = stored[f"{data}/labels"]
    class_of = merge_kinds(order_kinds(data, all_N, draws), classes, kinds, draws)
    among = np.flatnonzero(np.isin(all_N, list(class_of)))
    clean_N = np.array([class_of[kind] for kind in all_N[among]])
    changed_N = draws.random(len(among)) < noise
    label_N = np.where(changed_N, (clean_N + draws.integers(1, classes, len(among))) % classes, clean_N)
    while True:
        chosen = draws.permutation(len(among))
        drawn, rest = chosen[:size], chosen[size:]
        if np.bincount(label_N[drawn], minlength=classes).min() >= MIN_IMAGES_PER_CLASS:  # as `bench` demands
            break
    features = {name: stored[f"{data}/{name}"] for name in WEIGHTS}
    for half, columns in enumerate(np.array_split(draws.permutation(features[HALVED].shape[1]), 2)):
        features[f"{HALVED} half {half + 1}"] = features[HALVED][:, np.sort(columns)]
    return World(
        data=f"{data}, {classes} classes",
        noise=noise,
        label_N=label_N[drawn],
        rest_M=label_N[rest],
        clean_M=clean_N[rest],
        rows={name: (row_ND[among[drawn]], row_ND[among[rest]]) for name, row_ND in features.items()},
    )


def order_kinds(data: str, all_N: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Breeds in WordNet's order, in which neighbours are related; flowers in any order."""
    if data != "dogs":
        return draws.permutation(np.unique(all_N))
    with (SHARED / "data" / SOURCES["dogs"]).open() as file:
        folder_of = {row["label"]: Path(row["path"]).parent.name for row in csv.DictReader(file)}
    return np.argsort([folder_of[name] for name in sorted(folder_of)])


def merge_kinds(order: np.ndarray, classes: int, kinds: int, draws: np.random.Generator) -> dict[int, int]:
    """The class of each kind that takes part: pieces of the order, of which one may be three times as long as another.

    Where there are as many classes as kinds, each is its own class.
    """
    if classes == kinds:
        return {int(kind): place for place, kind in enumerate(draws.permutation(order)[:kinds])}
    share_C = draws.uniform(0.5, 1.5, classes)
    ends = np.round(np.cumsum(share_C) / share_C.sum() * kinds).astype(int)
    turned = np.roll(order, int(draws.integers(kinds)))
    return {int(kind): int(np.searchsorted(ends, place, side="right")) for place, kind in enumerate(turned)}


def run(world: World, number: int) -> dict[str, object]:
    """One run, and every claim of it against the images left out."""
    dataset, split, sealed = make_split(make_dataset(world.label_N))
    ids, searches = make_ids(len(world.label_N)), dict[str, Search]()
    contestants, left_out = [], []
    for name, (row_ND, rest_MD) in world.rows.items():
        rows = Rows(dict(zip(ids, row_ND, strict=True)), backbone=name)
        search = tune(rows, split, dataset, TuneOptions())
        refusal = make_refusal(search, rows, split, dataset)
        card = find_card(name.split(" ")[0])
        searches[name] = search

        def enter(probability_NC, strange_N, name=name, card=card, refusal=refusal, search=search):  # as `bench` does
            return Contestant(
                name=name,
                gmacs=card.gmacs,
                licence=card.licence,
                probability_NC=probability_NC,
                refusal=refusal,
                strange_N=strange_N,
                halves=search.halves,
            )

        contestants.append(enter(predict(search.head, rows, split.test), refusal.strange(rows.rows(split.test))))
        left_out.append(enter(probabilities(search.head, rest_MD), refusal.strange(rest_MD)))
    choices = fingerprint([split.fingerprint, *(c.refusal.digest for c in contestants)])
    criteria, images = Criteria(), JudgedImages(ids=split.test, classes=dataset.classes)
    told = judge(contestants, images, sealed, choices, criteria)
    rest = JudgedImages(ids=tuple(make_ids(len(world.rest_M))), classes=dataset.classes)
    true = assess(left_out, rest, world.rest_M, criteria, contamination={})
    clean = assess(left_out, rest, world.clean_M, criteria, contamination={}) if world.noise else true
    notes = Notes()
    score_verdict(notes, told, true, clean)
    draws = np.random.default_rng([25, number])
    score_settling(notes, told, true, criteria, draws)
    score_training(notes, told, true, searches, world, split, draws)
    return {
        "run": number,
        "data": world.data,
        "noise": world.noise,
        "images": len(world.label_N),
        "test": len(split.test),
        "left": len(world.rest_M),
        "sentence": told.decision.sentence,
        **notes.as_json(),
    }


def write_page(lines: Sequence[str]) -> None:
    """Put the figures into the page of the documentation, which has a title of its own and deeper headings."""
    figures = "\n".join(lines[1:]).replace("\n## ", "\n### ")
    page = PAGE.read_text()
    PAGE.write_text(FIGURES.sub(lambda _: f"{figures}\n\n", page))


def main() -> None:
    """Run what is not kept yet, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("features", type=Path)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--kept", type=Path, default=Path("backtest.jsonl"))
    options = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    kept = [json.loads(line) for line in options.kept.read_text().splitlines()] if options.kept.exists() else []
    stored = dict(np.load(options.features))
    with options.kept.open("a") as file:
        for number in sorted(set(range(options.runs)) - {record["run"] for record in kept}):
            begun = time.process_time()
            kept.append(run(draw_world(stored, number), number) | {"seconds": time.process_time() - begun})
            file.write(json.dumps(kept[-1]) + "\n")
            file.flush()
            print(f"run {number}, {kept[-1]['data']}: {kept[-1]['seconds']:.0f} s", flush=True)
    os.sched_setaffinity(0, cores)  # the machine as it is
    lines = make_table([record for record in kept if record["run"] < options.runs])
    print("\n".join(lines))
    write_results("backtest", lines)
    write_page(lines)


if __name__ == "__main__":
    main()
