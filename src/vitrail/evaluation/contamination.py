"""Was the test set in a backbone's pretraining? The evidence, the untuned classifier beside the tuned head, a sentence.

The verdict is "seen" only if file names say which images these are, and the backbone is known to have been trained on
that collection. It is "probably" if the classes are those of a known data set: somebody may have photographed the same
things, so the backbone stays in the decision, marked. A high accuracy of the untuned classifier alone is a hint:
new images of the same things would be recognised too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitrail.data.traces import Evidence, MatchedBy, Sighting, Traces, UntunedAnswers, say_about
from vitrail.evaluation.deciding_metric import TOP1, DecidingMetric
from vitrail.evaluation.decision import Contender, Decision, decide, say_reasons
from vitrail.evaluation.pairs import Pair
from vitrail.evaluation.sentences import say_names, say_rate
from vitrail.statistics.intervals import LEVEL, Interval, wilson

# Letters: N test images.

_RECALL = (
    "It saw these test images in pretraining, so this figure measures memory of training data: expect less on new "
    "images."
)
_RANKED_BY_RECALL = (
    "All of them saw these test images in pretraining: this compares memory of training data, and their order on new "
    "images may differ."
)
_FITTED = (
    "It saw these test images in pretraining, without their labels: it cannot remember answers, but its features were "
    "fitted to these images and may fit new ones less well."
)
_IN_CAVEATS = ("seen", "probably", "cannot tell")


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

    `share` is the share of the test images that it is known to have seen, by their file names. `weight` is the share of
    these images in the deciding metric, which may weight images differently.
    `labels_seen` is false for a backbone that was trained without labels. `others` is the tuned head's top-1 on the
    test images that no evidence names; None if evidence names all of them or none.
    """

    verdict: Sighting
    share: float
    weight: float
    labels_seen: bool
    sentence: str
    evidence: tuple[Evidence, ...]
    untuned: UntunedAccuracy | None
    others: Interval | None


def weigh(
    traces: Traces,
    name: str,
    label_N: NDArray[np.int64],
    predicted_N: NDArray[np.int64],
    *,
    metric: DecidingMetric = TOP1,
    level: float = LEVEL,
) -> Contamination:
    """The verdict on the backbone `name`, once the test labels are open; `predicted_N` are the tuned head's answers."""
    verdict, share = traces.sighting, traces.share
    untuned = _score(traces.untuned, label_N, predicted_N, level) if traces.untuned else None
    rest_N = ~traces.named_N
    split_by_name = 0 < share < 1
    others = wilson(int((predicted_N == label_N)[rest_N].sum()), int(rest_N.sum()), level) if split_by_name else None
    sentence = _sentence(traces, name) + _say_untuned(untuned, name)
    if others is not None:
        sentence += f" On the {others.n:,} other test images its tuned head has an accuracy of {say_rate(others)}."
    return Contamination(
        verdict=verdict,
        share=share,
        weight=float((traces.named_N * metric.weigh(len(label_N))).mean()),
        labels_seen=traces.labels_seen,
        sentence=sentence,
        evidence=traces.evidence,
        untuned=untuned,
        others=others,
    )


def mark(contamination: Contamination) -> str:
    """A note beside the name of a backbone that saw the test images or probably did; "" for all others."""
    if contamination.verdict == "seen":
        all_of_them = contamination.share > 0.995
        return f"saw {'' if all_of_them else say_about(contamination.share) + ' of '}the test images"
    return "probably saw the test images" if contamination.verdict == "probably" else ""


