"""Trials of heads that are trained together, step by step; after each rung of epochs only the better half continues.

Successive halving (Jamieson & Talwalkar 2016, arXiv:1502.07943). The heads of one round are one tensor, which `keep`
makes smaller. The heads that remain stop after `patience` epochs without a lower val loss. A head that was stopped by
halving is a trial too: it has the weights of its best epoch so far.

Settings are drawn from a seed and spread evenly: a scrambled Sobol sequence. The first 16 of 64 points are the 16
points of a search of 16, so a larger search contains the smaller one.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from vitrail.heads import ScalingKind
from vitrail.search.examples import Examples, Holdout
from vitrail.search.ledger import Ledger
from vitrail.search.options import TOGETHER, TuneOptions
from vitrail.search.scored_trial import ScoredTrial, mean_weight_norm, score_fits
from vitrail.search.trial import Setting

if TYPE_CHECKING:
    from vitrail.heads import batched as heads
    from vitrail.heads.batched import TrainOptions
    from vitrail.heads.trained import HeadTraining, TrainedFit

# Letters: H holdouts, K heads trained together, T trials, A axes.

MOST_TRIALS = 4096  # if time alone limits the search
HIDDEN = 128  # units of a perceptron: it then costs about as much as a softmax head of 128 classes
MLP_SHARE = 4  # one of so many drawn heads is a perceptron if softmax heads are tried too: it costs more


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; with `log` spread evenly over their logarithms."""

    low: float
    high: float
    log: bool = False

    def at(self, share: float) -> float:
        """The number at a share in [0, 1) of the way, to three digits."""
        if self.log:
            return float(f"{math.exp(math.log(self.low) + share * math.log(self.high / self.low)):.3g}")
        return float(f"{self.low + share * (self.high - self.low):.3g}")


@dataclass(frozen=True, slots=True)
class Choice:
    """Values that are drawn equally often."""

    of: tuple[float, ...] | tuple[str, ...]

    def at(self, share: float) -> float | str:
        """The value at a share in [0, 1) of the way."""
        return self.of[int(share * len(self.of))]


def draw_settings(space: Mapping[str, Range | Choice], *, start: int, count: int, seed: int) -> list[Setting]:
    """Points `start` to `start + count` of the sequence, a setting each; the order of the axes matters."""
    sequence = qmc.Sobol(d=len(space), scramble=True, rng=np.random.default_rng(seed))
    # Blocks of powers of two are what scipy draws without a warning; the sequence is the same.
    point_TA = sequence.random_base2(max(1, math.ceil(math.log2(start + count))))[start : start + count]
    return [
        {name: axis.at(float(share)) for (name, axis), share in zip(space.items(), row, strict=True)}
        for row in point_TA
    ]


