"""Two runs against each other, on the test images that both have: what a changed backbone, head or setting did.

Every backbone of the first is compared with every backbone of the second, image by image; images that are in the test
of one run alone are left out and counted. Two images are in one group if either run says so. What decides is the
accuracy that both runs were decided by, unless another is given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vitrail.core.errors import DataError
from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.deciding_metric import DecidingMetric
from vitrail.evaluation.pairs import Pair, judge_these, number_groups
from vitrail.runs.run import RunRecord
from vitrail.statistics.intervals import Interval
from vitrail.statistics.metrics import DecideBy

# Letters: N common test images, T ties of an example to a group, V examples and groups.

EXAMPLE = "example"


@dataclass(frozen=True, kw_only=True, slots=True)
class Flips:
    """Between the same two: ids that only the second run gets right, and ids that only the first does."""

    a: str
    b: str
    fixed: tuple[str, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunComparison:
    """Both runs on their `common` test images. Names of backbones have "1:" or "2:" before them, for the run.

    `runs` are the folders of the first and the second run. `accuracy` of each backbone, and the differences of the
    pairs, are of the metric `decide_by`.
    """

    runs: tuple[Path, Path]
    common: int
    only_first: int
    only_second: int
    decide_by: DecideBy
    accuracy: dict[str, Interval]
    pairs: tuple[Pair, ...]
    flips: tuple[Flips, ...]


def compare_runs(first: RunRecord, second: RunRecord, criteria: Criteria | None = None) -> RunComparison:
    """Compare two finished runs pair by pair.

    `criteria` are the usual ones by default, with the metric that both runs were decided by, or top-1 if they differ.

    Returns:
        The figures; the intervals of all pairs hold together.

    Raises:
        DataError: the runs have no test image in common, or give a common image different labels.
    """
    criteria = criteria or Criteria(decide_by=common_metric(first, second))
    rows = [_Rows.of(run, f"{number}:") for number, run in enumerate((first, second), start=1)]
    common = sorted(rows[0].label.keys() & rows[1].label.keys())
    if not common:
        raise DataError(
            f"The runs {first.folder} and {second.folder} have no test images in common: compare runs on the same "
            "images."
        )
    changed = [example for example in common if rows[0].label[example] != rows[1].label[example]]
    if changed:
        first_changed = changed[0]
        raise DataError(
            f"{len(changed):,} of {len(common):,} test images that the runs {first.folder} and {second.folder} share "
            f"have different labels, the first is {first_changed[:12]}…: {rows[0].label[first_changed]!r} and "
            f"{rows[1].label[first_changed]!r}. Compare runs with the same labels."
        )
    correct = {name: right for run_rows in rows for name, right in run_rows.correct(common).items()}
    places = [(a, b) for a in rows[0].right for b in rows[1].right]
    group_N = number_groups(_join_groups((first, second)), common)
    label_N = np.unique([rows[0].label[example] for example in common], return_inverse=True)[1]
    metric = DecidingMetric.of(criteria.decide_by, label_N)
    return RunComparison(
        runs=(first.folder, second.folder),
        common=len(common),
        only_first=len(rows[0].label) - len(common),
        only_second=len(rows[1].label) - len(common),
        decide_by=criteria.decide_by,
        accuracy={name: metric.rate(right_N, group_N, level=criteria.level) for name, right_N in correct.items()},
        pairs=judge_these(correct, places, group_N, criteria, metric),
        flips=tuple(_flips(correct, a, b, common) for a, b in places),
    )


def common_metric(first: RunRecord, second: RunRecord) -> DecideBy:
    """What both runs were decided by; top-1 if they differ."""
    decided_by = {run.results.options.decide_by for run in (first, second)}
    return decided_by.pop() if len(decided_by) == 1 else "top1"


@dataclass(frozen=True, slots=True)
class _Rows:
    """The test of one run: each image's label by name, and whether each backbone is right."""

    label: dict[str, str]
    right: dict[str, dict[str, bool]]

    @classmethod
    def of(cls, run: RunRecord, prefix: str) -> "_Rows":
        classes, label, right = run.results.data.classes, {}, {}
        for result in run.results.backbones:
            tested = run.predictions(result.name)
            label = {e: classes[c] for e, c in zip(tested.ids, tested.label_N.tolist(), strict=True)}
            hits_N = tested.probability_NC.argmax(axis=1) == tested.label_N
            right[prefix + result.name] = dict(zip(tested.ids, hits_N.tolist(), strict=True))
        return cls(label, right)

    def correct(self, ids: list[str]) -> dict[str, NDArray[np.bool_]]:
        return {name: np.array([hits[example] for example in ids], dtype=bool) for name, hits in self.right.items()}


def _join_groups(runs: Sequence[RunRecord]) -> dict[str, str]:
    """The group of each example that has one: whatever either run ties together, directly or by way of others.

    Names of groups are not compared, since one of near-duplicates is named after its members and a run of more images
    has more of these.
    """
    number: dict[tuple[str, str], int] = {}
    ties = [[number.setdefault(node, len(number)) for node in pair] for pair in _memberships(runs)]
    if not ties:
        return {}
    end_T2 = np.array(ties, dtype=np.int64)
    graph = coo_array((np.ones(len(ties), np.int8), (end_T2[:, 0], end_T2[:, 1])), shape=(len(number), len(number)))
    component_V = connected_components(graph, directed=False)[1]
    return {name: str(component_V[place]) for (kind, name), place in number.items() if kind == EXAMPLE}


def _memberships(runs: Sequence[RunRecord]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    for place, run in enumerate(runs):
        examples = run.examples()
        for example, group in zip(examples.ids, examples.groups, strict=True):
            if group is not None:
                yield (EXAMPLE, example), (f"group of run {place}", group)


def _flips(correct: dict[str, NDArray[np.bool_]], a: str, b: str, ids: list[str]) -> Flips:
    fixed_N, broken_N = ~correct[a] & correct[b], correct[a] & ~correct[b]
    return Flips(
        a=a,
        b=b,
        fixed=tuple(ids[row] for row in np.flatnonzero(fixed_N)),
        broken=tuple(ids[row] for row in np.flatnonzero(broken_N)),
    )
