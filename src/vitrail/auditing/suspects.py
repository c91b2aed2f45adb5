"""Suspect labels: confident learning on the answers of a tuned head for examples that it was not trained on.

Train and val are judged by the winning head of a search, refitted without each example's fold. The test labels stay
sealed; only a finished run, whose verdict is known, adds them, by the predictions it stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitrail.auditing.planted import Judge, PlantedErrors, plant_errors, say_own, say_planted, why_too_weak
from vitrail.backbones import Backbone
from vitrail.core.machine import usable_cores
from vitrail.core.progress import Progress, running
from vitrail.core.resources import Resources
from vitrail.core.torch_threads import torch_threads
from vitrail.data import Dataset, Split
from vitrail.evaluation.sentences import say_rate
from vitrail.features import extract
from vitrail.heads.head import Predictions
from vitrail.search import TuneOptions
from vitrail.search.examples import Examples, gather
from vitrail.search.finish import out_of_fold
from vitrail.search.ledger import Ledger
from vitrail.search.logistic_trials import rounds
from vitrail.statistics.confident_learning import label_margins, suspect_labels
from vitrail.statistics.intervals import Interval, wilson

# Only the strength of one convex head is searched: which label is odd depends little on the head, and an audit of
# many images should not take longer than their features.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
TASK = "Judging labels"
REMEDY = (
    "Give a stronger backbone: -b vit_small_patch14_dinov2.lvd142m fetches one, -b NAME=FILE uses weights that you "
    "have, and --run RUN uses the backbone of a run on these images."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SuspectLabel:
    """One label that is probably wrong. `split` is train (val included) or test; probabilities are fractions.

    `margin` is how far the probability of the label lies above that of the most probable class, and so below 0.
    """

    id: str
    path: str
    split: str
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float
    margin: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelFindings:
    """The suspects, the least believable first, of `judged` labels; `why_not` says why no label was judged, or is "".

    `accuracy` is how often the judge agrees with a label that it did not learn from, `planted` how well it finds wrong
    labels that were planted. `too_weak` says why the judge is not good enough, or is empty; a weak judge has no
    suspects. `withheld` is how many more labels it would have flagged if it were not weak, or without the limit that
    makes half of the flags right.
    """

    backbone: str
    judged: int
    accuracy: Interval | None
    test_included: bool
    suspects: tuple[SuspectLabel, ...]
    planted: PlantedErrors | None = None
    too_weak: str = ""
    withheld: int = 0
    why_not: str = ""


def say_judge(findings: LabelFindings) -> list[str]:
    """Who judged the labels and how far to trust it, in sentences."""
    if findings.why_not or findings.accuracy is None or findings.planted is None:
        return [f"Labels were not judged. {findings.why_not}"]
    judged = (
        f"Judge of the labels: {findings.backbone}, which agrees with {say_rate(findings.accuracy)} of the "
        f"{findings.judged:,} labels, each judged by a head that was not trained on it."
    )
    if not findings.too_weak:
        kept_back = f" It is unsure of {findings.withheld:,} more, which are not listed." if findings.withheld else ""
        return [judged + kept_back, f"{say_planted(findings.planted)} {say_own(findings.planted)}"]
    return [
        f"No label is called suspect, because {findings.backbone} is not a good enough judge on these images. "
        f"{findings.too_weak} It would flag {findings.withheld:,} of {findings.judged:,} labels. {REMEDY}",
        say_planted(findings.planted),
    ]


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
    with running(resources.progress, TASK, total=None, unit="heads"), torch_threads(usable_cores()):
        judge = make_judge(examples, resources.progress)
        rows = [("train", examples.ids, examples.label_N, judge(examples.label_N))]
        planted = plant_errors(examples.label_N, examples.classes, judge)
    if tested is not None:
        rows.append(("test", tested.ids, tested.label_N, tested.probability_NC))
    flagged = [suspect for judged in rows for suspect in _suspects(dataset, *judged)]
    right = sum(int((probability_NC.argmax(axis=1) == label_N).sum()) for _, _, label_N, probability_NC in rows)
    count = sum(len(ids) for _, ids, _, _ in rows)
    accuracy = wilson(right, count)
    too_weak = why_too_weak(accuracy, planted)
    limit = None if too_weak else planted.limit
    suspects = [] if limit is None else [suspect for suspect in flagged if suspect.margin <= limit]
    return LabelFindings(
        backbone=backbone.name,
        judged=count,
        accuracy=accuracy,
        test_included=tested is not None,
        suspects=tuple(sorted(suspects, key=lambda suspect: suspect.margin)),
        planted=planted,
        too_weak=too_weak,
        withheld=len(flagged) - len(suspects),
    )


def make_judge(examples: Examples, progress: Progress) -> Judge:
    """A judge of labels: the head whose strength is best on val, fitted for each example without its fold.

    The strength stays the same when labels are planted.
    """
    options = TuneOptions(kinds=("logistic",), strengths=STRENGTHS, scalings=("standardise",))
    tried = [trial for trials in rounds(examples, options, Ledger(None, identity="")) for trial in trials]
    best = min(tried, key=lambda trial: float(trial.nll_S.mean()))
    progress.advance(TASK, len(tried))

    def judge(label_N: NDArray[np.int64]) -> NDArray[np.float64]:
        _, probability_NC = out_of_fold(replace(examples, label_N=label_N), best, options)
        progress.advance(TASK)
        return probability_NC

    return judge


def _suspects(
    dataset: Dataset,
    split: str,
    ids: Sequence[str],
    label_N: NDArray[np.int64],
    probability_NC: NDArray[np.float64],
) -> Iterator[SuspectLabel]:
    paths = dataset.by_id("paths")
    suspects, margin_N = suspect_labels(probability_NC, label_N), label_margins(probability_NC, label_N)
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
            margin=float(margin_N[row]),
        )