def decide_fairly(
    contenders: Sequence[Contender],
    pairs: Sequence[Pair],
    contamination: Mapping[str, Contamination],
    *,
    margin: float,
    metric: DecidingMetric = TOP1,
    caveats: Sequence[str] = (),
    one_group: bool = False,
) -> Decision:
    """The decision, not steered by memory of the test images.

    A backbone that saw the test (`saw_the_test`) is not usable. One that probably saw it takes part, and the sentence
    says so. If all saw it, they are ranked all the same. If some did, the decision is among the others. If only one
    other is left and the decision over all backbones picks it, that decision stands, since memory helps only its
    rivals; otherwise it is picked as the only usable backbone, without a comparison.

    `margin` is a fraction of `metric`; `contamination` is by name. Contamination comes first among the caveats.
    """
    saw = [c for c in contenders if saw_the_test(contamination.get(c.name), margin)]
    rest = [c for c in contenders if c not in saw]
    known_caveats = (*(f.sentence for f in contamination.values() if f.verdict in _IN_CAVEATS), *caveats)

    def decide_among(usable: Sequence[Contender]) -> Decision:
        names = {c.name for c in usable}
        among = [pair for pair in pairs if {pair.a, pair.b} <= names]
        return decide(usable, among, margin=margin, metric=metric, caveats=known_caveats, one_group=one_group)

    decision = decide_among(rest if len(rest) > 1 else contenders)
    probably = [c for c in rest if c.name in contamination and contamination[c.name].verdict == "probably"]
    if probably:
        decision = replace(decision, sentence=f"{decision.sentence} {_say_probable(probably)}")
    if not saw:
        return decision
    unlabelled = [c for c in saw if not contamination[c.name].labels_seen]
    if not rest:
        # A ranking by memory proves nothing about new images; a single backbone was not ranked at all.
        strength = decision.strength and "practical"
        sentence = f"{decision.sentence} {_say_all_saw(saw, unlabelled)}"
        return replace(decision, sentence=sentence, strength=strength)
    if len(rest) > 1:
        was = "was" if len(saw) == 1 else "were"
        return replace(decision, sentence=f"{decision.sentence} {_say_recall(saw, unlabelled)} and {was} not compared.")
    if decision.choose == rest[0].name:
        return replace(decision, sentence=f"{decision.sentence} {_say_recall(saw, unlabelled)}.")
    order = sorted(contenders, key=lambda c: -c.rounded)
    return replace(
        decide_among(rest),
        sentence=_say_no_comparison(saw, rest[0], metric, doubt=bool(probably)),
        strength="practical",
        because=say_reasons(order, pairs, {}, metric),
    )


def saw_the_test(contamination: Contamination | None, margin: float) -> bool:
    """Whether the images that a backbone is known to have seen could move its accuracy by the margin."""
    return contamination is not None and contamination.weight >= margin


def _say_all_saw(saw: Sequence[Contender], unlabelled: Sequence[Contender]) -> str:
    if len(saw) == 1:
        return _FITTED if unlabelled else _RECALL
    if not unlabelled:
        return _RANKED_BY_RECALL
    without = _say_without_labels(saw, unlabelled)
    return f"All of them saw these test images in pretraining{without}: their order on new images may differ."


def _say_recall(saw: Sequence[Contender], unlabelled: Sequence[Contender]) -> str:
    whose = "its" if len(saw) == 1 else "their"
    figures = say_names([say_rate(c.accuracy) for c in saw], most=6)
    without, what = (_say_without_labels(saw, unlabelled), "be too high") if unlabelled else ("", "come from memory")
    return f"{_list(saw)} saw these test images in pretraining{without}: {whose} {figures} may {what}"


def _say_without_labels(saw: Sequence[Contender], unlabelled: Sequence[Contender]) -> str:
    return ", without labels" if len(unlabelled) == len(saw) else f", {_list(unlabelled)} without labels"


def _say_probable(probably: Sequence[Contender]) -> str:
    whose, was = ("its", "was") if len(probably) == 1 else ("their", "were")
    figures = say_names([say_rate(c.accuracy) for c in probably], most=6)
    return (
        f"{_list(probably)} probably saw these test images in pretraining: {whose} {figures} may be too high and "
        f"{was} compared all the same."
    )


