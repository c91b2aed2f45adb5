"""The claims of one run against the images left out: figures, pairs, pick, winner and thresholds.

The truth is the verdict on the images left out, by the product's own functions. `Notes` keeps, claim by claim, whether
it held, how wide it was, and what cannot hold or fail: means whose promise is about their average.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from vitrail.evaluation import BackboneVerdict, Criteria, RefusalCheck, Verdict
from vitrail.evaluation.more_images import images_to_settle
from vitrail.evaluation.pairs import Pair, judge_pairs, turn
from vitrail.evaluation.winners_curse import rate_together
from vitrail.heads.head import Predictions
from vitrail.statistics.intervals import Interval

DRAWS = 10  # of more test images, for what would settle a pick


@dataclass
class Notes:
    """What one run tells of each claim, by the claim's key."""

    held: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    width: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    value: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def interval(self, key: str, interval: Interval, truth: float) -> None:
        """Whether an interval holds the truth, and its width."""
        self.claim(key, interval.low <= truth <= interval.high, interval.high - interval.low)

    def claim(self, key: str, held: bool, width: float | None = None) -> None:
        """Whether a claim holds, and how much it left open."""
        self.held[key].append(bool(held))
        if width is not None:
            self.width[key].append(float(width))

    def measure(self, key: str, value: float) -> None:
        """A figure whose mean over runs is what is promised."""
        self.value[key].append(float(value))

    def as_json(self) -> dict[str, dict[str, list[bool]] | dict[str, list[float]]]:
        """All of it."""
        return {"held": dict(self.held), "width": dict(self.width), "value": dict(self.value)}


def score_verdict(notes: Notes, told: Verdict, true: Verdict, clean: Verdict) -> None:
    """Everything the verdict prints but what speaks of other training images.

    `true` is the verdict on the images left out, `clean` the same by their labels before any was changed.
    """
    for backbone, truth, spotless in zip(told.backbones, true.backbones, clean.backbones, strict=True):
        _score_figures(notes, backbone, truth)
        notes.interval("top1 clean", backbone.test.top1, spotless.test.top1.value)
        assert backbone.refusal is not None
        assert truth.refusal is not None
        _score_thresholds(notes, backbone.refusal, truth.refusal)
    _score_ranking(notes, told, true)
    _score_pairs(notes, told, {(pair.a, pair.b): pair.difference.value for pair in true.pairs}, "")
    _score_pairs(notes, told, {(pair.a, pair.b): pair.difference.value for pair in clean.pairs}, " clean")
    _score_pick(notes, told, {backbone.name: backbone.test.top1.value for backbone in true.backbones}, "")
    _score_pick(notes, told, {backbone.name: backbone.test.top1.value for backbone in clean.backbones}, " clean")


def _score_figures(notes: Notes, told: BackboneVerdict, true: BackboneVerdict) -> None:
    for key in ("top1", "top5", "balanced_accuracy", "macro_f1", "nll", "brier"):
        interval = getattr(told.test, key)
        if interval is not None:
            notes.interval(key, interval, getattr(true.test, key).value)
    # The error without noise, as near as so many images tell it.
    notes.interval("ece", told.test.ece, true.test.ece.debiased)
    notes.interval("ece_equal_mass", told.test.ece_equal_mass, true.test.ece_equal_mass.debiased)
    notes.measure("calibration error", true.test.ece.debiased)
    for one, truth in zip(told.per_class, true.per_class, strict=True):
        if one.recall is not None and truth.recall is not None:
            notes.interval("recall", one.recall, truth.recall.value)


def _score_thresholds(notes: Notes, told: RefusalCheck, true: RefusalCheck) -> None:
    notes.claim("confidence found", told.confidence is not None)
    if told.confidence is not None:
        assert true.answered is not None
        kept = true.precision is None or true.precision.value >= told.target_precision
        notes.claim("confidence kept", kept)
        notes.claim("no false promise", kept)
        notes.measure("answered", true.answered.value)
        if told.precision is not None and true.precision is not None:
            notes.interval("precision of answers", told.precision, true.precision.value)
    else:
        notes.claim("no false promise", True)
    for one, truth in zip(told.sets, true.sets, strict=True):
        notes.measure(f"sets {one.rule}", truth.coverage.value)
        notes.measure(f"size {one.rule}", truth.mean_size)
        notes.interval("coverage of sets", one.coverage, truth.coverage.value)
    notes.measure("flagged", true.flagged.value)
    notes.measure("flagged above promise", true.flagged.value - told.alarms)
    notes.interval("flagged interval", told.flagged, true.flagged.value)


def _score_ranking(notes: Notes, told: Verdict, true: Verdict) -> None:
    """Accuracies in the reasons of a decision, whose intervals hold together, and the winner's."""
    rate_of = {backbone.name: backbone.test.top1.value for backbone in true.backbones}
    intervals = {
        tested.name: rate_together(
            tested.probability_NC.argmax(axis=1) == tested.label_N, None, of=len(told.predictions)
        )
        for tested in told.predictions
    }
    held = [interval.low <= rate_of[name] <= interval.high for name, interval in intervals.items()]
    width = float(np.mean([interval.high - interval.low for interval in intervals.values()]))
    notes.claim("ranked together", all(held), width)
    assert told.winner is not None
    truth = rate_of[told.winner.name]
    notes.interval("winner", told.winner.corrected, truth)
    notes.measure("winner as seen", told.winner.seen - truth)
    notes.measure("winner corrected", told.winner.corrected.value - truth)


