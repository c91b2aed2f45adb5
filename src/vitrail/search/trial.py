"""What a search tried, and what came out."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitrail.core.hashing import fingerprint, sha256_bytes
from vitrail.heads import CurvePoint, Head
from vitrail.search.curves import LabelCurve
from vitrail.search.fewshot import FewShot
from vitrail.search.resplits import Resplit

# Letters: N examples, C classes.

Setting = dict[str, float | int | str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One setting, trained and scored on val, or over the folds where there is no val.

    `val_nll` is in nats, after one temperature fitted on the same rows; `val_nll_se` is its standard error.
    `val_balanced_accuracy` is the mean of the classes' accuracies. `weight_norm` is the length of the weight on scaled
    features (of a perceptron, of its two weights' product), less its mean over classes: among trials of one kind, the
    less, the stronger the regularisation. `seconds` of a head trained with others is its share.
    """

    kind: str
    setting: Setting
    val_nll: float
    val_nll_se: float
    val_accuracy: float
    val_balanced_accuracy: float
    weight_norm: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Seeded:
    """The winner's setting trained once more, with another seed, and scored on val or over the folds."""

    seed: int
    val_nll: float
    val_accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Every trial on the features of one backbone, and the winner, refitted on train and val.

    `pooling` says which features the head takes; trials on others, which were compared first, come last in `trials`.

    `oof_probability_NC` has a row for each id of `oof_ids`, which are train and val: the probability that the winning
    setting gives an example when fitted without its fold, calibrated with the head's temperature (which was fitted on
    just these rows). `curve` is the best softmax head's, whatever kind won. `seeds` has the winner under several
    seeds, the search's own first; it is empty for a kind in which nothing is drawn. `resplits` has it on other splits
    of train and val. `label_curves` say what images are worth, of all classes and of the hardest. `ended_early` says
    that a budget ended the search, so that the same budget elsewhere may end it elsewhere. `user_s` is CPU time in
    user mode, that of steps done earlier included.
    """

    backbone: str
    pooling: str
    trials: tuple[Trial, ...]
    winner: Trial
    head: Head = field(repr=False)
    oof_ids: tuple[str, ...] = field(repr=False)
    oof_probability_NC: NDArray[np.float64] = field(repr=False)
    curve: tuple[CurvePoint, ...] = field(repr=False)
    seeds: tuple[Seeded, ...]
    resplits: tuple[Resplit, ...] = field(repr=False)
    few_shot: tuple[FewShot, ...]
    label_curves: tuple[LabelCurve, ...]
    ended_early: bool
    seconds: float
    user_s: float

    @property
    def digest(self) -> str:
        """Stands for every choice made: the fitted head, to the last bit. The clock is not in it."""
        return fingerprint(
            {
                "backbone": self.backbone,
                "kind": self.head.kind,
                "setting": self.head.setting,
                "classes": self.head.classes,
                "temperature": self.head.temperature,
                "scaling": self.head.scaling.kind,
                "tensors": {name: sha256_bytes(array.tobytes()) for name, array in self.head.tensors().items()},
            }
        )
