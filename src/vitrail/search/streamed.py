"""The search if features do not fit in memory: logistic heads on rows that are read from disk, block by block.

`memory.py` says when. The strengths, their order and the choice are those of `logistic_trials.py`. The differences,
which `Search.notes` states:

- Other kinds of heads need all rows in memory and are not tried. The pooling is the backbone's default.
- Heads are scored on at most MOST_SCORED images of val. The temperature comes from the same images and the winner as it
  was fitted on train, in place of five more fits out of fold; so do the probabilities that thresholds are set on.
- The winner is not fitted on other splits of train and val or on subsets of them, which would take fifty more fits: so
  there is no label curve and no estimate for other training images.

Heads without the values of a column (`leave_out.py`) use the scaling of all rows, which needs no labels, and start from
the winner's solution.

Each strength is a step of the ledger, which keeps its solution too: the next strength starts from it.

Memory holds the ids and labels of train and val, the scores of val, the solution of each strength, and for each of at
most four fits side by side a block of rows and thirty vectors of parameters: on ImageNet-1k with 1,280 features about
1.5 GB, of the 4 GB that a search may take of 8.

Rows are read in the order of their paths, in which they were computed: neighbours lie in one shard of the store.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.core.progress import Progress, running
from vitrail.heads import Head, ScalingKind
from vitrail.heads.head import LinearFit, softmax
from vitrail.heads.temperature import fit_temperature
from vitrail.search.examples import Examples, Holdout, PooledRows, number_groups
from vitrail.search.fewshot import score_few_shots
from vitrail.search.finish import choose_kept_rows
from vitrail.search.leave_out import choose_rows_without
from vitrail.search.ledger import BudgetSpent, Ledger
from vitrail.search.logistic_trials import find_near_best, follow_path
from vitrail.search.memory import MemoryNeed, require_kinds
from vitrail.search.options import TuneOptions
from vitrail.search.poolings import with_pooling
from vitrail.search.scored_trial import ScoredTrial, choose_winner, mean_weight_norm, score_solved
from vitrail.search.trial import Search

if TYPE_CHECKING:
    from vitrail.data import Dataset, Split
    from vitrail.heads.logistic_streamed import StreamedAxes, StreamedPath

# Letters: N examples, S scored examples, C classes, D features, P parameters.

MOST_SCORED = 16_384  # images of val: an accuracy of 80% is then known to 0.3 points
MOST_SCORES = 2**24  # of all classes together, where there are more than 1,024


def search_streamed(
    features: PooledRows,
    split: "Split",
    dataset: "Dataset",
    options: TuneOptions,
    ledger: Ledger,
    progress: Progress,
    *,
    need: MemoryNeed,
) -> Search:
    """Search a logistic head on rows that stay on disk.

    Args:
        features: of train and val.
        split: with a val.
        dataset: the examples.
        options: of the search.
        ledger: does each strength once.
        progress: advances with each strength.
        need: why rows stay on disk.

    Raises:
        UsageError: logistic heads are not among the kinds.
    """
    require_kinds(features.backbone, options.kinds, need)
    examples = map_examples(features, split, dataset, balanced=options.balanced)
    notes = (_say_what_differs(features, split, options, examples, need),)
    progress.note(notes[0])
    paths = _Paths(examples, ledger)
    task = f"Heads for {features.backbone}"
    with running(progress, task, total=None, unit="heads"):
        trials = paths.follow_all(options, lambda: progress.advance(task))
        if ledger.ended_early:
            progress.note(f"{task}: the time budget ended the search after {len(trials)} trials.")
    if len(features.poolings) > 1:
        trials = [with_pooling(trial, features.pooling) for trial in trials]
    winner = choose_winner(trials, examples, options.metric)
    scored_S = examples.holdouts[0].score
    logit_SC = examples.score(paths.solution(winner), scored_S)
    label_S = examples.scored_labels
    temperature = fit_temperature(logit_SC, label_S, examples.class_weights(label_S))
    kept_N = choose_kept_rows(examples, options)
    fitted = paths.fit(winner, kept_N) if options.refit else paths.solution(winner)
    without = choose_rows_without(examples, kept_N, split, dataset, options.leave_out) if options.leave_out else []

    def make_head(fit: LinearFit) -> Head:
        return Head(
            kind="logistic",
            classes=dataset.classes,
            scaling=fit.scaling,
            scores=fit.scores,
            temperature=temperature,
            setting=winner.setting,
        )

    return Search(
        backbone=features.backbone,
        pooling=features.pooling,
        trials=tuple(trial.summary(examples) for trial in trials),
        winner=winner.summary(examples),
        head=make_head(fitted),
        oof_ids=tuple(examples.ids[row] for row in scored_S),
        oof_probability_NC=softmax(logit_SC / temperature),
        curve=(),
        seeds=(),
        resplits=(),
        few_shot=score_few_shots(examples, seed=options.seed),
        subsets=None,
        kept=len(kept_N),
        label_curves=(),
        without=tuple(make_head(paths.fit(winner, rows)) for rows in without),
        ended_early=ledger.ended_early,
        streamed=True,
        notes=notes,
        seconds=ledger.seconds,
        user_s=ledger.user_s,
    )


def map_examples(features: PooledRows, split: "Split", dataset: "Dataset", *, balanced: bool = False) -> Examples:
    """Train and val in the order of their paths, their rows on disk; scored are some images of val, evenly spaced."""
    from vitrail.features.by_id import Paths

    table = dataset.table
    in_train_N, in_val_N = (
        pc.is_in(table["id"], value_set=pa.array(ids, pa.string())).to_numpy() for ids in (split.train, split.val)
    )
    order_N = Paths(table).reading_order()
    row_N = order_N[(in_train_N | in_val_N)[order_N]]
    ids = tuple(table["id"].take(pa.array(row_N)).to_pylist())
    train_N, val_N = np.flatnonzero(in_train_N[row_N]), np.flatnonzero(in_val_N[row_N])
    most = min(len(val_N), MOST_SCORED, max(1, MOST_SCORES // len(dataset.classes)))
    scored_S = val_N[np.linspace(0, len(val_N) - 1, most).astype(np.int64)]
    holdout = Holdout(train_N, scored_S, scored_S)
    return Examples(
        ids=ids,
        feature_ND=features.reader(ids),
        label_N=table["label"].take(pa.array(row_N)).to_numpy().astype(np.int64),
        group_N=number_groups(table["group"].take(pa.array(row_N))),
        classes=len(dataset.classes),
        holdouts=(holdout,),
        folds=(),
        pooling=features.pooling,
        balanced=balanced,
    )


class _Paths:
    """Fits and scores strength after strength under each scaling."""

    def __init__(self, examples: Examples, ledger: Ledger) -> None:
        self._examples, self._ledger = examples, ledger
        self._axes: dict[ScalingKind, StreamedAxes] = {}

    def follow_all(self, options: TuneOptions, advance: Callable[[], None]) -> list[ScoredTrial]:
        """The path of every strength under the first scaling, and of those near its best under the others."""
        trials: dict[tuple[ScalingKind, float], ScoredTrial] = {}

        def open_way(scaling: ScalingKind) -> Callable[[float], ScoredTrial]:
            before: list[ScoredTrial] = []

            def try_strength(strength: float) -> ScoredTrial:
                work = partial(self._try, scaling, strength, before[-1] if before else None)
                (trial,) = self._ledger.do(f"streamed-{scaling}-{strength:g}", work)
                before[:] = [trial]
                if (scaling, strength) not in trials:
                    trials[scaling, strength] = trial
                    advance()
                return trial

            return try_strength

        strengths = list(options.strengths)
        try:
            for scaling in dict.fromkeys(options.scalings):
                path = follow_path(self._examples, strengths, partial(open_way, scaling))
                if scaling == options.scalings[0]:
                    strengths = find_near_best(self._examples, path)
        except BudgetSpent:
            pass  # the ledger notes it; the strengths tried so far decide
        return list(trials.values())

    def fit(self, trial: ScoredTrial, rows: NDArray[np.int64]) -> LinearFit:
        """The same setting on other rows, from the trial's solution."""
        return self._open(trial.scaling, rows, trial.point_P).fit(float(trial.setting["C"]))

    def solution(self, trial: ScoredTrial) -> LinearFit:
        """The trial's fit on train."""
        assert trial.point_P is not None  # every trial of this search has one
        return self._axes_of(trial.scaling).fit_at(trial.point_P, self._examples.classes)

    def _try(self, scaling: ScalingKind, strength: float, before: ScoredTrial | None) -> list[ScoredTrial]:
        examples = self._examples
        path = self._open(scaling, examples.holdouts[0].fit, None if before is None else before.point_P)
        fit = path.fit(strength)
        setting: dict[str, float | int | str] = {"C": strength, "scaling": scaling}
        norm = mean_weight_norm([fit.weight_CD])
        trial = score_solved(examples, [fit], kind="logistic", setting=setting, weight_norm=norm)
        return [replace(trial, point_P=path.solution)]

    def _open(
        self, scaling: ScalingKind, rows: NDArray[np.int64], start_P: NDArray[np.float32] | None
    ) -> "StreamedPath":
        from vitrail.heads.logistic_streamed import StreamedPath

        label_M = self._examples.label_N[rows]
        return StreamedPath(
            self._axes_of(scaling),
            rows,
            label_M,
            classes=self._examples.classes,
            class_weights=self._examples.class_weights(label_M),
            start_P=start_P,
        )

    def _axes_of(self, scaling: ScalingKind) -> "StreamedAxes":
        from vitrail.heads.logistic_streamed import StreamedAxes

        if scaling not in self._axes:
            self._axes[scaling] = StreamedAxes.of(self._examples.feature_ND, scaling)
        return self._axes[scaling]


def _say_what_differs(
    features: PooledRows, split: "Split", options: TuneOptions, examples: Examples, need: MemoryNeed
) -> str:
    left_out = [f"{kind} heads" for kind in options.kinds if kind != "logistic"]
    left_out += [f"the pooling {pooling}" for pooling in features.poolings if pooling != features.pooling]
    left_out += ["other splits of train and val"] if options.splits else []
    left_out += (
        ["heads on subsets of train and val, for label curves and for other training images"]
        if options.label_curves
        else []
    )
    scored = len(examples.holdouts[0].score)
    return (
        f"{features.backbone}: logistic heads were fitted on features read from disk, because {need}. They were scored "
        f"and calibrated on {scored:,} of {len(split.val):,} val images."
        + (f" Not tried: {', '.join(left_out)}." if left_out else "")
    )
