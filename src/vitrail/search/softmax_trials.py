"""Trials of softmax heads: drawn settings, trained together, of which after some epochs only the better half goes on.

Successive halving (Jamieson & Talwalkar 2016, arXiv:1502.07943). The heads of one round are one tensor, which `keep`
makes smaller. Those that are left at the end stop by themselves, after `patience` epochs without a lesser val loss. A
head that was halved away is a trial too: it has the weights of its best epoch so far.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrail.search.examples import Examples, Part
from vitrail.search.found import Found, score, weight_norm
from vitrail.search.ledger import Ledger
from vitrail.search.options import TOGETHER, TuneOptions
from vitrail.search.sobol import Choice, Range, sobol
from vitrail.search.trial import Setting

if TYPE_CHECKING:
    from vitrail.heads.batched import TrainOptions
    from vitrail.heads.softmax import SoftmaxFit, SoftmaxSetting, SoftmaxTraining

KIND = "softmax"
RUNGS = (4, 12)  # epochs after which the better half goes on
MOST_TRIALS = 4096  # where only time is an end


def planned(options: TuneOptions) -> int | None:
    """How many heads are drawn; None where as many as there is time for."""
    if options.trials is None:
        return TOGETHER if options.budget_s is None else None
    return options.trials


def rounds(examples: Examples, options: TuneOptions, ledger: Ledger) -> Iterator[list[Found]]:
    """Round after round of drawn settings; those of one scaling are trained together, and are a step."""
    total = planned(options) or MOST_TRIALS
    for start in range(0, total, TOGETHER):
        settings = sobol(space(options), start=start, count=min(TOGETHER, total - start), seed=options.seed)
        for scaling in options.scalings:
            alike = [setting for setting in settings if setting["scaling"] == scaling]
            if alike:
                yield ledger.do(f"{KIND}-{start}-{scaling}", partial(_round, examples, alike, options))


def space(options: TuneOptions) -> dict[str, Range | Choice]:
    """What is drawn from."""
    return {
        "learning_rate": Range(*options.learning_rate, log=True),
        "dropout": Choice(options.dropouts),
        "weight_decay": Choice(options.weight_decays),
        "optimiser": Choice(options.optimisers),
        "scaling": Choice(options.scalings),
    }


def fit(examples: Examples, rows: NDArray[np.int64], found: Found, options: TuneOptions) -> "SoftmaxFit":
    """The same setting on other rows, for as many epochs as early stopping chose."""
    from vitrail.heads.softmax import fit_heads

    feature_ND, label_N = examples.part(rows)
    return fit_heads(
        (feature_ND, label_N),
        None,
        classes=examples.classes,
        settings=[_setting(found.setting)],
        options=_options(options, epochs=found.epochs, scaling=str(found.setting["scaling"])),
        class_weights=examples.class_weights(rows) if options.balanced else None,
    )[0]


def _round(examples: Examples, settings: Sequence[Setting], options: TuneOptions) -> list[Found]:
    begun = time.perf_counter()
    trainings = [_start(examples, settings, options, part) for part in examples.choices]
    for rung, following in pairwise((*(rung for rung in (0, *RUNGS) if rung < options.epochs), options.epochs)):
        if rung:
            _keep_the_better_half(trainings)
        for training in trainings:
            training.advance(following - rung)
    per_choice = [training.fits() for training in trainings]
    share = (time.perf_counter() - begun) / len(settings)
    return [
        _trial(examples, setting, fits, share)
        for setting, fits in zip(settings, zip(*per_choice, strict=True), strict=True)
    ]


def _start(examples: Examples, settings: Sequence[Setting], options: TuneOptions, part: Part) -> "SoftmaxTraining":
    from vitrail.heads.softmax import SoftmaxTraining

    return SoftmaxTraining(
        examples.part(part.fit),
        examples.part(part.score),
        classes=examples.classes,
        settings=[_setting(setting) for setting in settings],
        options=_options(options, epochs=options.epochs, scaling=str(settings[0]["scaling"])),
        class_weights=examples.class_weights(part.fit) if options.balanced else None,
    )


def _keep_the_better_half(trainings: "Sequence[SoftmaxTraining]") -> None:
    """By the least val loss so far, summed over the choices: on each of them the same heads go on."""
    going = sorted({head for training in trainings for head in training.going})
    loss_KP = np.array([[min(point.val_loss for point in fit.curve) for fit in one.fits()] for one in trainings]).T
    better = sorted(going, key=lambda head: float(loss_KP[head].sum()))[: (len(going) + 1) // 2]
    for training in trainings:
        training.keep([head for head in training.going if head in better])


def _trial(examples: Examples, setting: Setting, fits: "Sequence[SoftmaxFit]", seconds: float) -> Found:
    nll_S, right_S = score(examples, fits)
    return Found(
        kind=KIND,
        setting=setting,
        nll_S=nll_S,
        right_S=right_S,
        weight_norm=weight_norm([fit.weight_CD for fit in fits]),
        epochs=max(1, round(float(np.median([fit.epochs for fit in fits])))),
        curve=fits[0].curve,
        seconds=seconds,
    )


def _setting(setting: Setting) -> "SoftmaxSetting":
    from vitrail.heads.softmax import SoftmaxSetting

    return SoftmaxSetting(
        learning_rate=float(setting["learning_rate"]),
        dropout=float(setting["dropout"]),
        weight_decay=float(setting["weight_decay"]),
        optimiser=setting["optimiser"],  # type: ignore[arg-type]  # its own check names what is possible
    )


def _options(options: TuneOptions, *, epochs: int, scaling: str) -> "TrainOptions":
    from vitrail.heads.batched import TrainOptions

    return TrainOptions(
        epochs=epochs,
        batch=options.batch,
        patience=options.patience,
        seed=options.seed,
        scaling=scaling,  # type: ignore[arg-type]
    )
