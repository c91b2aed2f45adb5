"""Trials of small perceptrons: one hidden layer, drawn and halved as softmax heads are, fewer of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrail.search.examples import Examples, Part
from vitrail.search.found import Found
from vitrail.search.halving import MLP_SHARE, Stepwise, space, training_options
from vitrail.search.options import TOGETHER, TuneOptions
from vitrail.search.sobol import Choice, Range
from vitrail.search.trial import Setting

if TYPE_CHECKING:
    from vitrail.heads.mlp import MlpFit, MlpSetting, MlpTraining

HIDDEN = 128  # units: a head then costs about as much as a softmax head of 128 classes


def fit(examples: Examples, rows: NDArray[np.int64], found: Found, options: TuneOptions) -> "MlpFit":
    """The same setting on other rows, for as many epochs as early stopping chose."""
    from vitrail.heads.mlp import fit_mlps

    return fit_mlps(
        examples.part(rows),
        None,
        classes=examples.classes,
        settings=[_setting(found.setting)],
        options=training_options(options, epochs=found.epochs, scaling=str(found.setting["scaling"])),
        class_weights=examples.class_weights(rows) if options.balanced else None,
    )[0]


def _start(examples: Examples, settings: Sequence[Setting], options: TuneOptions, part: Part) -> "MlpTraining":
    from vitrail.heads.mlp import MlpTraining

    return MlpTraining(
        examples.part(part.fit),
        examples.part(part.score),
        classes=examples.classes,
        settings=[_setting(setting) for setting in settings],
        options=training_options(options, epochs=options.epochs, scaling=str(settings[0]["scaling"])),
        class_weights=examples.class_weights(part.fit) if options.balanced else None,
    )


def _setting(setting: Setting) -> "MlpSetting":
    from vitrail.heads.mlp import MlpSetting

    return MlpSetting(
        hidden=int(setting["hidden"]),
        learning_rate=float(setting["learning_rate"]),
        dropout=float(setting["dropout"]),
        weight_decay=float(setting["weight_decay"]),
        optimiser=setting["optimiser"],  # type: ignore[arg-type]  # its own check names what is possible
    )


def _space(options: TuneOptions) -> dict[str, Range | Choice]:
    return {**space(options), "hidden": Choice((HIDDEN,))}


MLP = Stepwise("mlp", TOGETHER // MLP_SHARE, _space, _start)
