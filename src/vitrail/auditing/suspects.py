"""Suspect labels: confident learning on what a frozen backbone's tuned head says of examples it did not learn from.

Train and val are judged by the winning head of a search, refitted without each example's fold. The test labels stay
sealed; only a finished run, whose verdict is known, adds them, by the predictions it stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones import Backbone
from vitrail.core.machine import torch_threads, usable_cores
from vitrail.core.progress import Progress, running
from vitrail.core.resources import Resources
from vitrail.data import Dataset, Split
from vitrail.features import extract
from vitrail.heads.head import Predictions
from vitrail.search import TuneOptions
from vitrail.search.examples import Examples, gather
from vitrail.search.finish import out_of_fold
from vitrail.search.ledger import Ledger
from vitrail.search.logistic_trials import rounds
from vitrail.statistics.confident_learning import suspect_labels

# Only the strength of one convex head is searched: which label is odd depends little on the head, and an audit of
# many images should not take longer than their features.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
TASK = "Judging labels"


@dataclass(frozen=True, kw_only=True, slots=True)
class SuspectLabel:
    """One label that is probably wrong. `split` is train (val included) or test; probabilities are fractions."""

    id: str
    path: str
    split: str
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelFindings:
    """The suspects, the least believable first, of `judged` labels; `why_not` says why none was judged, or is empty."""

    backbone: str
    judged: int
    accuracy: float
    test_included: bool
    suspects: tuple[SuspectLabel, ...]
    why_not: str = ""


def find_suspects(
    dataset: Dataset,
    split: Split,
    backbone: Backbone,
    *,
    tested: Predictions | None,
    max_pixels: int,
    resources: Resources,
) -> LabelFindings:
    """Judge the labels of train and val, and of test if `tested` has a finished run's predictions of it."""
    extraction = extract(dataset, [backbone], max_pixels=max_pixels, resources=resources)
    split = split.without(extraction.unreadable_ids)
    examples = gather(extraction.features[0], split, dataset)
    judged = [("train", examples.ids, examples.label_N, answer_out_of_fold(examples, resources.progress))]
    if tested is not None:
        judged.append(("test", tested.ids, tested.label_N, tested.probability_NC))
    suspects = [suspect for rows in judged for suspect in _suspects(dataset, *rows)]
    right = sum(int((probability_NC.argmax(axis=1) == label_N).sum()) for _, _, label_N, probability_NC in judged)
    count = sum(len(ids) for _, ids, _, _ in judged)
    return LabelFindings(
        backbone=backbone.name,
        judged=count,
        accuracy=right / count,
        test_included=tested is not None,
        suspects=tuple(sorted(suspects, key=lambda suspect: suspect.label_probability - suspect.suggested_probability)),
    )


def answer_out_of_fold(examples: Examples, progress: Progress) -> NDArray[np.float64]:
    """Probabilities of each example from a head fitted without its fold, at the strength that is best on val: N x C."""
    options = TuneOptions(kinds=("logistic",), strengths=STRENGTHS, scalings=("standardise",))
    with running(progress, TASK, total=None, unit="heads"), torch_threads(usable_cores()):
        tried = [trial for trials in rounds(examples, options, Ledger(None, identity="")) for trial in trials]
        best = min(tried, key=lambda trial: float(trial.nll_S.mean()))
        progress.advance(TASK, len(tried))
        _, probability_NC = out_of_fold(examples, best, options)
    return probability_NC


def _suspects(
    dataset: Dataset,
    split: str,
    ids: Sequence[str],
    label_N: NDArray[np.int64],
    probability_NC: NDArray[np.float64],
) -> Iterator[SuspectLabel]:
    paths = dataset.by_id("paths")
    suspects = suspect_labels(probability_NC, label_N)
    for row, suggested in zip(suspects.row_S.tolist(), suspects.suggested_S.tolist(), strict=True):
        label = int(label_N[row])
        yield SuspectLabel(
            id=ids[row],
            path=paths[ids[row]][0],
            split=split,
            label=dataset.classes[label],
            suggested=dataset.classes[suggested],
            label_probability=float(probability_NC[row, label]),
            suggested_probability=float(probability_NC[row, suggested]),
        )
