"""What a search tries, how long, and by what it chooses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vitrail.core.errors import UsageError
from vitrail.heads import FORM_OF, SCALINGS

STRENGTHS = tuple(float(f"{10 ** (half / 2):.3g}") for half in range(-12, 5))  # 1e-6 to 100, half a decade apart
KINDS = tuple(FORM_OF)
OPTIMISERS = ("rmsprop", "sgd", "adamw")  # heads/optimisers.py, which imports torch
ALPHAS = tuple(float(10**whole) for whole in range(9))  # 1 to 100 million
NEIGHBOURS = (5, 10, 20, 50)
TOGETHER = 16  # heads of a round, and how many are drawn where nothing else was asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneOptions:
    """What a search tries. `strengths` are scikit-learn's C, `alphas` its ridge penalties, `neighbours` how many vote.

    Of what softmax heads and perceptrons are drawn from, `learning_rate` is the least and the most, the others are all
    there is. Each kind is tried under each of the `scalings`; `logistic` under the first of them with every strength,
    under the others near the best. `mlp` is left out beside other kinds where there is no val and folds have to do.
    `trials` counts the settings that are drawn for heads trained step by step, a quarter of them perceptrons; what is
    solved at once comes besides. With a `budget_s` (seconds of search on each backbone) no new step begins once they
    are spent, and where `trials` is None as many are drawn as there is time for. `metric` is what is chosen by;
    `balanced` lets every class count the same in it, however many images it has. `seeds` and `splits` are how often
    the winner is trained for its spread over seeds, and over other splits of train and val (0 for none). Without
    `refit` the winner is kept as it was trained on train, where there is a val. `label_curves` are some twenty more
    fits of the winner.
    """

    kinds: tuple[str, ...] = KINDS
    strengths: tuple[float, ...] = STRENGTHS
    alphas: tuple[float, ...] = ALPHAS
    neighbours: tuple[int, ...] = NEIGHBOURS
    scalings: tuple[str, ...] = ("standardise", "l2")
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
    refit: bool = True
    label_curves: bool = True
    seeds: int = 3
    splits: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        rate = self.learning_rate
        checks = {
            f"kinds must be given, each one of {', '.join(KINDS)}": _among(self.kinds, KINDS),
            "strengths must be given, each above 0": bool(self.strengths) and min(self.strengths) > 0,
            "the learning rate must have a range above 0": 0 < rate[0] <= rate[1],
            "alphas must be given, each above 0": bool(self.alphas) and min(self.alphas) > 0,
            "neighbours must be given, each at least 1": bool(self.neighbours) and min(self.neighbours) >= 1,
            f"scalings must be given, each one of {', '.join(SCALINGS)}": _among(self.scalings, SCALINGS),
            f"optimisers must be given, each one of {', '.join(OPTIMISERS)}": _among(self.optimisers, OPTIMISERS),
            "dropouts must be given, each in [0, 1)": _all(self.dropouts, lambda one: 0 <= one < 1),
            "weight decays must be given, each in [0, 1]": _all(self.weight_decays, lambda one: 0 <= one <= 1),
            "trials must be at least 1": self.trials is None or self.trials >= 1,
            "a budget must be above 0 seconds": self.budget_s is None or self.budget_s > 0,
            "the metric must be nll or accuracy": self.metric in ("nll", "accuracy"),
            "splits must be none or at least 2": self.splits == 0 or self.splits >= 2,
            "epochs, batch, patience and seeds must be at least 1": (
                min(self.epochs, self.batch, self.patience, self.seeds) >= 1
            ),
        }
        for rule, holds in checks.items():
            if not holds:
                raise UsageError(f"The search options do not fit together: {rule}. Got {self}.")


def _among(given: tuple[str, ...], known: tuple[str, ...]) -> bool:
    return bool(given) and set(given) <= set(known)


def _all(given: tuple[float, ...], holds: Callable[[float], bool]) -> bool:
    return bool(given) and all(holds(one) for one in given)