def _score_pairs(notes: Notes, told: Verdict, lead_of: dict[tuple[str, str], float], kind: str) -> None:
    truths = [lead_of[pair.a, pair.b] for pair in told.pairs]
    held = [p.difference.low <= lead <= p.difference.high for p, lead in zip(told.pairs, truths, strict=True)]
    width = float(np.median([pair.difference.high - pair.difference.low for pair in told.pairs]))
    notes.claim(f"pairs together{kind}", all(held), width)
    beats = [abs(lead) if p.conclusion == _better(lead) else -abs(lead) for p, lead in _decided(told.pairs, truths)]
    for lead in beats:
        notes.claim(f"beats{kind}", lead > 0, lead)
    notes.claim(f"no false beats{kind}", all(lead > 0 for lead in beats))
    for pair, lead in zip(told.pairs, truths, strict=True):
        if pair.conclusion == "equivalent":
            notes.claim(f"equivalent{kind}", abs(lead) < Criteria().margin)


def _decided(pairs: tuple[Pair, ...], truths: list[float]) -> list[tuple[Pair, float]]:
    both = zip(pairs, truths, strict=True)
    return [(pair, lead) for pair, lead in both if pair.conclusion in ("a is better", "b is better")]


def _better(lead: float) -> str:
    return "a is better" if lead > 0 else "b is better"


def _score_pick(notes: Notes, told: Verdict, rate_of: dict[str, float], kind: str) -> None:
    decision, best = told.decision, max(rate_of.values())
    pick_loss, bound = best - rate_of[decision.choose], decision.losses[decision.choose]
    notes.claim(f"loss of the pick{kind}", pick_loss <= max(0.0, bound), max(0.0, bound))
    notes.claim(f"all losses{kind}", all(best - rate_of[name] <= loss for name, loss in decision.losses.items()))
    if not kind:
        notes.measure("true loss", pick_loss)
    if decision.strength == "proven":
        notes.claim(f"proven{kind}", pick_loss <= 0)
    elif decision.strength == "equivalent":
        notes.claim(f"equivalent pick{kind}", pick_loss < Criteria().margin)
    else:
        notes.claim(f"practical{kind}", True)


def score_settling(notes: Notes, told: Verdict, true: Verdict, criteria: Criteria, draws: np.random.Generator) -> None:
    """How many more test images would settle a pick.

    Whether the range holds the number for the true differences, and how often its ends, drawn from the images left out,
    settle it.
    """
    pairs = _pairs_of(told.pairs, told.decision.choose)
    if all(pair.loss_a < criteria.margin for pair in pairs):
        return
    family = {"margin": criteria.margin, "tests": len(told.pairs), "backbones": len(told.backbones)}
    ends = images_to_settle(pairs, **family)
    truths = _pairs_of(true.pairs, told.decision.choose)
    least, most = images_to_settle([_with_truth(*both) for both in zip(pairs, truths, strict=True)], **family)
    notes.claim("settling range", ends[0] <= least and most <= ends[1])
    left = len(true.predictions[0].label_N)
    for key, count in zip(("settled by the least", "settled by the most"), ends, strict=True):
        if count <= left:
            settled = [_settles(told, true, round(count), criteria, draws) for _ in range(DRAWS)]
            notes.measure(key, float(np.mean(settled)))


def _with_truth(pair: Pair, truth: Pair) -> Pair:
    """The pair as it would be with the true difference, known exactly, and the true discordance."""
    lead, scale = truth.difference.value, pair.difference.n / truth.difference.n
    known = replace(pair.difference, value=lead, low=lead, high=lead)
    # Fractions of an image: the discordance is a rate there.
    return replace(pair, difference=known, only_a=truth.only_a * scale, only_b=truth.only_b * scale)


def _settles(told: Verdict, true: Verdict, count: int, criteria: Criteria, draws: np.random.Generator) -> bool:
    more = draws.permutation(len(true.predictions[0].label_N))[:count]
    correct = {
        tested.name: np.concatenate([_right(tested), _right(left_out)[more]])
        for tested, left_out in zip(told.predictions, true.predictions, strict=True)
    }
    pairs = _pairs_of(judge_pairs(correct, None, criteria), told.decision.choose)
    return all(pair.loss_a < criteria.margin or pair.conclusion == "b is better" for pair in pairs)


def _right(predictions: Predictions) -> np.ndarray:
    return predictions.probability_NC.argmax(axis=1) == predictions.label_N


def _pairs_of(pairs: tuple[Pair, ...], name: str) -> list[Pair]:
    """The pairs of one backbone with it as `a`."""
    return [pair if pair.a == name else turn(pair) for pair in pairs if name in (pair.a, pair.b)]
