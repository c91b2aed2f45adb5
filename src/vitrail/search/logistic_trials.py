"""Trials of logistic heads: a path of strengths for each scaling, extended while the best strength is at an end."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrail.heads import ScalingKind
from vitrail.search.examples import Examples
from vitrail.search.ledger import Ledger
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial, mean_weight_norm, score_solved, standard_error

if TYPE_CHECKING:
    from vitrail.heads.logistic import LogisticFit, SubsetPath

STRENGTH_LIMITS = (1e-9, 1e5)  # how far the path is extended
EXTENSION = 10**0.5
START = 1e-3  # near the best of most backbones; the path goes from here both ways
CLEAR = 0.02  # of the least loss so far
NEAR_CHANCE = 0.05  # of the loss of the classes' shares
FLAT = 2  # strengths in a row without a clear gain that end a path
NEAR = 2  # strengths on each side of the best that further scalings and poolings start with


def planned(options: TuneOptions) -> int:
    """The number of trials, unless a path is extended."""
    count = len(set(options.strengths))
    return count + (len(set(options.scalings)) - 1) * min(count, 2 * NEAR + 1)


def rounds(examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[ScoredTrial]]:
    """The whole path of a scaling is one step, since each strength starts from the solution of the one before."""
    first = fit_first_path(examples, options, ledger)
    yield first
    near = find_near_best(examples, first)
    for scaling in list(dict.fromkeys(options.scalings))[1:]:
        yield ledger.do(_step(scaling, examples), partial(_path, examples, near, scaling))


def fit_first_path(examples: Examples, options: TuneOptions, ledger: Ledger) -> list[ScoredTrial]:
    """The path of every strength under the first scaling."""
    scaling = options.scalings[0]
    return ledger.do(_step(scaling, examples), partial(_path, examples, options.strengths, scaling))


def find_near_best(examples: Examples, trials: Sequence[ScoredTrial]) -> list[float]:
    """The best strength and its neighbours: another scaling or pooling seldom moves the best far from them."""
    in_order = sorted(trials, key=lambda trial: float(trial.setting["C"]))
    best = min(range(len(in_order)), key=lambda place: in_order[place].mean_nll(examples))
    return [float(trial.setting["C"]) for trial in in_order[max(0, best - NEAR) : best + NEAR + 1]]


def fit(examples: Examples, rows: NDArray[np.int64], trial: ScoredTrial, options: TuneOptions) -> "LogisticFit":
    """The same strength on other rows, as in the search. Nothing is drawn, so the seed has no effect."""
    return _open_subset(examples, rows, trial.scaling).fit(float(trial.setting["C"]))


def refit(examples: Examples, rows: NDArray[np.int64], trial: ScoredTrial, options: TuneOptions) -> "LogisticFit":
    """The same strength on other rows, solved exactly and with the scaling of these rows: the head that is kept."""
    from vitrail.heads.logistic import fit_path

    feature_MD, label_M = examples.take_rows(rows)
    (fitted,) = fit_path(
        feature_MD,
        label_M,
        classes=examples.classes,
        strengths=[float(trial.setting["C"])],
        scaling=trial.scaling,
        class_weights=examples.class_weights(label_M),
    )
    return fitted


def follow_path(
    examples: Examples, strengths: Sequence[float], open_way: Callable[[], Callable[[float], ScoredTrial]]
) -> list[ScoredTrial]:
    """Trials from a middle strength, first to weaker, then to stronger regularisation, until the val loss rises.

    A single strength is tried alone; of several, the path continues beyond the last if that is the best. `open_way` is
    called at the beginning of each direction and returns the function that fits and scores one strength after the
    other.
    """
    given = sorted(set(strengths))
    start = min(range(len(given)), key=lambda place: abs(math.log(given[place] / START)))
    strongest, weakest = STRENGTH_LIMITS if len(given) > 1 else (given[0], given[0])
    trials = _until_val_turns(examples, given[start:], open_way(), limit=weakest)
    trials += _until_val_turns(examples, given[start::-1], open_way(), limit=strongest)[1:]  # the first is there
    return sorted(trials, key=lambda trial: float(trial.setting["C"]))


def _path(examples: Examples, strengths: Sequence[float], scaling: ScalingKind) -> list[ScoredTrial]:
    return follow_path(examples, strengths, partial(_open_way, examples, scaling))


def _open_way(examples: Examples, scaling: ScalingKind) -> Callable[[float], ScoredTrial]:
    """A path in memory on each holdout."""
    from vitrail.heads.threads import side_by_side

    paths = [_open_subset(examples, holdout.fit, scaling) for holdout in examples.holdouts]

    def try_strength(strength: float) -> ScoredTrial:
        fits = side_by_side(methodcaller("fit", strength), paths, at_once=len(paths))
        return score_solved(
            examples,
            fits,
            kind="logistic",
            setting={"C": strength, "scaling": scaling},
            weight_norm=mean_weight_norm([fit.weight_CD for fit in fits]),
        )

    return try_strength


def _open_subset(examples: Examples, rows: NDArray[np.int64], scaling: ScalingKind) -> "SubsetPath":
    """A path in memory on some rows."""
    from vitrail.heads.logistic import SubsetPath

    label_M = examples.label_N[rows]
    weight_C = examples.class_weights(label_M)
    return SubsetPath(examples.turn_rows(scaling), rows, label_M, classes=examples.classes, class_weights=weight_C)


def _until_val_turns(
    examples: Examples, strengths: Sequence[float], try_strength: Callable[[float], ScoredTrial], *, limit: float
) -> list[ScoredTrial]:
    """Trials in this order, until FLAT in a row are not clearly better than the best before; at most to the limit."""
    trials: list[ScoredTrial] = []
    best: ScoredTrial | None = None
    flat, waiting = 0, list(strengths)
    while waiting and flat < FLAT:
        strength = waiting.pop(0)
        trial = try_strength(strength)
        trials.append(trial)
        improves = best is None or _is_clearly_better(trial, best, examples)
        on_plateau = limit > strength and _is_near_chance(trial, examples)
        flat = 0 if improves or on_plateau else flat + 1
        best = trial if best is None or trial.mean_nll(examples) < best.mean_nll(examples) else best
        if not waiting and flat == 0:
            waiting = _beyond(strength, limit)
    return trials


def _is_clearly_better(trial: ScoredTrial, best: ScoredTrial, examples: Examples) -> bool:
    """By more than one standard error and a share of the loss: weaker strengths may go on to gain less than that."""
    error = standard_error((best.nll_S - trial.nll_S)[None], examples.scored_weights)[0]
    least = best.mean_nll(examples)
    return bool(least - trial.mean_nll(examples) > max(error, CLEAR * least))


def _is_near_chance(trial: ScoredTrial, examples: Examples) -> bool:
    """Whether it knows little more than the shares of the classes, as under any regularisation that is too strong."""
    share_C = np.bincount(examples.scored_labels, examples.scored_weights) / len(examples.scored_labels)
    chance = -float(np.sum(share_C * np.log(np.where(share_C > 0, share_C, 1))))
    return abs(trial.mean_nll(examples) - chance) < NEAR_CHANCE * chance


def _beyond(strength: float, limit: float) -> list[float]:
    """The next strength on the way to the limit; empty at the limit."""
    if strength == limit:
        return []
    following = float(f"{strength * EXTENSION if limit > strength else strength / EXTENSION:.3g}")
    return [following] if min(strength, limit) <= following <= max(strength, limit) else []


def _step(scaling: str, examples: Examples) -> str:
    return f"logistic-{scaling}-{examples.pooling}"
