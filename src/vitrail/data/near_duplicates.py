"""Near-duplicates: resized, re-encoded, brightened, mirrored or cropped copies of one image.

Three stages, each on the pairs that the previous stage kept: small grey copies propose pairs (`proposals.py`), the grey
copies of a pair are aligned, and the pixels of the images decide (`alignment.py`). Features of networks are not used:
two dogs of a breed look alike and are not copies.

Near-duplicates are a group, so they stay on one side of every split that Vitrail draws. A given split is not changed;
pairs that cross it are reported, and the verdict is given with and without them.

Letters: P pairs, S side in pixels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vitrail.core.progress import Progress, running
from vitrail.core.resources import Resources
from vitrail.core.threads import ThreadPool
from vitrail.data.alignment import Agreement, align, refine
from vitrail.data.dataset import Dataset, fingerprint_of, read_example
from vitrail.data.grey_copies import LEAST_PIXELS, GreyCopies, make_grey_copies, make_grey_copy
from vitrail.data.images import ImageRejected
from vitrail.data.proposals import describe, propose

LEAST_OF_COPIES = 0.5  # correlation of aligned grey copies under which pixels are not compared
PIXEL_SIDE = 96  # of the squares that decide
LEAST_CORRELATION = 0.8  # of fine structure; copies stay above 0.9, look-alikes below 0.6 (benchmarks/duplicates.py)
LEAST_TILES = 0.7  # of the tiles of an image that must agree each on its own
LEAST_OVERLAP = 0.5
BATCH = 128
SQUARES_KEPT = 4096
NEAR_GROUP = "near-duplicates of "  # how the name of a group begins that near-duplicates alone make
TASKS = ("Comparing grey copies", "Comparing pixels")


@dataclass(frozen=True, kw_only=True, slots=True)
class NearPair:
    """Two examples whose pixels agree; `correlation` is that of their fine structure once aligned, at most 1.

    `overlap` is the fraction of the first image that the second covers; a crop covers less than all.
    """

    a: str
    b: str
    correlation: float
    overlap: float
    mirrored: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class NearDuplicates:
    """Every pair, sorted by id; and how many examples could not be searched.

    `too_small` have fewer than 32 pixels along a side, and `one_colour` have nearly no contrast: either would resemble
    every other image of its kind.
    """

    pairs: tuple[NearPair, ...] = ()
    too_small: int = 0
    one_colour: int = 0


def find_near_duplicates(dataset: Dataset, *, max_pixels: int, resources: Resources) -> NearDuplicates:
    """Every pair of examples that show the same image; labels and splits play no part.

    Larger images than `max_pixels` are passed over, as are those that cannot be decoded.

    Raises:
        StoreError: the cache cannot be written.
        DataError: a file has changed since the data set was read.
    """
    threads, progress = resources.threads.compute, resources.progress
    copies = make_grey_copies(dataset, max_pixels=max_pixels, resources=resources)
    with running(progress, TASKS[0], total=len(copies.ids), unit="images"):
        pairs_P2 = propose(copies.copy_NSS, threads=threads, advance=lambda rows: progress.advance(TASKS[0], rows))
        pairs_P2, agreement = compare_grey_copies(copies.copy_NSS, pairs_P2, threads=threads)
    flat_N = ~describe(copies.copy_NSS, (0.0, 1.0), (0.0, 1.0)).any(axis=1)
    return NearDuplicates(
        pairs=tuple(_decide(dataset, copies, pairs_P2, agreement, max_pixels, progress)),
        too_small=int(copies.small_N.sum()),
        one_colour=int((flat_N & ~copies.small_N).sum()),
    )


def keep_together(dataset: Dataset, near: NearDuplicates) -> Dataset:
    """Make near-duplicates one group, joined with the groups that were given, so that no drawn split parts them.

    Returns:
        The data set with these groups, counts and warnings, and a new fingerprint.
    """
    counts, pairs = count_near(dataset, near), near.pairs
    counted = replace(
        dataset,
        duplicates={**dataset.duplicates, **counts},
        warnings=(*dataset.warnings, *_cautions(counts)),
    )
    if not pairs:
        return counted
    table = dataset.table
    group_of = _joined(table.column("id").to_pylist(), table.column("group").to_pylist(), pairs)
    groups = pa.array([group_of.get(id_) for id_ in table.column("id").to_pylist()], pa.string())
    field = table.schema.get_field_index("group")
    grouped = table.set_column(field, table.schema.field("group"), groups)
    return replace(counted, table=grouped, fingerprint=fingerprint_of(grouped, dataset.classes))


def count_near(dataset: Dataset, near: NearDuplicates) -> dict[str, int]:
    """The pairs, the examples in them, how many pairs cross given splits or labels, and what was not searched."""
    pairs = near.pairs
    columns = (dataset.table.column(name).to_pylist() for name in ("id", "label", "given_split"))
    known = {id_: (label, split) for id_, label, split in zip(*columns, strict=True)}
    return {
        "near_pairs": len(pairs),
        "near_examples": len({id_ for pair in pairs for id_ in (pair.a, pair.b)}),
        "near_across_splits": sum(known[pair.a][1] != known[pair.b][1] for pair in pairs),
        "near_two_labels": sum(known[pair.a][0] != known[pair.b][0] for pair in pairs),
        "too_small": near.too_small,
        "one_colour": near.one_colour,
    }


def leaking_into(pairs: Iterable[NearPair], tested: Iterable[str]) -> tuple[str, ...]:
    """The tested examples that have a near-duplicate which is not tested, sorted."""
    test = set(tested)
    return tuple(
        sorted({id_ for pair in pairs if (pair.a in test) != (pair.b in test) for id_ in (pair.a, pair.b)} & test)
    )


def _joined(ids: Sequence[str], given: Sequence[str | None], pairs: Sequence[NearPair]) -> Mapping[str, str]:
    """The group of every example that has one: components over pairs and given groups, named after their first."""
    names = sorted({name for name in given if name is not None})
    row = {id_: number for number, id_ in enumerate(ids)}
    place = {name: len(ids) + number for number, name in enumerate(names)}
    edges = [(row[pair.a], row[pair.b]) for pair in pairs]
    edges += [(number, place[name]) for number, name in enumerate(given) if name is not None]
    size = len(ids) + len(names)
    ends = np.asarray(edges, dtype=np.int64)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(size, size))
    component_V = connected_components(graph, directed=False)[1]
    called: dict[int, str] = {}
    for name in names:
        called.setdefault(int(component_V[place[name]]), name)
    for id_ in sorted(id_ for pair in pairs for id_ in (pair.a, pair.b)):
        called.setdefault(int(component_V[row[id_]]), f"{NEAR_GROUP}{id_[:16]}")
    return {id_: called[int(component_V[number])] for id_, number in row.items() if int(component_V[number]) in called}


def compare_grey_copies(
    copy_NSS: NDArray[np.uint8], pairs_P2: NDArray[np.int64], *, threads: int
) -> tuple[NDArray[np.int64], Agreement]:
    """The second stage: align the grey copies of the proposed pairs, which are rows of `copy_NSS`.

    Returns:
        The pairs that agree once aligned, and how.
    """

    def compare(start: int) -> Agreement:
        batch_P2 = pairs_P2[start : start + BATCH]
        return align(copy_NSS[batch_P2[:, 0]].astype(np.float32), copy_NSS[batch_P2[:, 1]].astype(np.float32))

    with ThreadPool(threads, thread_name_prefix="align") as pool:
        agreement = Agreement.joined(list(pool.map(compare, range(0, len(pairs_P2), BATCH))))
    agree_P = agreement.correlation_P > LEAST_OF_COPIES
    return pairs_P2[agree_P], agreement.only(agree_P)


def _decide(
    dataset: Dataset,
    copies: GreyCopies,
    pairs_P2: NDArray[np.int64],
    agreement: Agreement,
    max_pixels: int,
    progress: Progress,
) -> Iterable[NearPair]:
    paths = dataset.by_id("paths")

    @lru_cache(SQUARES_KEPT)
    def square(row: int) -> NDArray[np.float32]:
        try:
            data = read_example(dataset.source, paths[copies.ids[row]][0], copies.ids[row])
            copy = make_grey_copy(data, max_pixels=max_pixels, side=PIXEL_SIDE)
        except (ImageRejected, OSError):  # it was there a moment ago
            copy = None
        return np.zeros((PIXEL_SIDE, PIXEL_SIDE), np.float32) if copy is None else copy.astype(np.float32)

    with running(progress, TASKS[1], total=len(pairs_P2), unit="pairs"):
        for start in range(0, len(pairs_P2), BATCH):
            batch_P2 = pairs_P2[start : start + BATCH]
            known = agreement.only(np.arange(start, start + len(batch_P2)))
            one_PSS, other_PSS = (np.stack([square(row) for row in batch_P2[:, side].tolist()]) for side in (0, 1))
            refined = refine(one_PSS, other_PSS, known.place_P4, known.mirrored_P)
            same_P = (refined.correlation_P >= LEAST_CORRELATION) & (refined.tiles_P >= LEAST_TILES)
            for number in np.flatnonzero(same_P & (refined.overlap_P >= LEAST_OVERLAP)).tolist():
                a, b = batch_P2[number].tolist()
                yield NearPair(
                    a=copies.ids[a],
                    b=copies.ids[b],
                    correlation=float(refined.correlation_P[number]),
                    overlap=float(refined.overlap_P[number]),
                    mirrored=bool(refined.mirrored_P[number]),
                )
            progress.advance(TASKS[1], len(batch_P2))


def _cautions(counts: Mapping[str, int]) -> Iterable[str]:
    pairs, crossing, labels = (counts[key] for key in ("near_pairs", "near_across_splits", "near_two_labels"))
    if small := counts["too_small"]:
        yield (
            f"{_images(small)} fewer than {LEAST_PIXELS} pixels along a side: near-duplicates are not searched among "
            "images of this size, so copies of them may be on both sides of the split."
        )
    if flat := counts["one_colour"]:
        yield (
            f"{_images(flat)} one colour, or nearly: nothing in them can be told apart, and near-duplicates are not "
            "searched among them."
        )
    if pairs:
        yield (
            f"{counts['near_examples']:,} images have a near-duplicate (resized, re-encoded, cropped, mirrored or "
            f"brightened; {_pairs(pairs)}): Vitrail puts them on the same side of every split that it draws."
        )
    if crossing:
        yield (
            f"Leakage between the given splits: {_pairs(crossing)} of near-duplicates are in two different splits. The "
            "splits are kept as given; the report also shows the accuracy without these test images."
        )
    if labels:
        yield (
            f"Near-duplicates with different labels, so one of the two is wrong: {_pairs(labels)}. `vitrail audit` "
            "shows them."
        )


def _images(count: int) -> str:
    return "1 image has" if count == 1 else f"{count:,} images have"


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count:,} pairs"
