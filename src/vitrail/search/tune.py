"""The search on one backbone's features: fit on train, choose on val, refit on both, calibrate out of fold."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import UsageError
from vitrail.core.progress import Progress, Silent
from vitrail.heads import CurvePoint, Head
from vitrail.heads.head import log_softmax, softmax
from vitrail.heads.temperature import fit_temperature
from vitrail.search.select import select, standard_error
from vitrail.search.trial import Search, Trial

if TYPE_CHECKING:
    from vitrail.data import Dataset, Split
    from vitrail.heads.batched import TrainOptions
    from vitrail.heads.logistic import LogisticFit
    from vitrail.heads.softmax import SoftmaxFit

# Letters: N examples, D features, C classes, T trials.

STRENGTHS = tuple(float(f"{10 ** (half / 2):.3g}") for half in range(-12, 5))  # 1e-6 to 100, half a decade apart
STRENGTH_LIMITS = (1e-9, 1e5)  # how far the path is widened where its best lies at an end
WIDENING = 10**0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneOptions:
    """What a search tries. `strengths` are scikit-learn's C; every learning rate is tried with every dropout."""

    strengths: tuple[float, ...] = STRENGTHS
    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    dropouts: tuple[float, ...] = (0.0, 0.5)
    epochs: int = 40
    batch: int = 128
    patience: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "strengths must be given, each above 0": bool(self.strengths) and min(self.strengths) > 0,
            "learning rates must be above 0": all(rate > 0 for rate in self.learning_rates),
            "dropouts must lie in [0, 1)": all(0 <= dropout < 1 for dropout in self.dropouts),
            "epochs, batch and patience must be at least 1": min(self.epochs, self.batch, self.patience) >= 1,
        }
        for rule, holds in checks.items():
            if not holds:
                raise UsageError(f"The search options do not fit together: {rule}. Got {self}.")


