"""Trials of softmax heads: drawn settings, trained together and halved."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrail.search.examples import Examples, Part
from vitrail.search.found import Found
from vitrail.search.halving import Stepwise, space, training_options
from vitrail.search.options import TOGETHER, TuneOptions
from vitrail.search.trial import Setting

if TYPE_CHECKING:
    from vitrail.heads.softmax import SoftmaxFit, SoftmaxSetting, SoftmaxTraining


def fit(examples: Examples, rows: NDArray[np.int64], found: Found, options: TuneOptions) -> "SoftmaxFit":
    """The same setting on other rows, for as many epochs as early stopping chose."""
    from vitrail.heads.softmax import fit_heads

    return fit_heads(
        examples.part(rows),
        None,
        classes=examples.classes,
        settings=[_setting(found.setting)],
        options=training_options(options, epochs=found.epochs, scaling=str(found.setting["scaling"])),
        class_weights=examples.class_weights(rows) if options.balanced else None,
    )[0]


def _start(examples: Examples, settings: Sequence[Setting], options: TuneOptions, part: Part) -> "SoftmaxTraining":
    from vitrail.heads.softmax import SoftmaxTraining

    return SoftmaxTraining(
        examples.part(part.fit),
        examples.part(part.score),
        classes=examples.classes,
        settings=[_setting(setting) for setting in settings],
        options=training_options(options, epochs=options.epochs, scaling=str(settings[0]["scaling"])),
        class_weights=examples.class_weights(part.fit) if options.balanced else None,
    )


def _setting(setting: Setting) -> "SoftmaxSetting":
    from vitrail.heads.softmax import SoftmaxSetting

    return SoftmaxSetting(
        learning_rate=float(setting["learning_rate"]),
        dropout=float(setting["dropout"]),
        weight_decay=float(setting["weight_decay"]),
        optimiser=setting["optimiser"],  # type: ignore[arg-type]  # its own check names what is possible
    )


SOFTMAX = Stepwise("softmax", TOGETHER, space, _start)