def _say_no_comparison(saw: Sequence[Contender], other: Contender, metric: DecidingMetric, *, doubt: bool) -> str:
    did = "probably did too" if doubt else "did not, as far as is known"
    figures = say_names([f"{c.name} {say_rate(c.accuracy)}" for c in (*saw, other)], most=6)
    return (
        f"These test images cannot compare the backbones: {_list(saw)} saw them in pretraining, {other.name} {did}. "
        f"{metric.say_figures(other.accuracy.n)}: {figures}. Take {other.name}, the only one that these images can "
        "judge. Whether it is the best is not known: test images that no backbone has seen would settle it."
    )


def _list(contenders: Sequence[Contender]) -> str:
    return say_names([c.name for c in contenders], most=6)


def _sentence(traces: Traces, name: str) -> str:
    facts = "; ".join(sign.sentence for sign in traces.relevant or traces.evidence)
    match traces.sighting:
        case "seen":
            return f"{name} {_say_trained(traces)}, and {facts}: {_say_seen(say_about(traces.share), traces)}"
        case "probably":
            return f"{name} {_say_trained(traces)}, and {facts}: {_say_probably(traces)}"
        case "cannot tell" if traces.pretraining in ("not stated", "its name"):
            return f"{_say_unknown(traces, name)}{f' {_capital(facts)}.' if facts else ''}"
        case "cannot tell" if any(sign.strength != "hint" for sign in traces.relevant):
            return f"{_capital(facts)}. Vitrail cannot tell whether {name}, which {_say_trained(traces)}, saw them."
        case "cannot tell" if not facts:
            return (
                f"Vitrail cannot tell whether {name} saw the test images: it {_say_trained(traces)}, and what else it "
                "was trained on is unknown."
            )
        case "cannot tell":
            return (
                f"{name} may know these classes from pretraining: {facts}. The names do not tell whether it saw these "
                "same images."
            )
        case "not seen":
            known = f"{traces.trained_on[-1]} alone" if traces.trained_on else "other data"
            return f"{_capital(facts)}, but nothing says that {name} saw them: its stated pretraining data is {known}."
        case "no sign":
            return (
                f"No sign that {name} saw the test images in pretraining: "
                "neither file names nor class names point to it."
            )


def _say_unknown(traces: Traces, name: str) -> str:
    what = "a local file" if traces.local_file else "published without its pretraining data"
    by_name = f"By its name it was trained on {traces.named_after[-1]}. " if traces.named_after else ""
    return (
        f"{name} is {what}. {by_name}Vitrail cannot tell what it was trained on, so it may have seen the test images."
    )


def _say_trained(traces: Traces) -> str:
    if traces.pretraining == "its classifier":
        what = "is a local file and" if traces.local_file else "does not state its pretraining data and"
        return f"{what} has a classifier for ImageNet's classes, so it was trained on ImageNet"
    without = "" if traces.labels_seen else " without labels"
    return f"was trained on {traces.trained_on[-1]}{without}"  # the last is the largest, and holds the others


def _say_seen(share: str, traces: Traces) -> str:
    if traces.labels_seen:
        return f"its accuracy on {share} of the test images comes from memory of training data."
    return (
        f"it saw {share} of the test images, but never their labels. It cannot remember answers, but its features were "
        "fitted to these images and may fit new ones less well."
    )


def _say_probably(traces: Traces) -> str:
    without, may = ("", "come from memory") if traces.labels_seen else (", without their labels", "be too high")
    proof = f"File names prove it for {say_about(traces.share)} of them" if traces.share else "No file name proves it"
    return (
        f"it probably saw the test images{without}, and its accuracy may {may}. {proof}: if you took these "
        "photographs yourself, it did not see them."
    )


def _say_untuned(untuned: UntunedAccuracy | None, name: str) -> str:
    if untuned is None:
        return ""
    match = "" if untuned.matched_by == "names" else ", matched by its answers on training images"
    return (
        f" The classifier that comes with {name}, never tuned on these labels, reaches {say_rate(untuned.accuracy)} on "
        f"{untuned.accuracy.n:,} test images of {untuned.classes:,} classes{match}; the tuned head reaches "
        f"{say_rate(untuned.tuned)}."
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