class Rows(Protocol):
    """What a search needs of `Features`."""

    @property
    def backbone(self) -> str:
        """Whose features they are."""

    def rows(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """N x D, in the order asked for."""


def tune(
    features: Rows,
    split: "Split",
    dataset: "Dataset",
    options: TuneOptions | None = None,
    progress: Progress | None = None,
) -> Search:
    """Search a head for one backbone.

    Test labels are not needed and not read: `dataset` has none after the split.

    Args:
        features: the backbone's rows for at least the train and val ids.
        split: train, val and the five folds of both.
        dataset: where labels and class names come from.
        options: what to try.
        progress: who is told how far the search is.

    Returns:
        The search; the same bytes for the same data, options and thread count, but for the seconds.
    """
    options, progress = options or TuneOptions(), progress or Silent()
    start = time.perf_counter()
    examples = _examples(features, split, dataset)
    found = _try_all(examples, options, progress, task=f"Heads for {features.backbone}")
    trials = [trial.summary() for trial in found]
    place = select(np.stack([trial.nll_N for trial in found]), [trial.weight_norm for trial in trials])
    winner = found[place]
    logit_NC = _out_of_fold(examples, winner, options)
    temperature = fit_temperature(logit_NC, examples.label_N)
    return Search(
        backbone=features.backbone,
        trials=tuple(trials),
        winner=trials[place],
        head=_refit(examples, winner, options, dataset.classes, temperature),
        oof_ids=examples.ids,
        oof_probability_NC=softmax(logit_NC / temperature),
        curve=_best_curve(found),
        seconds=time.perf_counter() - start,
    )


@dataclass(frozen=True, slots=True)
class _Examples:
    """Train and val together, with the parts to choose on and the folds, as row numbers."""

    ids: tuple[str, ...]
    feature_ND: NDArray[np.float32]
    label_N: NDArray[np.int64]
    classes: int
    choices: list[tuple[NDArray[np.int64], NDArray[np.int64]]]  # (rows to fit on, rows to score on)
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]

    def part(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        return self.feature_ND[rows], self.label_N[rows]


def _examples(features: Rows, split: "Split", dataset: "Dataset") -> _Examples:
    ids = tuple(sorted((*split.train, *split.val)))
    row = {id_: number for number, id_ in enumerate(ids)}
    label = dict(zip(dataset.table["id"].to_pylist(), dataset.table["label"].to_pylist(), strict=True))

    def rows(part: Sequence[str]) -> NDArray[np.int64]:
        return np.array(sorted(row[id_] for id_ in part), dtype=np.int64)

    everything = np.arange(len(ids))
    folds = [(np.setdiff1d(everything, rows(fold)), rows(fold)) for fold in split.folds if fold]
    return _Examples(
        ids=ids,
        feature_ND=np.ascontiguousarray(features.rows(ids), dtype=np.float32),
        label_N=np.array([label[id_] for id_ in ids], dtype=np.int64),
        classes=len(dataset.classes),
        choices=[(rows(split.train), rows(split.val))] if split.val else folds,
        folds=folds,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A trial with what the search needs to go on: how each scored example fared, and how long to train again."""

    kind: str
    setting: dict[str, float | int | str]
    nll_N: NDArray[np.float64]
    right_N: NDArray[np.bool_]
    weight_norm: float
    epochs: int
    curve: tuple[CurvePoint, ...]
    seconds: float

    def summary(self) -> Trial:
        return Trial(
            kind=self.kind,
            setting=self.setting,
            val_nll=float(self.nll_N.mean()),
            val_nll_se=float(standard_error(self.nll_N[None])[0]),
            val_accuracy=float(self.right_N.mean()),
            weight_norm=self.weight_norm,
            seconds=self.seconds,
        )


def _try_all(examples: _Examples, options: TuneOptions, progress: Progress, *, task: str) -> list[_Found]:
    softmax_heads = len(options.learning_rates) * len(options.dropouts)
    progress.start(task, total=len(options.strengths) + softmax_heads, unit="heads")
    found = []
    for trial in _logistic_trials(examples, options):
        found.append(trial)
        if len(found) <= len(options.strengths):
            progress.advance(task)
    found.extend(_softmax_trials(examples, options))
    progress.advance(task, softmax_heads)
    progress.done(task)
    return found


def _logistic_trials(examples: _Examples, options: TuneOptions) -> Iterator[_Found]:
    """The path as given, then further at the end where the best lies."""
    from vitrail.heads.logistic import LogisticPath

    def paths() -> list[LogisticPath]:
        return [LogisticPath(*examples.part(fit), classes=examples.classes) for fit, _ in examples.choices]

    given = paths()
    tried: dict[float, float] = {}
    for strength in sorted(set(options.strengths)):
        trial = _logistic_trial(examples, [path.fit(strength) for path in given])
        tried[strength] = float(trial.nll_N.mean())
        yield trial
    if len(tried) < 2:
        return
    while (best := min(tried, key=lambda strength: tried[strength])) in (min(tried), max(tried)):
        strength = best * WIDENING if best == max(tried) else best / WIDENING
        if not STRENGTH_LIMITS[0] <= strength <= STRENGTH_LIMITS[1]:
            return
        strength = float(f"{strength:.3g}")
        trial = _logistic_trial(examples, [path.fit(strength) for path in given])
        tried[strength] = float(trial.nll_N.mean())
        yield trial


def _logistic_trial(examples: _Examples, fits: "Sequence[LogisticFit]") -> _Found:
    nll_N, right_N = _scores(examples, fits)
    return _Found(
        kind="logistic",
        setting={"C": fits[0].strength},
        nll_N=nll_N,
        right_N=right_N,
        weight_norm=_weight_norm(fits),
        epochs=0,
        curve=(),
        seconds=sum(fit.seconds for fit in fits),
    )


def _softmax_trials(examples: _Examples, options: TuneOptions) -> list[_Found]:
    from vitrail.heads.softmax import SoftmaxSetting, fit_heads

    settings = [
        SoftmaxSetting(learning_rate=rate, dropout=dropout)
        for rate in options.learning_rates
        for dropout in options.dropouts
    ]
    if not settings:
        return []
    start = time.perf_counter()
    per_choice = [
        fit_heads(
            examples.part(fit),
            examples.part(score),
            classes=examples.classes,
            settings=settings,
            options=_softmax_options(options, options.epochs),
        )
        for fit, score in examples.choices
    ]
    share = (time.perf_counter() - start) / len(settings)
    return [_softmax_trial(examples, fits, share) for fits in zip(*per_choice, strict=True)]


def _softmax_trial(examples: _Examples, fits: "Sequence[SoftmaxFit]", seconds: float) -> _Found:
    nll_N, right_N = _scores(examples, fits)
    setting = fits[0].setting
    return _Found(
        kind="softmax",
        setting={"learning_rate": setting.learning_rate, "dropout": setting.dropout},
        nll_N=nll_N,
        right_N=right_N,
        weight_norm=_weight_norm(fits),
        epochs=max(1, round(float(np.median([fit.epochs for fit in fits])))),
        curve=fits[0].curve,
        seconds=seconds,
    )


def _softmax_options(options: TuneOptions, epochs: int) -> "TrainOptions":
    from vitrail.heads.batched import TrainOptions

    return TrainOptions(epochs=epochs, batch=options.batch, patience=options.patience, seed=options.seed)


def _scores(
    examples: _Examples, fits: "Sequence[LogisticFit | SoftmaxFit]"
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Negative log likelihood and correctness of every scored example, one choice after the other."""
    nll, right = [], []
    for fit, (_, score) in zip(fits, examples.choices, strict=True):
        feature_ND, label_N = examples.part(score)
        log_NC = log_softmax(fit.logits(feature_ND))
        nll.append(-np.take_along_axis(log_NC, label_N[:, None], axis=1)[:, 0])
        right.append(log_NC.argmax(axis=1) == label_N)
    return np.concatenate(nll), np.concatenate(right)


def _weight_norm(fits: "Sequence[LogisticFit | SoftmaxFit]") -> float:
    """See `Trial.weight_norm`; the mean over the folds where there are several."""
    return float(np.mean([np.linalg.norm(fit.weight_CD - fit.weight_CD.mean(axis=0)) for fit in fits]))


def _fit_again(
    examples: _Examples, rows: NDArray[np.int64], winner: _Found, options: TuneOptions
) -> "LogisticFit | SoftmaxFit":
    """The winning setting on other rows; a softmax head for as many epochs as early stopping chose."""
    feature_ND, label_N = examples.part(rows)
    if winner.kind == "logistic":
        from vitrail.heads.logistic import fit_path

        return fit_path(feature_ND, label_N, classes=examples.classes, strengths=[float(winner.setting["C"])])[0]
    from vitrail.heads.softmax import SoftmaxSetting, fit_heads

    setting = SoftmaxSetting(
        learning_rate=float(winner.setting["learning_rate"]), dropout=float(winner.setting["dropout"])
    )
    return fit_heads(
        (feature_ND, label_N),
        None,
        classes=examples.classes,
        settings=[setting],
        options=_softmax_options(options, winner.epochs),
    )[0]


def _out_of_fold(examples: _Examples, winner: _Found, options: TuneOptions) -> NDArray[np.float64]:
    logit_NC = np.zeros((len(examples.ids), examples.classes))
    for fit_rows, rows in examples.folds:
        logit_NC[rows] = _fit_again(examples, fit_rows, winner, options).logits(examples.feature_ND[rows])
    return logit_NC


def _refit(
    examples: _Examples, winner: _Found, options: TuneOptions, classes: tuple[str, ...], temperature: float
) -> Head:
    fit = _fit_again(examples, np.arange(len(examples.ids)), winner, options)
    epochs: dict[str, float | int | str] = {"epochs": winner.epochs} if winner.kind == "softmax" else {}
    return Head(
        kind=winner.kind,
        classes=classes,
        scaling=fit.scaling,
        scores=fit.scores,
        temperature=temperature,
        setting=winner.setting | epochs,
    )


def _best_curve(found: Sequence[_Found]) -> tuple[CurvePoint, ...]:
    heads = [trial for trial in found if trial.kind == "softmax"]
    return min(heads, key=lambda trial: float(trial.nll_N.mean())).curve if heads else ()
