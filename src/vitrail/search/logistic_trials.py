"""Trials of logistic heads: one path of strengths, widened at the end where its best lies."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrail.search.examples import Examples
from vitrail.search.found import Found, score, weight_norm
from vitrail.search.ledger import Ledger
from vitrail.search.options import TuneOptions

if TYPE_CHECKING:
    from vitrail.heads.logistic import LogisticFit

STRENGTH_LIMITS = (1e-9, 1e5)  # how far the path is widened
WIDENING = 10**0.5


def planned(options: TuneOptions) -> int:
    """How many trials the path has as given."""
    return len(set(options.strengths))


def rounds(examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[Found]]:
    """The whole path is one step, since each strength starts from the solution of the one before."""
    yield ledger.do("logistic", lambda: _path(examples, options.strengths))


def fit(examples: Examples, rows: NDArray[np.int64], found: Found, options: TuneOptions) -> "LogisticFit":
    """The same strength on other rows. Nothing is drawn, so the seed of the options has no say."""
    from vitrail.heads.logistic import fit_path

    strengths = [float(found.setting["C"])]
    return fit_path(*examples.part(rows), classes=examples.classes, strengths=strengths)[0]


def _path(examples: Examples, strengths: Sequence[float]) -> list[Found]:
    from vitrail.heads.logistic import LogisticPath

    paths = [LogisticPath(*examples.part(part.fit), classes=examples.classes) for part in examples.choices]
    tried: dict[float, Found] = {}

    def try_(strength: float) -> None:
        tried[strength] = _trial(examples, [path.fit(strength) for path in paths])

    for strength in sorted(set(strengths)):
        try_(strength)
    while len(tried) > 1 and (further := _further(tried)):
        try_(further)
    return list(tried.values())


def _further(tried: dict[float, Found]) -> float | None:
    """The strength beyond the end where the best lies; None where it lies between others, or at the limit."""
    best = min(tried, key=lambda strength: float(tried[strength].nll_S.mean()))
    if best not in (min(tried), max(tried)):
        return None
    strength = float(f"{best * WIDENING if best == max(tried) else best / WIDENING:.3g}")
    return strength if STRENGTH_LIMITS[0] <= strength <= STRENGTH_LIMITS[1] else None


def _trial(examples: Examples, fits: "Sequence[LogisticFit]") -> Found:
    nll_S, right_S = score(examples, fits)
    return Found(
        kind="logistic",
        setting={"C": fits[0].strength},
        nll_S=nll_S,
        right_S=right_S,
        weight_norm=weight_norm([fit.weight_CD for fit in fits]),
        epochs=0,
        curve=(),
        seconds=sum(fit.seconds for fit in fits),
    )
