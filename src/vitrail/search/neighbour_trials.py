"""Trials of heads that need no training: the nearest rows vote, or the nearest class mean wins."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrail.heads import ScalingKind
from vitrail.search.examples import Examples
from vitrail.search.ledger import Ledger
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial, score, weight_norm

if TYPE_CHECKING:
    from vitrail.heads.neighbours import CentroidFit, NeighbourFit


def planned_neighbours(options: TuneOptions) -> int:
    """How many trials there will be."""
    return len(options.scalings) * len(set(options.neighbours))


def planned_centroids(options: TuneOptions) -> int:
    """One for each scaling."""
    return len(options.scalings)


def neighbour_rounds(examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[ScoredTrial]]:
    """One round, and one step, for each scaling."""
    for scaling in options.scalings:
        yield ledger.do(f"knn-{scaling}", partial(_neighbours, examples, options, scaling))


def centroid_rounds(examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[ScoredTrial]]:
    """One trial, and one step, for each scaling."""
    for scaling in options.scalings:
        yield ledger.do(f"centroid-{scaling}", partial(_centroid, examples, scaling))


def fit_neighbours(
    examples: Examples, rows: NDArray[np.int64], found: ScoredTrial, options: TuneOptions
) -> "NeighbourFit":
    """As many neighbours among other rows."""
    return _fit_neighbours(examples, rows, [int(found.setting["k"])], str(found.setting["scaling"]))[0]


def fit_centroid(
    examples: Examples, rows: NDArray[np.int64], found: ScoredTrial, options: TuneOptions
) -> "CentroidFit":
    """The class means of other rows."""
    from vitrail.heads.neighbours import fit_centroid

    scaling = _scaling(str(found.setting["scaling"]))
    return fit_centroid(*examples.take_rows(rows), classes=examples.classes, scaling=scaling)


def _neighbours(examples: Examples, options: TuneOptions, scaling: str) -> list[ScoredTrial]:
    many = sorted(set(options.neighbours))
    per_holdout = [_fit_neighbours(examples, holdout.fit, many, scaling) for holdout in examples.holdouts]
    trials = []
    for k, fits in zip(many, zip(*per_holdout, strict=True), strict=True):
        nll_S, right_S = score(examples, fits)
        trials.append(
            ScoredTrial(
                kind="knn",
                setting={"k": k, "scaling": scaling},
                nll_S=nll_S,
                right_S=right_S,
                weight_norm=1 / k,  # there is no weight; the more vote, the smoother
                epochs=0,
                curve=(),
                seconds=sum(fit.seconds for fit in fits),
            )
        )
    return trials


def _centroid(examples: Examples, scaling: str) -> list[ScoredTrial]:
    from vitrail.heads.neighbours import fit_centroid

    fits = [
        fit_centroid(*examples.take_rows(holdout.fit), classes=examples.classes, scaling=_scaling(scaling))
        for holdout in examples.holdouts
    ]
    nll_S, right_S = score(examples, fits)
    return [
        ScoredTrial(
            kind="centroid",
            setting={"scaling": scaling},
            nll_S=nll_S,
            right_S=right_S,
            weight_norm=weight_norm([fit.weight_CD for fit in fits]),
            epochs=0,
            curve=(),
            seconds=sum(fit.seconds for fit in fits),
        )
    ]


def _fit_neighbours(
    examples: Examples, rows: NDArray[np.int64], many: Sequence[int], scaling: str
) -> "list[NeighbourFit]":
    from vitrail.heads.neighbours import NeighbourSetting, fit_neighbours

    settings = [NeighbourSetting(k=k) for k in many]
    return fit_neighbours(
        *examples.take_rows(rows), classes=examples.classes, settings=settings, scaling=_scaling(scaling)
    )


def _scaling(name: str) -> ScalingKind:
    return name  # type: ignore[return-value]  # the options have checked it
