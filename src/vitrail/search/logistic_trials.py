"""Trials of logistic heads: a path of strengths a scaling, widened at the end where its best lies."""

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
    from vitrail.heads.logistic import LogisticFit

STRENGTH_LIMITS = (1e-9, 1e5)  # how far the path is widened
WIDENING = 10**0.5
NEAR = 2  # strengths on each side of the best that further scalings and poolings start with


def planned(options: TuneOptions) -> int:
    """How many trials the paths have unless they are widened."""
    given = len(set(options.strengths))
    return given + (len(set(options.scalings)) - 1) * min(given, 2 * NEAR + 1)


def rounds(examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[ScoredTrial]]:
    """The whole path of a scaling is one step, since each strength starts from the solution of the one before."""
    found = first_path(examples, options, ledger)
    yield found
    near = near_the_best(found)
    for scaling in list(dict.fromkeys(options.scalings))[1:]:
        yield ledger.do(_step(scaling, examples), partial(_path, examples, near, scaling))


def first_path(examples: Examples, options: TuneOptions, ledger: Ledger) -> list[ScoredTrial]:
    """The path of every strength under the first scaling."""
    scaling = options.scalings[0]
    return ledger.do(_step(scaling, examples), partial(_path, examples, options.strengths, scaling))


def near_the_best(found: Sequence[ScoredTrial]) -> list[float]:
    """The best strength and those beside it: a scaling or a pooling seldom moves the best far, and then it is found."""
    in_order = sorted(found, key=lambda trial: float(trial.setting["C"]))
    best = min(range(len(in_order)), key=lambda place: float(in_order[place].nll_S.mean()))
    return [float(trial.setting["C"]) for trial in in_order[max(0, best - NEAR) : best + NEAR + 1]]


def fit(examples: Examples, rows: NDArray[np.int64], found: ScoredTrial, options: TuneOptions) -> "LogisticFit":
    """The same strength on other rows. Nothing is drawn, so the seed of the options has no say."""
    from vitrail.heads.logistic import fit_path

    strengths, scaling = [float(found.setting["C"])], _scaling(str(found.setting["scaling"]))
    return fit_path(*examples.take_rows(rows), classes=examples.classes, strengths=strengths, scaling=scaling)[0]


def _path(examples: Examples, strengths: Sequence[float], scaling: str) -> list[ScoredTrial]:
    from vitrail.heads.logistic import LogisticPath

    paths = [
        LogisticPath(*examples.take_rows(holdout.fit), classes=examples.classes, scaling=_scaling(scaling))
        for holdout in examples.holdouts
    ]
    tried: dict[float, ScoredTrial] = {}

    def try_(strength: float) -> None:
        tried[strength] = _trial(examples, [path.fit(strength) for path in paths], scaling)

    for strength in sorted(set(strengths)):
        try_(strength)
    while len(tried) > 1 and (further := _further(tried)):
        try_(further)
    return list(tried.values())


def _further(tried: dict[float, ScoredTrial]) -> float | None:
    """The strength beyond the end where the best lies; None where it lies between others, or at the limit."""
    best = min(tried, key=lambda strength: float(tried[strength].nll_S.mean()))
    if best not in (min(tried), max(tried)):
        return None
    strength = float(f"{best * WIDENING if best == max(tried) else best / WIDENING:.3g}")
    return strength if STRENGTH_LIMITS[0] <= strength <= STRENGTH_LIMITS[1] else None


def _trial(examples: Examples, fits: "Sequence[LogisticFit]", scaling: str) -> ScoredTrial:
    nll_S, right_S = score(examples, fits)
    return ScoredTrial(
        kind="logistic",
        setting={"C": fits[0].strength, "scaling": scaling},
        nll_S=nll_S,
        right_S=right_S,
        weight_norm=weight_norm([fit.weight_CD for fit in fits]),
        epochs=0,
        curve=(),
        seconds=sum(fit.seconds for fit in fits),
    )


def _step(scaling: str, examples: Examples) -> str:
    return f"logistic-{scaling}-{examples.pooling}"


def _scaling(name: str) -> ScalingKind:
    return name  # type: ignore[return-value]  # the options have checked it
