"""Was the test set in a backbone's pretraining? The evidence, the untuned classifier beside the tuned head, a sentence.

The verdict is "seen" only where names of files or of classes say which images these are, and the backbone is known to
have been trained on that collection. A high accuracy of the untuned classifier alone is a hint: new pictures of the
same things would be recognised too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitrail.data.traces import MOST, Evidence, MatchedBy, Traces, UntunedAnswers, say_about
from vitrail.evaluation.decision import Contender, Decision, decide, say_reasons
from vitrail.evaluation.pairs import Pair
from vitrail.evaluation.sentences import say_names, say_rate
from vitrail.statistics.intervals import LEVEL, Interval, wilson

# Letters: N test images.

Sighting = Literal["seen", "hints", "no sign", "not seen"]

_HOW_KNOWN = {
    "stated": "was trained on ImageNet",
    "its classifier": "is a local file that does not say how it was pretrained, but it tells ImageNet's classes apart",
}

_RECALL = "It saw these test images in pretraining: this is recall of training data, so expect less of new images."
_RANKED_BY_RECALL = (
    "All of them saw these test images in pretraining: this compares recall of training data, and new images may "
    "rank them otherwise."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class UntunedAccuracy:
    """The backbone's own classifier, untuned, on the test images of the `classes` that match one of its own.

    `accuracy` is among these classes, `unrestricted` among all of the classifier's own; `tuned` is the tuned head's
    top-1 among all classes, on the same images.
    """

    label_set: str
    matched_by: MatchedBy
    classes: int
    accuracy: Interval
    unrestricted: Interval
    tuned: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Contamination:
    """What is known of whether one backbone saw the test images in pretraining.

    `share` is of the test images, for the verdict "seen"; 0 otherwise. `others` is the tuned head's top-1 on the
    test images that no evidence names; None unless some are named and some are not.
    """

    verdict: Sighting
    share: float
    sentence: str
    evidence: tuple[Evidence, ...]
    untuned: UntunedAccuracy | None
    others: Interval | None


def weigh(
    traces: Traces, name: str, label_N: NDArray[np.int64], predicted_N: NDArray[np.int64], *, level: float = LEVEL
) -> Contamination:
    """The verdict on the backbone `name`, once the test labels are open; `predicted_N` are the tuned head's answers."""
    verdict, share = _verdict(traces)
    untuned = _score(traces.untuned, label_N, predicted_N, level) if traces.untuned else None
    rest_N = ~traces.named_N
    split_by_name = verdict == "seen" and share < 1 and rest_N.any()
    others = wilson(int((predicted_N == label_N)[rest_N].sum()), int(rest_N.sum()), level) if split_by_name else None
    sentence = _sentence(traces, name, verdict, share) + _say_untuned(untuned, name)
    if others is not None:
        sentence += f" On the {others.n:,} other test images its tuned head is right for {say_rate(others)}."
    return Contamination(
        verdict=verdict, share=share, sentence=sentence, evidence=traces.evidence, untuned=untuned, others=others
    )


def decide_fairly(
    contenders: Sequence[Contender],
    pairs: Sequence[Pair],
    contamination: Mapping[str, Contamination],
    *,
    margin: float,
    caveats: Sequence[str] = (),
    one_group: bool = False,
) -> Decision:
    """The decision, steered by no recall of the test images.

    A backbone counts as having seen the test if the share it saw is the margin or more: fewer images cannot move its
    accuracy by the margin. If all saw it, they are ranked alike, by recall. If some did, the decision is among the
    others. A single other is compared with all if the decision over all falls on it, since recall helps only those that
    it is compared with; otherwise it is taken as the only usable one, uncompared.

    `margin` is a fraction; `contamination` is by name. What was seen comes first among the caveats.
    """
    saw = [c for c in contenders if c.name in contamination and contamination[c.name].share >= margin]
    rest = [c for c in contenders if c not in saw]
    known_caveats = (*(f.sentence for f in contamination.values() if f.verdict in ("seen", "hints")), *caveats)

    def decide_among(usable: Sequence[Contender]) -> Decision:
        names = {c.name for c in usable}
        among = [pair for pair in pairs if {pair.a, pair.b} <= names]
        return decide(usable, among, margin=margin, caveats=known_caveats, one_group=one_group)

    decision = decide_among(rest if len(rest) > 1 else contenders)
    if not saw:
        return decision
    if not rest:
        # How one ranks by recall proves nothing of new images; a single one was not ranked at all.
        strength = decision.strength and "practical"
        recall = _RECALL if len(saw) == 1 else _RANKED_BY_RECALL
        return replace(decision, sentence=f"{decision.sentence} {recall}", strength=strength)
    if len(rest) > 1:
        was = "was" if len(saw) == 1 else "were"
        return replace(decision, sentence=f"{decision.sentence} {_say_recall(saw)} and {was} not weighed.")
    if decision.choose == rest[0].name:
        return replace(decision, sentence=f"{decision.sentence} {_say_recall(saw)}.")
    order = sorted(contenders, key=lambda c: -c.top1.value)
    return replace(
        decide_among(rest),
        sentence=_say_no_comparison(saw, rest[0]),
        strength="practical",
        because=say_reasons(order, pairs, {}),
    )


