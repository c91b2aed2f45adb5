"""Trials of heads with a closed form: ridge, class centroids, and the votes of the nearest rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vitrail.heads import ScalingKind
from vitrail.search.examples import Examples
from vitrail.search.ledger import Ledger
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial, SolvedFit, mean_weight_norm, score_solved
from vitrail.search.trial import Setting

if TYPE_CHECKING:
    from vitrail.heads.neighbours import CentroidFit, NeighbourFit
    from vitrail.heads.ridge import RidgeFit

AnyFit = TypeVar("AnyFit", bound=SolvedFit)


@dataclass(frozen=True, slots=True)
class ClosedForm(Generic[AnyFit]):
    """A kind of head whose settings are all fitted at once, for each holdout and scaling.

    `settings` gives them without the scaling, `fit_all` one fit for each of them, `weight_norm` that of a setting from
    its fits. `turned` says whether `fit_all` takes its rows from `Examples.turn_rows`.
    """

    kind: str
    settings: Callable[[TuneOptions], list[Setting]]
    fit_all: Callable[[Examples, NDArray[np.int64], Sequence[Setting], ScalingKind], list[AnyFit]]
    weight_norm: Callable[[Setting, Sequence[AnyFit]], float]
    turned: bool = False

    def planned(self, options: TuneOptions) -> int:
        """The number of trials."""
        return len(options.scalings) * len(self.settings(options))

    def rounds(self, examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[ScoredTrial]]:
        """One round, and one step, for each scaling."""
        for scaling in options.scalings:
            yield ledger.do(f"{self.kind}-{scaling}", partial(self._round, examples, self.settings(options), scaling))

    def fit(self, examples: Examples, rows: NDArray[np.int64], trial: ScoredTrial, options: TuneOptions) -> AnyFit:
        """The same setting on other rows. Nothing is drawn, so the seed of the options has no effect."""
        return self.fit_all(examples, rows, [trial.setting], trial.scaling)[0]

    def _round(self, examples: Examples, settings: Sequence[Setting], scaling: ScalingKind) -> list[ScoredTrial]:
        from vitrail.heads.threads import side_by_side

        if self.turned:
            examples.turn_rows(scaling)  # by all threads, before the holdouts share them
        per_holdout = side_by_side(
            lambda holdout: self.fit_all(examples, holdout.fit, settings, scaling),
            examples.holdouts,
            at_once=len(examples.holdouts),
        )
        return [
            score_solved(
                examples,
                fits,
                kind=self.kind,
                setting=setting | {"scaling": scaling},
                weight_norm=self.weight_norm(setting, fits),
            )
            for setting, fits in zip(settings, zip(*per_holdout, strict=True), strict=True)
        ]


def _fit_ridge(
    examples: Examples, rows: NDArray[np.int64], settings: Sequence[Setting], scaling: ScalingKind
) -> "list[RidgeFit]":
    from vitrail.heads.ridge import fit_ridge

    alphas = [float(setting["alpha"]) for setting in settings]
    turned = examples.turn_rows(scaling)
    axes, label_N = turned.take(rows), examples.label_N[rows]
    fits = fit_ridge(
        axes.turned_NA.numpy(),
        label_N,
        classes=examples.classes,
        alphas=alphas,
        scaling="none",
        class_weights=examples.class_weights(label_N),
    )
    return [turned.unfold(fit, axes) for fit in fits]


def _fit_centroid(
    examples: Examples, rows: NDArray[np.int64], settings: Sequence[Setting], scaling: ScalingKind
) -> "list[CentroidFit]":
    from vitrail.heads.neighbours import fit_centroid

    return [fit_centroid(*examples.take_rows(rows), classes=examples.classes, scaling=scaling) for _ in settings]


def _fit_neighbours(
    examples: Examples, rows: NDArray[np.int64], settings: Sequence[Setting], scaling: ScalingKind
) -> "list[NeighbourFit]":
    from vitrail.heads.neighbours import NeighbourSetting, fit_neighbours

    counts = [NeighbourSetting(k=int(setting["k"])) for setting in settings]
    feature_ND, label_N = examples.take_rows(rows)
    return fit_neighbours(
        feature_ND,
        label_N,
        classes=examples.classes,
        settings=counts,
        scaling=scaling,
        class_weights=examples.class_weights(label_N),
    )


RIDGE: "ClosedForm[RidgeFit]" = ClosedForm(
    "ridge",
    lambda options: [{"alpha": alpha} for alpha in sorted(set(options.alphas))],
    _fit_ridge,
    # Before its temperature, which shrinks as the penalty grows and would hide it.
    lambda _, fits: mean_weight_norm([fit.weight_CD * fit.temperature for fit in fits]),
    turned=True,
)
CENTROID: "ClosedForm[CentroidFit]" = ClosedForm(
    "centroid", lambda _: [{}], _fit_centroid, lambda _, fits: mean_weight_norm([fit.weight_CD for fit in fits])
)
NEIGHBOURS: "ClosedForm[NeighbourFit]" = ClosedForm(
    "knn",
    lambda options: [{"k": k} for k in sorted(set(options.neighbours))],
    _fit_neighbours,
    lambda setting, _: 1 / int(setting["k"]),  # there is no weight; the more rows vote, the smoother
)
