"""What a model folder answers on the sealed test images of its run, and whether that is what was measured.

Fidelity compares it with the run's network on torch in float32: the same weights, head and pixels. Shift compares it
with the predictions that the run stored, which were computed in the run's own precision. An export in float32 fails if
its fidelity fails, or if a paired test shows that its accuracy differs from the run's. One in a reduced precision
cannot have that fidelity; it fails by `loss.py`.

Letters: N test images, C classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.delivery.export.loss import LossCheck
from vitrail.evaluation import Criteria, Pair, RefusalCheck
from vitrail.evaluation.deciding_metric import DecidingMetric
from vitrail.evaluation.pairs import judge_pairs
from vitrail.evaluation.thresholds import check_refusal
from vitrail.heads.refusal import Refusal
from vitrail.statistics.metrics import DecideBy

CERTIFICATE_VERSION = 1
MOST_DIFFERENCE = 1e-4  # of a probability
MOST_DISTANCE = 1e-4  # of a cosine distance; with less between the two, an image may be strange on one side only
EXPORT, RUN = "export", "run"
NOT_IMPORTED = ("torch", "vitrail")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """The probabilities of all test images, and their distances to the training images."""

    probability_NC: NDArray[np.float64]
    distance_N: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """A test image that gets another class than before, with the probability that each side gives its own."""

    id: str
    label: str
    before: str
    before_probability: float
    after: str
    after_probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Fidelity:
    """The export against the same network on torch in float32.

    `flips` are images with another class; one is a tie if torch gives the two classes probabilities that differ by at
    most twice what is allowed. `strange` counts images that count as strange on one side only, without those whose two
    distances differ by no more than rounding. `reduced` counts test images that are larger than the model's input: on
    others a wrong resize does not show.
    """

    images: int
    largest_difference: float
    allowed_difference: float
    largest_distance_difference: float
    flips: tuple[Flip, ...]
    ties: int
    strange: int
    reduced: int

    def broken(self) -> str | None:
        """Which answer is not a number, which no precision excuses; None if all are."""
        if not math.isfinite(self.largest_difference):
            return "a probability is not a number"
        if not math.isfinite(self.largest_distance_difference):
            return "a distance to the training images is not a number"
        return None

    def fault(self) -> str | None:
        """Why an export in float32 is refused; None if it is not."""
        if broken := self.broken():
            return broken
        if self.largest_difference > self.allowed_difference:
            return (
                f"a probability differs by {self.largest_difference:.2g} from the same network's on torch, and "
                f"{self.allowed_difference:g} is allowed"
            )
        if len(self.flips) > self.ties:
            return f"{len(self.flips) - self.ties} test images get another class than from the same network on torch"
        if self.strange:
            return f"for {self.strange} test images it differs whether they are unlike the training images"
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """The export against the predictions that the run stored, computed with `engine` in `precision`.

    They differ a little even in float32, since the store of features rounds them.

    `pair` has the export as `a` and the run as `b`, compared by `pair_metric`, which the run was decided by. `promises`
    are the run's thresholds on the export's answers. `conclusion` says what the paired test shows.
    """

    engine: str
    precision: str
    largest_difference: float
    flips: tuple[Flip, ...]
    pair_metric: DecideBy
    pair: Pair
    promises: RefusalCheck
    conclusion: str

    def fault(self) -> str | None:
        """Why the export is refused; None if it is not."""
        return self.conclusion if self.pair.conclusion in ("a is better", "b is better") else None


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedBatch:
    """Images a second with one batch size: the median over calls, the slowest and the fastest of them."""

    batch: int
    images_per_s: float
    slowest: float
    fastest: float
    calls: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How fast the model answers on this machine, without decoding, on `threads` threads."""

    processor: str
    threads: int
    alone: TimedBatch
    best: TimedBatch


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeImage:
    """The model that takes whole images, against the same network on torch with crops by Pillow.

    `model` has the sha256 of each of its files. `largest_difference` is of a probability or a distance. `beyond` counts
    test images beyond its limits that it does not answer; every other one is compared. `seconds` is the median of an
    image, without decoding.
    """

    model: dict[str, str]
    bytes: int
    images: int
    beyond: int
    largest_difference: float
    allowed_difference: float
    seconds: float

    def fault(self) -> str | None:
        """Why the export is refused; None if it is not."""
        if self.beyond == self.images:
            return "all test images are larger than the model of whole images takes"
        if not self.largest_difference <= self.allowed_difference:
            return (
                f"an answer of the model of whole images differs by {self.largest_difference:.2g} from the same "
                f"network's on torch, and {self.allowed_difference:g} is allowed"
            )
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """certificate.json. `model` has the sha256 of each file of the model, `bytes` their size on disk.

    `imported` names the packages of the process that answered; `runtime` is the version of each that matters. `loss` is
    the rule of a reduced precision; None for fp32. `whole_image` is about the model that takes whole images, if there
    is one.
    """

    certificate_version: int
    run: str
    backbone: str
    format: str
    precision: str
    model: dict[str, str]
    bytes: int
    runtime: dict[str, str]
    imported: tuple[str, ...]
    fidelity: Fidelity
    shift: Shift
    loss: LossCheck | None
    speed: Speed
    whole_image: WholeImage | None = None

    def faults(self) -> tuple[str, ...]:
        """Every reason to refuse the export."""
        foreign = [name for name in NOT_IMPORTED if name in self.imported and name not in self.runtime]
        stray = f"the process that answered has imported {' and '.join(foreign)}" if foreign else None
        whole = self.whole_image.fault() if self.whole_image else None
        if self.loss is None:
            return tuple(fault for fault in (stray, self.fidelity.fault(), self.shift.fault(), whole) if fault)
        return tuple(fault for fault in (stray, self.fidelity.broken(), self.loss.fault(), whole) if fault)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The test images: their ids, labels and groups as numbers (None if independent), and the names of the classes."""

    ids: Sequence[str]
    label_N: NDArray[np.int64]
    group_N: NDArray[np.int64] | None
    classes: Sequence[str]


def compare_exactly(
    images: Judged, torch: Answers, export: Answers, refusal: Refusal, *, reduced: int, allowed: float = MOST_DIFFERENCE
) -> Fidelity:
    """The export against torch in float32."""
    flips = list_flips(images, torch.probability_NC, export.probability_NC)
    flipped_N = torch.probability_NC.argmax(axis=1) != export.probability_NC.argmax(axis=1)
    row_N = np.flatnonzero(flipped_N)
    lead_N = (
        torch.probability_NC[row_N].max(axis=1)
        - torch.probability_NC[row_N, export.probability_NC[row_N].argmax(axis=1)]
    )
    strange_N = (torch.distance_N > refusal.distance) != (export.distance_N > refusal.distance)
    rounded_N = np.abs(torch.distance_N - export.distance_N) <= MOST_DISTANCE
    return Fidelity(
        images=len(images.ids),
        largest_difference=largest(torch.probability_NC, export.probability_NC),
        allowed_difference=allowed,
        largest_distance_difference=largest(torch.distance_N, export.distance_N),
        flips=flips,
        ties=int((lead_N <= 2 * allowed).sum()),
        strange=int((strange_N & ~rounded_N).sum()),
        reduced=reduced,
    )


def compare_with_run(
    images: Judged,
    stored_NC: NDArray[np.float64],
    export: Answers,
    refusal: Refusal,
    criteria: Criteria,
    *,
    engine: str,
    precision: str,
) -> Shift:
    """The export against what the run stored."""
    answers = {EXPORT: export.probability_NC, RUN: stored_NC}
    correct = {name: answer_NC.argmax(axis=1) == images.label_N for name, answer_NC in answers.items()}
    metric = DecidingMetric.of(criteria.decide_by, images.label_N)
    pair = judge_pairs(correct, images.group_N, criteria, metric)[0]
    promises = check_refusal(
        refusal,
        export.probability_NC,
        export.distance_N > refusal.distance,
        images.label_N,
        group_N=images.group_N,
        level=criteria.level,
    )
    return Shift(
        engine=engine,
        precision=precision,
        largest_difference=largest(stored_NC, export.probability_NC),
        flips=list_flips(images, stored_NC, export.probability_NC),
        pair_metric=metric.name,
        pair=pair,
        promises=promises,
        conclusion=say_conclusion(pair, criteria.margin, metric),
    )


def say_conclusion(pair: Pair, margin: float, metric: DecidingMetric) -> str:
    """What the paired test shows of the export's accuracy and the run's, in a clause."""
    low, high = 100 * pair.difference.low, 100 * pair.difference.high
    within = "1 point" if margin == 0.01 else f"{100 * margin:g} points"
    interval = f"export less run: {100 * pair.difference.value:+.1f} points [{low:.1f}, {high:.1f}]"
    match pair.conclusion:
        case "a is better" | "b is better":
            word = "higher" if pair.conclusion == "a is better" else "lower"
            return f"its {metric.word} is {word} than the run's ({interval})"
        case "equivalent":
            return f"its {metric.word} is the run's within {within} ({interval})"
        case _:
            return (
                f"no difference in {metric.word} is shown, and this test is too small to show that it is within "
                f"{within} ({interval})"
            )


def list_flips(images: Judged, before_NC: NDArray[np.float64], after_NC: NDArray[np.float64]) -> tuple[Flip, ...]:
    """Every image whose most probable class differs."""
    before_N, after_N = before_NC.argmax(axis=1), after_NC.argmax(axis=1)
    return tuple(
        Flip(
            id=images.ids[row],
            label=images.classes[images.label_N[row]],
            before=images.classes[before_N[row]],
            before_probability=float(before_NC[row, before_N[row]]),
            after=images.classes[after_N[row]],
            after_probability=float(after_NC[row, after_N[row]]),
        )
        for row in np.flatnonzero(before_N != after_N).tolist()
    )


def largest(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The largest absolute difference; infinite if anything is not finite."""
    difference = np.abs(a - b)
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")