def _say_recall(saw: Sequence[Contender]) -> str:
    whose = "its" if len(saw) == 1 else "their"
    figures = say_names([say_rate(c.top1) for c in saw], most=6)
    return f"{_list(saw)} saw these test images in pretraining: {whose} {figures} may be recall"


def _say_no_comparison(saw: Sequence[Contender], other: Contender) -> str:
    figures = say_names([f"{c.name} {say_rate(c.top1)}" for c in (*saw, other)], most=6)
    return (
        f"These test images cannot compare the backbones: {_list(saw)} saw them in pretraining, {other.name} did not "
        f"as far as is known. Of {other.top1.n:,} images are right: {figures}. Take {other.name}, the only one that "
        "these images may judge. Whether it is the best is not known: test images that none has seen would settle it."
    )


def _list(contenders: Sequence[Contender]) -> str:
    return say_names([c.name for c in contenders], most=6)


def _verdict(traces: Traces) -> tuple[Sighting, float]:
    sure = [evidence for evidence in traces.evidence if evidence.strength in ("proof", "strong")]
    if sure and traces.trained:
        return "seen", max(evidence.share for evidence in sure)
    if sure:
        return "not seen", 0.0
    hints = traces.trained and any(evidence.share >= MOST for evidence in traces.evidence)
    return ("hints", 0.0) if hints else ("no sign", 0.0)


def _sentence(traces: Traces, name: str, verdict: Sighting, share: float) -> str:
    facts = "; ".join(evidence.sentence for evidence in traces.evidence)
    if verdict == "seen":
        known = _HOW_KNOWN["stated" if traces.pretraining == "stated" else "its classifier"]
        return (
            f"{name} {known}, and {facts}: its accuracy on {say_about(share)} of the test images is recall of "
            "training data."
        )
    if verdict == "not seen":
        return (
            f"{_capital(facts)}, but nothing says that {name} was trained on ImageNet "
            f"(its pretraining is {'not stated' if traces.pretraining == 'not stated' else 'stated as other data'})."
        )
    if verdict == "hints":
        return (
            f"{name} may know these classes from pretraining: {facts}. Whether it saw these very images, "
            "names do not tell."
        )
    return f"No sign that {name} saw the test images in pretraining: neither file names nor class names tell of it."


def _say_untuned(untuned: UntunedAccuracy | None, name: str) -> str:
    if untuned is None:
        return ""
    match = "" if untuned.matched_by == "names" else ", matched by its answers on training images"
    return (
        f" The classifier that {name} brings along, never tuned on these labels, is right for "
        f"{say_rate(untuned.accuracy)} of {untuned.accuracy.n:,} test images among {untuned.classes:,} classes{match}; "
        f"the tuned head for {say_rate(untuned.tuned)}."
    )


def _score(
    answers: UntunedAnswers, label_N: NDArray[np.int64], predicted_N: NDArray[np.int64], level: float
) -> UntunedAccuracy | None:
    matched_N = np.isin(label_N, sorted(answers.places))
    n = int(matched_N.sum())
    if n == 0:
        return None
    right_N = (answers.predicted_N == label_N) & matched_N
    return UntunedAccuracy(
        label_set=answers.label_set,
        matched_by=answers.matched_by,
        classes=len(answers.places),
        accuracy=wilson(int(right_N.sum()), n, level),
        unrestricted=wilson(int((right_N & answers.free_N).sum()), n, level),
        tuned=wilson(int(((predicted_N == label_N) & matched_N).sum()), n, level),
    )


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
