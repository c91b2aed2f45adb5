"""The ten small problems that the benchmarks of the head search share, and the features that they are drawn from.

    python -m benchmarks.problems FEATURES.npz      (computes the features; needs the images and weights in ../shared)

The other benchmarks read that file, so that an earlier commit can be measured on the very same features: only `tune`,
`make_split` and `Dataset` are used of Vitrail, and they have not changed since.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from vitrail.data import EXAMPLE_SCHEMA, Dataset, Split, make_split, open_source

SHARED = Path(__file__).resolve().parents[2] / "shared"
WEIGHTS = {
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "deit_tiny_patch16_224.fb_in1k": "deit_tiny_patch16_224.fb_in1k",
    "resnet18.tv_in1k": "resnet18.pqf_in1k",
    "resnet50.tv_in1k": "resnet50.pqf_in1k",
}
SOURCES = {"dogs": "stanford_dogs_224.csv", "flowers": "flowers_original", "digits": None}
PROBLEMS = (  # data, classes, images per class
    ("dogs", 10, 12), ("dogs", 20, 15), ("dogs", 5, 30), ("dogs", 40, 20), ("dogs", 120, 14),
    ("flowers", 5, 16), ("flowers", 20, 10), ("flowers", 10, 30), ("digits", 10, 20), ("digits", 10, 100),
)  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """Features by id, as `tune` takes them."""

    feature: dict[str, np.ndarray]
    backbone: str = "backbone"
    key: str = "key"
    pooling: str = "own"
    poolings: tuple[str, ...] = ("own",)

    def rows(self, ids: object) -> np.ndarray:
        """N x D."""
        return np.stack([self.feature[id_] for id_ in ids])

    def pooled(self, pooling: str) -> "Rows":
        """There is one pooling."""
        return self

    def reader(self, ids: object) -> np.ndarray:
        """The same rows: nothing stays on disk here."""
        return self.rows(ids)

    def blocks(self, ids: object) -> Iterator[np.ndarray]:
        """The same rows in one block."""
        yield self.rows(ids)


@dataclass(frozen=True)
class Problem:
    """Images to learn from, with a split of their own, and all other images of the classes as the test."""

    name: str
    rows: Rows
    dataset: Dataset
    split: Split
    learnt_ND: np.ndarray
    learnt_N: np.ndarray
    test_ND: np.ndarray
    test_N: np.ndarray


def draw_problems(features: Path, *, seeds: int) -> Iterator[Problem]:
    """Every problem with every backbone and seed, from the file that this module writes."""
    stored = np.load(features)
    for seed in range(seeds):
        for name, classes, per_class in PROBLEMS:
            draws = np.random.default_rng([seed, classes, per_class])
            all_N = stored[f"{name}/labels"]
            chosen = draws.choice(np.unique(all_N), classes, replace=False)
            rows = np.concatenate([draws.permutation(np.flatnonzero(all_N == c))[:per_class] for c in chosen])
            rest = np.setdiff1d(np.flatnonzero(np.isin(all_N, chosen)), rows)
            place = {c: number for number, c in enumerate(chosen)}
            label_N, rest_N = (np.array([place[c] for c in all_N[some]]) for some in (rows, rest))
            for backbone in WEIGHTS:
                all_ND = stored[f"{name}/{backbone}"]
                title = f"{name} {classes} x {per_class}, {backbone.split('.')[0]}, seed {seed}"
                yield make_problem(title, all_ND[rows], label_N, all_ND[rest], rest_N)


def make_problem(
    name: str, row_ND: np.ndarray, label_N: np.ndarray, rest_ND: np.ndarray, rest_N: np.ndarray
) -> Problem:
    """Split the rows as `bench` would; the rows of its test join the rest."""
    dataset, split, _ = make_split(make_dataset(label_N))
    ids = make_ids(len(label_N))
    held = [int(id_, 16) for id_ in split.test]
    learnt = sorted(set(range(len(ids))) - set(held))
    return Problem(
        name=name,
        rows=Rows(dict(zip(ids, row_ND, strict=True))),
        dataset=dataset,
        split=split,
        learnt_ND=row_ND[learnt],
        learnt_N=label_N[learnt],
        test_ND=np.concatenate([rest_ND, row_ND[held]]),
        test_N=np.concatenate([rest_N, label_N[held]]),
    )


def make_ids(count: int) -> list[str]:
    """The id of each row: its number, as long as a digest."""
    return [f"{number:064x}" for number in range(count)]


def make_dataset(label_N: np.ndarray) -> Dataset:
    """The rows as a data set without images, for what needs features only; classes are numbers."""
    ids = make_ids(len(label_N))
    columns = dict.fromkeys(EXAMPLE_SCHEMA.names, [None] * len(ids))
    columns |= {"id": ids, "paths": [[id_] for id_ in ids], "label": label_N}
    return Dataset(
        name="problem",
        table=pa.table(columns, schema=EXAMPLE_SCHEMA),
        classes=tuple(map(str, range(int(label_N.max()) + 1))),
        set_aside=(),
        warnings=(),
        fingerprint="",
        source=open_source(None),
    )


def read_features(name: str, backbones: Iterable[str] = tuple(WEIGHTS)) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The labels of a data set, and the rows of each backbone: of ../shared, or one that comes with the package."""
    from vitrail.backbones import open_backbone, parse_spec
    from vitrail.core.progress import Silent
    from vitrail.core.resources import Resources
    from vitrail.data import load
    from vitrail.features import extract

    place = SOURCES[name]
    dataset = load(open_source(None if place is None else SHARED / "data" / place))
    files = {name: f"={SHARED / 'weights' / file}.safetensors" for name, file in WEIGHTS.items()}
    texts = [backbone + files.get(backbone, "") for backbone in backbones]
    opened = [open_backbone(parse_spec(text), progress=Silent()) for text in texts]
    extraction = extract(dataset, opened, max_pixels=10**8, resources=Resources())
    ids = dataset.table["id"].to_pylist()
    return np.array(dataset.table["label"].to_pylist()), {f.backbone: f.rows(ids) for f in extraction.features}


def main() -> None:
    """Compute the features of every data set and backbone, and write them."""
    columns: dict[str, np.ndarray] = {}
    for name in SOURCES:
        columns[f"{name}/labels"], features = read_features(name)
        columns |= {f"{name}/{backbone}": feature_ND for backbone, feature_ND in features.items()}
    np.savez(sys.argv[1], **columns)


if __name__ == "__main__":
    main()
