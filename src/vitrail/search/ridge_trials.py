"""Trials of ridge heads: every penalty from one eigendecomposition for each choice and scaling."""

from collections.abc import Iterator
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
    from vitrail.heads.ridge import RidgeFit


def planned(options: TuneOptions) -> int:
    """How many trials there will be."""
    return len(options.scalings) * len(set(options.alphas))


def rounds(examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[ScoredTrial]]:
    """One round, and one step, for each scaling."""
    for scaling in options.scalings:
        yield ledger.do(f"ridge-{scaling}", partial(_path, examples, options, scaling))


def fit(examples: Examples, rows: NDArray[np.int64], found: ScoredTrial, options: TuneOptions) -> "RidgeFit":
    """The same penalty on other rows. Nothing is drawn, so the seed of the options has no say."""
    from vitrail.heads.ridge import fit_ridge

    alphas, scaling = [float(found.setting["alpha"])], _scaling(str(found.setting["scaling"]))
    return fit_ridge(*examples.take_rows(rows), classes=examples.classes, alphas=alphas, scaling=scaling)[0]


def _path(examples: Examples, options: TuneOptions, scaling: str) -> list[ScoredTrial]:
    from vitrail.heads.ridge import fit_ridge

    alphas = sorted(set(options.alphas))
    per_holdout = [
        fit_ridge(*examples.take_rows(holdout.fit), classes=examples.classes, alphas=alphas, scaling=_scaling(scaling))
        for holdout in examples.holdouts
    ]
    trials = []
    for alpha, fits in zip(alphas, zip(*per_holdout, strict=True), strict=True):
        nll_S, right_S = score(examples, fits)
        trials.append(
            ScoredTrial(
                kind="ridge",
                setting={"alpha": alpha, "scaling": scaling},
                nll_S=nll_S,
                right_S=right_S,
                # Before its temperature, which shrinks where the penalty grows and would hide it.
                weight_norm=weight_norm([fit.weight_CD * fit.temperature for fit in fits]),
                epochs=0,
                curve=(),
                seconds=sum(fit.seconds for fit in fits),
            )
        )
    return trials


def _scaling(name: str) -> ScalingKind:
    return name  # type: ignore[return-value]  # the options have checked it
