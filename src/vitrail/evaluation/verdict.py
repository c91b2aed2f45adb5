"""The verdict: every figure of every backbone on the test split, every pair, and the decision.

The only place that opens the sealed test labels. Every probability is computed by then, so no choice can use them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.data.sealed import SealedTest
from vitrail.evaluation.caveats import BALANCED, find_caveats
from vitrail.evaluation.conditions import Conditions, judge_conditions, judge_shares, say_conditions
from vitrail.evaluation.contamination import Contamination, decide_fairly, saw_the_test, weigh
from vitrail.evaluation.contestants import (
    Contestant,
    Criteria,
    JudgedImages,
    check_contestants,
    check_labels,
    check_sums,
)
from vitrail.evaluation.deciding_metric import DecidingMetric
from vitrail.evaluation.decision import Contender, Decision
from vitrail.evaluation.other_metric import say_other_order
from vitrail.evaluation.pairs import Pair, judge_pairs, number_groups
from vitrail.evaluation.retraining import (
    RetrainedPair,
    Retraining,
    judge_retrained_pairs,
    judge_retraining,
    say_could_turn,
)
from vitrail.evaluation.shift import ClassShares
from vitrail.evaluation.thresholds import RefusalCheck, check_refusal
from vitrail.evaluation.winners_curse import WinnersCurse, correct_winner, rate_together, say_winner
from vitrail.heads.head import Predictions
from vitrail.statistics import metrics
from vitrail.statistics.calibration_error import CalibrationError, ReliabilityBin, ece, ece_equal_mass, reliability
from vitrail.statistics.intervals import Interval
from vitrail.statistics.metrics import DecideBy

# Letters: N examples, C classes.


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """The figures of one backbone on the test images. `top5` is None for five classes or fewer.

    `ece` has bins of equal width, `ece_equal_mass` bins of equally many examples.
    """

    top1: Interval
    top5: Interval | None
    balanced_accuracy: Interval
    macro_f1: Interval
    nll: Interval
    ece: CalibrationError
    brier: Interval
    ece_equal_mass: CalibrationError

    def deciding(self, decide_by: DecideBy) -> Interval:
        """The metric that the run decides by."""
        return self.top1 if decide_by == "top1" else self.balanced_accuracy


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassMetrics:
    """One class with `n` test images. A figure that would divide by zero is None."""

    name: str
    n: int
    recall: Interval | None
    precision: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneVerdict:
    """The figures of one backbone, and whether it saw the test images in pretraining, as far as known.

    `contamination` is None for a contestant without traces, `refusal` for one without thresholds, `retraining` for one
    without halves. `conditions` say how its accuracy depends on where images come from.
    """

    name: str
    test: Metrics
    per_class: tuple[ClassMetrics, ...]
    contamination: Contamination | None
    refusal: RefusalCheck | None
    reliability: tuple[ReliabilityBin, ...]
    retraining: Retraining | None
    conditions: Conditions


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """All results on the test split. Backbones and predictions are in the order of the contestants.

    `winner` is the best by the deciding metric, corrected for having been chosen; None if there is only one backbone.
    `retrained` are the pairs over draws of training images as well, if both have halves. `shares` compares the class
    shares of test and training images; None unless the test was given.
    """

    backbones: tuple[BackboneVerdict, ...]
    pairs: tuple[Pair, ...]
    retrained: tuple[RetrainedPair, ...]
    winner: WinnersCurse | None
    shares: ClassShares | None
    decision: Decision
    predictions: tuple[Predictions, ...] = field(repr=False)


def judge(
    contestants: Sequence[Contestant],
    images: JudgedImages,
    sealed: SealedTest,
    choices_digest: str,
    criteria: Criteria | None = None,
) -> Verdict:
    """Open the test labels once and judge every backbone on them.

    Args:
        contestants: every backbone with its probabilities, rows in the order of `images.ids`.
        images: the test images that all backbones are judged on.
        sealed: their labels; labels of examples that are not judged are ignored.
        choices_digest: the digest of every choice that was made, stored with the opening.
        criteria: level, margin, seed and the metric that decides.

    Raises:
        DataError: there is nothing to judge, or probabilities or labels do not fit; only labels are checked after the
            opening.
    """
    criteria = criteria or Criteria()
    check_contestants(contestants, images.ids, images.classes)
    check_sums(contestants)
    label_N = _labels(sealed.open(choices_digest), images.ids)
    check_labels(label_N, images.ids, images.classes)
    metric = DecidingMetric.of(criteria.decide_by, label_N)
    contamination = {
        c.name: weigh(c.traces, c.name, label_N, c.probability_NC.argmax(axis=1), metric=metric, level=criteria.level)
        for c in contestants
        if c.traces
    }
    return assess(contestants, images, label_N, criteria, contamination=contamination)


def assess(
    contestants: Sequence[Contestant],
    images: JudgedImages,
    label_N: NDArray[np.int64],
    criteria: Criteria,
    *,
    contamination: Mapping[str, Contamination],
) -> Verdict:
    """Every figure from labels that are already open: `judge` does this after the opening, and `verify` repeats it.

    Args:
        contestants: every backbone with its probabilities, rows in the order of `images.ids`.
        images: the test images.
        label_N: their labels.
        criteria: level, margin, seed and the metric that decides.
        contamination: what is known about each backbone's pretraining, by its name.

    Raises:
        DataError: there is nothing to judge, or probabilities or labels do not fit.
    """
    ids, classes, level = images.ids, images.classes, criteria.level
    metric = DecidingMetric.of(criteria.decide_by, label_N)
    check_contestants(contestants, ids, classes)
    check_labels(label_N, ids, classes)
    group_N = number_groups(images.groups, ids)
    conditions = judge_conditions(contestants, images, label_N, group_N, level=level)
    backbones = tuple(
        _judge_backbone(c, label_N, group_N, classes, contamination.get(c.name), conditions[c.name], criteria)
        for c in contestants
    )
    correct = {c.name: c.probability_NC.argmax(axis=1) == label_N for c in contestants}
    pairs = judge_pairs(correct, group_N, criteria, metric)
    halves = {c.name: c.halves for c in contestants if c.halves is not None}
    retrained = judge_retrained_pairs(pairs, halves, metric=metric, level=level)
    contenders = [
        Contender(
            name=c.name,
            accuracy=rate_together(correct[c.name], group_N, of=len(contestants), metric=metric, level=level),
            gmacs=c.gmacs,
            licence=c.licence,
        )
        for c in contestants
    ]
    test_groups = [images.groups.get(i, i) for i in ids]
    draws = np.random.default_rng(criteria.seed)
    winner = correct_winner(correct, group_N, left=criteria.left, metric=metric, generator=draws, level=level)
    labels_C = np.bincount(label_N, minlength=len(classes))
    caveats = find_caveats(contenders, pairs, labels_C, classes, test_groups, metric)
    best = max(contenders, key=lambda c: (c.rounded, -c.gmacs))
    usable = {
        name: correct_N
        for name, correct_N in correct.items()
        if not saw_the_test(contamination.get(name), criteria.margin)
    }
    other_order = say_other_order(usable, metric, label_N, group_N, criteria)
    decision = decide_fairly(
        contenders,
        pairs,
        contamination,
        margin=criteria.margin,
        metric=metric,
        caveats=(
            *images.warnings,
            *([BALANCED] if criteria.balanced else []),
            *other_order,
            *say_could_turn(retrained, best.name),
            *say_winner(winner, metric),
            *caveats,
        ),
        one_group=len(set(test_groups)) == 1 < len(ids),
    )
    shares = judge_shares(contestants, images, label_N, group_N, criteria)
    return Verdict(
        backbones=backbones,
        pairs=pairs,
        retrained=retrained,
        winner=winner,
        shares=shares,
        decision=replace(decision, caveats=(*say_conditions(decision.choose, conditions, shares), *decision.caveats)),
        predictions=tuple(
            Predictions(name=c.name, ids=ids, label_N=label_N, probability_NC=c.probability_NC) for c in contestants
        ),
    )


def _labels(label_of: Mapping[str, int], test_ids: Sequence[str]) -> NDArray[np.int64]:
    missing = [i for i in test_ids if i not in label_of]
    if missing:
        raise DataError(f"{len(missing)} test examples have no sealed label (the first is {missing[0]}): split again.")
    return np.array([label_of[i] for i in test_ids], dtype=np.int64)


def _judge_backbone(
    contestant: Contestant,
    label_N: NDArray[np.int64],
    group_N: NDArray[np.int64] | None,
    classes: Sequence[str],
    contamination: Contamination | None,
    conditions: Conditions,
    criteria: Criteria,
) -> BackboneVerdict:
    level, seed = criteria.level, criteria.seed
    probability_NC, count = contestant.probability_NC, len(classes)
    predicted_N = probability_NC.argmax(axis=1)
    correct_N = predicted_N == label_N
    confidence_N = np.minimum(probability_NC.max(axis=1), 1.0)
    test = Metrics(
        top1=metrics.rate(correct_N, group_N, level=level),
        top5=metrics.top_k(probability_NC, label_N, 5, group_N=group_N, level=level),
        balanced_accuracy=metrics.balanced_accuracy(label_N, correct_N, group_N=group_N, level=level),
        macro_f1=metrics.macro_f1(label_N, predicted_N, count, group_N=group_N, level=level),
        nll=metrics.nll(probability_NC, label_N, group_N=group_N, level=level),
        # The same random draws for every backbone: their intervals then differ only because of their data.
        ece=ece(confidence_N, correct_N, generator=np.random.default_rng(seed), group_N=group_N, level=level),
        brier=metrics.brier(probability_NC, label_N, group_N=group_N, level=level),
        ece_equal_mass=ece_equal_mass(
            confidence_N, correct_N, generator=np.random.default_rng(seed), group_N=group_N, level=level
        ),
    )
    metric = DecidingMetric.of(criteria.decide_by, label_N)
    rate = test.deciding(criteria.decide_by)
    return BackboneVerdict(
        name=contestant.name,
        test=test,
        per_class=_judge_classes(label_N, predicted_N, group_N, classes, level),
        contamination=contamination,
        refusal=_check_refusal(contestant, label_N, group_N, level),
        reliability=reliability(confidence_N, correct_N),
        retraining=None if contestant.halves is None else judge_retraining(rate, contestant.halves, metric),
        conditions=conditions,
    )


def _check_refusal(
    contestant: Contestant, label_N: NDArray[np.int64], group_N: NDArray[np.int64] | None, level: float
) -> RefusalCheck | None:
    if contestant.refusal is None or contestant.strange_N is None:
        return None
    return check_refusal(
        contestant.refusal, contestant.probability_NC, contestant.strange_N, label_N, group_N=group_N, level=level
    )


def _judge_classes(
    label_N: NDArray[np.int64],
    predicted_N: NDArray[np.int64],
    group_N: NDArray[np.int64] | None,
    classes: Sequence[str],
    level: float,
) -> tuple[ClassMetrics, ...]:
    order_N = np.argsort(label_N, kind="stable")
    ends_C = np.cumsum(np.bincount(label_N, minlength=len(classes)))
    rows_of = np.split(order_N, ends_C[:-1])
    labels_C = np.bincount(label_N, minlength=len(classes)).tolist()
    guesses_C = np.bincount(predicted_N, minlength=len(classes)).tolist()
    hits_C = np.bincount(label_N[label_N == predicted_N], minlength=len(classes)).tolist()
    return tuple(
        ClassMetrics(
            name=name,
            n=labels,
            recall=metrics.rate((predicted_N == label_N)[rows], None if group_N is None else group_N[rows], level=level)
            if labels
            else None,
            precision=hits / guesses if guesses else None,
            f1=2 * hits / (labels + guesses) if labels + guesses else None,
        )
        for name, labels, guesses, hits, rows in zip(classes, labels_C, guesses_C, hits_C, rows_of, strict=True)
    )
