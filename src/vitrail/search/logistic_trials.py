"""Trials of logistic heads: a path of strengths for each scaling, extended while the best strength is at an end."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrail.heads import ScalingKind
from vitrail.search.examples import Examples
from vitrail.search.ledger import Ledger
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial, mean_weight_norm, score_solved

if TYPE_CHECKING:
    from vitrail.heads.logistic import LogisticFit

STRENGTH_LIMITS = (1e-9, 1e5)  # how far the path is extended
EXTENSION = 10**0.5
NEAR = 2  # strengths on each side of the best that further scalings and poolings start with


def planned(options: TuneOptions) -> int:
    """The number of trials, unless a path is extended."""
    count = len(set(options.strengths))
    return count + (len(set(options.scalings)) - 1) * min(count, 2 * NEAR + 1)


def rounds(examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[ScoredTrial]]:
    """The whole path of a scaling is one step, since each strength starts from the solution of the one before."""
    first = fit_first_path(examples, options, ledger)
    yield first
    near = find_near_best(first)
    for scaling in list(dict.fromkeys(options.scalings))[1:]:
        yield ledger.do(_step(scaling, examples), partial(_path, examples, near, scaling))


def fit_first_path(examples: Examples, options: TuneOptions, ledger: Ledger) -> list[ScoredTrial]:
    """The path of every strength under the first scaling."""
    scaling = options.scalings[0]
    return ledger.do(_step(scaling, examples), partial(_path, examples, options.strengths, scaling))


def find_near_best(trials: Sequence[ScoredTrial]) -> list[float]:
    """The best strength and its neighbours: another scaling or pooling seldom moves the best far from them."""
    in_order = sorted(trials, key=lambda trial: float(trial.setting["C"]))
    best = min(range(len(in_order)), key=lambda place: float(in_order[place].nll_S.mean()))
    return [float(trial.setting["C"]) for trial in in_order[max(0, best - NEAR) : best + NEAR + 1]]


def fit(examples: Examples, rows: NDArray[np.int64], trial: ScoredTrial, options: TuneOptions) -> "LogisticFit":
    """The same strength on other rows. Nothing is drawn, so the seed of the options has no effect."""
    from vitrail.heads.logistic import fit_path

    strengths = [float(trial.setting["C"])]
    return fit_path(*examples.take_rows(rows), classes=examples.classes, strengths=strengths, scaling=trial.scaling)[0]


def _path(examples: Examples, strengths: Sequence[float], scaling: ScalingKind) -> list[ScoredTrial]:
    from vitrail.heads.logistic import LogisticPath

    paths = [
        LogisticPath(*examples.take_rows(holdout.fit), classes=examples.classes, scaling=scaling)
        for holdout in examples.holdouts
    ]
    trials: dict[float, ScoredTrial] = {}

    def try_strength(strength: float) -> None:
        fits = [path.fit(strength) for path in paths]
        trials[strength] = score_solved(
            examples,
            fits,
            kind="logistic",
            setting={"C": strength, "scaling": scaling},
            weight_norm=mean_weight_norm([fit.weight_CD for fit in fits]),
        )

    for strength in sorted(set(strengths)):
        try_strength(strength)
    while len(trials) > 1 and (further := _further(trials)):
        try_strength(further)
    return list(trials.values())


def _further(trials: dict[float, ScoredTrial]) -> float | None:
    """The strength beyond the end of the path; None if the best is not at an end, or at the limit."""
    best = min(trials, key=lambda strength: float(trials[strength].nll_S.mean()))
    if best not in (min(trials), max(trials)):
        return None
    strength = float(f"{best * EXTENSION if best == max(trials) else best / EXTENSION:.3g}")
    return strength if STRENGTH_LIMITS[0] <= strength <= STRENGTH_LIMITS[1] else None


def _step(scaling: str, examples: Examples) -> str:
    return f"logistic-{scaling}-{examples.pooling}"
