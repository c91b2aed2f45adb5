"""The options of a search: what it tries, for how long, and the metric it chooses by."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from vitrail.core.errors import UsageError
from vitrail.heads import FORM_OF, SCALINGS, ScalingKind
from vitrail.heads.optimisers import OPTIMISERS

STRENGTHS = tuple(float(f"{10 ** (half / 2):.3g}") for half in range(-12, 5))  # 1e-6 to 100, half a decade apart
KINDS = tuple(FORM_OF)
ALPHAS = tuple(float(10**whole) for whole in range(9))  # 1 to 100 million
NEIGHBOURS = (5, 10, 20, 50)
TOGETHER = 16  # heads of a round, and the default number of drawn heads


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneOptions:
    """What a search tries. `strengths` are scikit-learn's C, `alphas` its ridge penalties, `neighbours` its k.

    Softmax heads and perceptrons are drawn from `learning_rate` (the least and the most) and from all values of
    `dropouts`, `weight_decays` and `optimisers`. Each kind is tried under each of the `scalings`; `logistic` under the
    first of them from the middle of the strengths until val turns, under the others with the strengths near the best.
    Without a val, folds take its place, and kinds that are trained step by step (`softmax`, `mlp`) take part only if no
    other kind is given. `trials` counts the settings that are drawn for heads trained
    step by step, a quarter of them perceptrons; the other kinds come in addition. With a `budget_s` (seconds of search
    on each backbone) no new step begins once they are spent, and without `trials` as many are drawn as time allows.
    After each of the `rungs`, in epochs, only the better half of the heads trained together continues; without rungs
    each head is trained until it stops by itself. `metric` selects the winner. With `balanced` every class counts the
    same, however many images it has: in the fit of every head, in its temperature, in every comparison of heads on val,
    and in when a path of strengths or a training ends. `seeds` and `splits` count the trainings of the winner for its
    spread over seeds, and over other splits of train and val (0 for none). Without `refit` the winner stays as it was
    trained on train, if there is a val.
    `label_curves` are forty more fits of the winner, on parts of train and val; they also tell how far training on
    other images moves a figure.
    With a `leave_out`, the name of a further column of the manifest, the winner is fitted again without each of its
    values, or without a tenth of more than ten.
    """

    kinds: tuple[str, ...] = KINDS
    strengths: tuple[float, ...] = STRENGTHS
    alphas: tuple[float, ...] = ALPHAS
    neighbours: tuple[int, ...] = NEIGHBOURS
    scalings: tuple[ScalingKind, ...] = ("standardise", "l2")
    learning_rate: tuple[float, float] = (1e-4, 1e-2)
    dropouts: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8)
    weight_decays: tuple[float, ...] = (0.0, 0.01, 0.1)
    optimisers: tuple[str, ...] = ("rmsprop", "adamw")
    trials: int | None = None
    budget_s: float | None = None
    metric: Literal["nll", "accuracy"] = "nll"
    balanced: bool = False
    epochs: int = 40
    batch: int = 128
    patience: int = 5
    rungs: tuple[int, ...] = (4, 12)
    refit: bool = True
    label_curves: bool = True
    leave_out: str | None = None
    seeds: int = 3
    splits: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        rate = self.learning_rate
        checks = {
            f"give at least one kind, each one of {', '.join(KINDS)}": _among(self.kinds, KINDS),
            "give at least one strength, each above 0": bool(self.strengths) and min(self.strengths) > 0,
            "the range of the learning rate must be above 0": 0 < rate[0] <= rate[1],
            "give at least one alpha, each above 0": bool(self.alphas) and min(self.alphas) > 0,
            "give at least one number of neighbours, each at least 1": bool(self.neighbours)
            and min(self.neighbours) >= 1,
            f"give at least one scaling, each one of {', '.join(SCALINGS)}": _among(self.scalings, SCALINGS),
            f"give at least one optimiser, each one of {', '.join(OPTIMISERS)}": _among(self.optimisers, OPTIMISERS),
            "give at least one dropout, each in [0, 1)": _all(self.dropouts, lambda dropout: 0 <= dropout < 1),
            "give at least one weight decay, each in [0, 1]": _all(self.weight_decays, lambda decay: 0 <= decay <= 1),
            "trials must be at least 1": self.trials is None or self.trials >= 1,
            "the budget must be above 0 seconds": self.budget_s is None or self.budget_s > 0,
            "the metric must be nll or accuracy": self.metric in ("nll", "accuracy"),
            "splits must be 0 or at least 2": self.splits == 0 or self.splits >= 2,
            "rungs must rise, from 1 or more": all(a < b for a, b in pairwise((0, *self.rungs))),
            "epochs, batch, patience and seeds must be at least 1": (
                min(self.epochs, self.batch, self.patience, self.seeds) >= 1
            ),
        }
        for rule, holds in checks.items():
            if not holds:
                raise UsageError(f"Invalid search options: {rule}.")


def _among(given: tuple[str, ...], known: tuple[str, ...]) -> bool:
    return bool(given) and set(given) <= set(known)


def _all(given: tuple[float, ...], holds: Callable[[float], bool]) -> bool:
    return bool(given) and all(holds(value) for value in given)