@dataclass(frozen=True, slots=True)
class Stepwise:
    """A kind of head that is trained step by step: `together` heads a round, with so many `hidden` units or none."""

    kind: str
    together: int
    hidden: int = 0

    def planned(self, options: TuneOptions) -> int | None:
        """The number of drawn heads; None if time decides."""
        if options.trials is None and options.budget_s is not None:
            return None
        total = TOGETHER if options.trials is None else options.trials
        if not {"softmax", "mlp"} <= set(options.kinds):
            return total
        return total // MLP_SHARE if self.kind == "mlp" else total - total // MLP_SHARE

    def rounds(self, examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[ScoredTrial]]:
        """Round after round of drawn settings; those of one scaling are trained together, and are a step."""
        planned = self.planned(options)
        total = MOST_TRIALS if planned is None else planned
        for first in range(0, total, self.together):
            count = min(self.together, total - first)
            settings = draw_settings(self._space(options), start=first, count=count, seed=options.seed)
            for scaling in options.scalings:
                alike = [setting for setting in settings if setting["scaling"] == scaling]
                if alike:
                    work = partial(self._round, examples, alike, scaling, options)
                    yield ledger.do(f"{self.kind}-{first}-{scaling}", work)

    def fit(
        self, examples: Examples, rows: NDArray[np.int64], trial: ScoredTrial, options: TuneOptions
    ) -> "TrainedFit":
        """The same setting on other rows, for as many epochs as early stopping chose, with averaged weights."""
        from vitrail.heads.trained import fit_heads

        return fit_heads(
            examples.take_rows(rows),
            None,
            classes=examples.classes,
            settings=[_setting(trial.setting)],
            options=_training_options(options, epochs=trial.epochs, scaling=trial.scaling),
            class_weights=examples.class_weights(examples.label_N[rows]),
        )[0]

    def _round(
        self, examples: Examples, settings: Sequence[Setting], scaling: ScalingKind, options: TuneOptions
    ) -> list[ScoredTrial]:
        begun = time.perf_counter()
        trainings = [_start(examples, settings, scaling, options, holdout) for holdout in examples.holdouts]
        rungs = [rung for rung in (0, *options.rungs) if rung < options.epochs]
        for rung, following in pairwise((*rungs, options.epochs)):
            if rung:
                _keep_the_better_half(trainings)
            for training in trainings:
                training.advance(following - rung)
        per_holdout = [training.fits() for training in trainings]
        share = (time.perf_counter() - begun) / len(settings)
        return [
            _trial(self.kind, examples, setting, fits, share)
            for setting, fits in zip(settings, zip(*per_holdout, strict=True), strict=True)
        ]

    def _space(self, options: TuneOptions) -> dict[str, Range | Choice]:
        space: dict[str, Range | Choice] = {
            "learning_rate": Range(*options.learning_rate, log=True),
            "dropout": Choice(options.dropouts),
            "weight_decay": Choice(options.weight_decays),
            "optimiser": Choice(options.optimisers),
            "scaling": Choice(options.scalings),
        }
        return space | {"hidden": Choice((self.hidden,))} if self.hidden else space


SOFTMAX = Stepwise("softmax", TOGETHER)
MLP = Stepwise("mlp", TOGETHER // MLP_SHARE, HIDDEN)


def _start(
    examples: Examples, settings: Sequence[Setting], scaling: ScalingKind, options: TuneOptions, holdout: Holdout
) -> "HeadTraining":
    from vitrail.heads.trained import HeadTraining

    rows = np.setdiff1d(holdout.fit, holdout.stop)
    return HeadTraining(
        examples.take_rows(rows),
        examples.take_rows(holdout.stop),
        classes=examples.classes,
        settings=[_setting(setting) for setting in settings],
        options=_training_options(options, epochs=options.epochs, scaling=scaling),
        class_weights=examples.class_weights(examples.label_N[rows]),
    )


def _setting(setting: Setting) -> "heads.Setting":
    from vitrail.heads import batched as heads

    return heads.Setting(
        learning_rate=float(setting["learning_rate"]),
        dropout=float(setting["dropout"]),
        weight_decay=float(setting["weight_decay"]),
        optimiser=setting["optimiser"],  # type: ignore[arg-type]  # its own check names what is possible
        hidden=int(setting.get("hidden", 0)),
    )


def _training_options(options: TuneOptions, *, epochs: int, scaling: ScalingKind) -> "TrainOptions":
    from vitrail.heads.batched import TrainOptions

    return TrainOptions(
        epochs=epochs, batch=options.batch, patience=options.patience, seed=options.seed, scaling=scaling
    )


def _keep_the_better_half(trainings: "Sequence[HeadTraining]") -> None:
    """By the lowest val loss so far, summed over the holdouts: the same heads continue in each of them."""
    going = sorted({head for training in trainings for head in training.going})
    loss_KH = np.array(
        [[min(point.val_loss for point in fit.curve) for fit in training.fits()] for training in trainings]
    ).T
    better = sorted(going, key=lambda head: float(loss_KH[head].sum()))[: (len(going) + 1) // 2]
    for training in trainings:
        training.keep([head for head in training.going if head in better])


def _trial(
    kind: str, examples: Examples, setting: Setting, fits: "Sequence[TrainedFit]", seconds: float
) -> ScoredTrial:
    nll_S, right_S = score_fits(examples, fits)
    return ScoredTrial(
        kind=kind,
        setting=setting,
        nll_S=nll_S,
        right_S=right_S,
        weight_norm=mean_weight_norm([fit.scores.weight_CD for fit in fits]),
        epochs=max(1, round(float(np.median([fit.epochs for fit in fits])))),
        curve=fits[0].curve,
        seconds=seconds,
    )
