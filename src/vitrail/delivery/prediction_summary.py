"""What many predictions come to: how many are answers, and how many answers are right if the data have labels.

An image that the run trained or chose with proves nothing, and one whose class the head does not know cannot be
answered rightly: both are counted, and not part of the accuracy. Images of one group, and copies of one image, widen
the interval as groups do in a run. Memory grows by 9 bytes a labelled image.

Letters: N judged images.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from vitrail.delivery.prediction import Prediction
from vitrail.delivery.report.words import plural
from vitrail.evaluation.sentences import say_names, say_rate
from vitrail.statistics.intervals import Interval
from vitrail.statistics.metrics import rate

LEARNED = ("train", "val", "calibration")  # the splits that a head and its thresholds are made from


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictionSummary:
    """Counts of predictions, and their accuracy.

    `answered`, `refused` and `unreadable` add up to `images`. Of those with a label that were read, `unknown` have one
    that the head does not know (`unknown_labels` counts each), `learned` are images that the run trained or chose with,
    and the others are judged; `tested` of the judged are test images of the run. Both are None if the images of the run
    are not known. `accuracy` is over the judged images that were answered. `accuracy_of_all` also counts the most
    probable class of each that was refused. Each is None if it has no images.
    """

    images: int
    answered: int
    refused: int
    unreadable: int
    unknown: int
    unknown_refused: int
    unknown_labels: dict[str, int]
    learned: int | None
    tested: int | None
    accuracy: Interval | None
    accuracy_of_all: Interval | None


class PredictionCounter:
    """Counts predictions as they come; `knows_run` is whether their `run_split` tells the images of the run."""

    def __init__(self, classes: Sequence[str], *, knows_run: bool = True) -> None:
        self._classes, self._knows_run = frozenset(classes), knows_run
        self._counts: Counter[str] = Counter()
        self._unknown_labels: Counter[str] = Counter()
        self._outcome_N, self._key_N = bytearray(), array("Q")

    def watch(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """The same predictions, each counted."""
        for prediction in predictions:
            self._add(prediction)
            yield prediction

    def _add(self, prediction: Prediction) -> None:
        outcome = "unreadable" if prediction.error else "refused" if prediction.doubt else "answered"
        self._counts[outcome] += 1
        if prediction.error or prediction.true_label is None:
            return
        if prediction.true_label not in self._classes:
            self._unknown_labels[prediction.true_label] += 1
            self._counts["unknown refused"] += prediction.doubt is not None
        elif prediction.run_split in LEARNED:
            self._counts["learned"] += 1
        else:
            self._counts["tested"] += prediction.run_split == "test"
            right = prediction.label == prediction.true_label
            self._outcome_N.append(2 * (prediction.doubt is None) + right)
            self._key_N.append(_key(prediction))

    def summary(self) -> PredictionSummary:
        """Everything counted so far."""
        outcome_N = np.frombuffer(bytes(self._outcome_N), np.uint8)
        right_N, answered_N = outcome_N % 2 == 1, outcome_N >= 2
        group_N = np.unique(np.frombuffer(self._key_N.tobytes(), np.uint64), return_inverse=True)[1].astype(np.int64)
        counts = self._counts
        return PredictionSummary(
            images=sum(counts[outcome] for outcome in ("answered", "refused", "unreadable")),
            answered=counts["answered"],
            refused=counts["refused"],
            unreadable=counts["unreadable"],
            unknown=self._unknown_labels.total(),
            unknown_refused=counts["unknown refused"],
            unknown_labels=dict(sorted(self._unknown_labels.items())),
            learned=counts["learned"] if self._knows_run else None,
            tested=counts["tested"] if self._knows_run else None,
            accuracy=_rate(right_N[answered_N], group_N[answered_N]),
            accuracy_of_all=_rate(right_N, group_N),
        )


def say_summary(summary: PredictionSummary) -> list[str]:
    """The summary in sentences."""
    outcomes = [f"{summary.answered:,} answered", f'{summary.refused:,} "I do not know"']
    if summary.unreadable:
        outcomes.append(f"{summary.unreadable:,} unreadable")
    lines = [f"{plural(summary.images, 'image')}: {', '.join(outcomes)}."]
    if summary.accuracy_of_all is not None:
        lines.append(_say_accuracy(summary, summary.accuracy_of_all))
        if summary.learned is None:
            lines.append(
                "A model folder does not list the images of its run: any that are among these count here, and prove "
                "nothing."
            )
    if summary.tested:
        lines.append(f"{_images_are(summary.tested)} among the run's test images.")
    if summary.learned:
        lines.append(f"{_images_are(summary.learned)} not judged: the run trained or chose with the same bytes.")
    if summary.unknown:
        names = say_names([f"{label} ({count:,})" for label, count in summary.unknown_labels.items()])
        lines.append(
            f"{_images_are(summary.unknown)} not judged: the head does not know the label, so no answer can be right "
            f"({summary.unknown_refused:,} refused). {names}."
        )
    return lines


def _say_accuracy(summary: PredictionSummary, of_all: Interval) -> str:
    if summary.accuracy is None:
        return (
            f"No labelled image was answered; the most probable class is right in {say_rate(of_all)} of {of_all.n:,}."
        )
    line = f"Accuracy {say_rate(summary.accuracy)} of the {plural(summary.accuracy.n, 'labelled image')} answered"
    if summary.accuracy.n == of_all.n:
        return f"{line}; none was refused."
    return f"{line}; {say_rate(of_all)} of all {of_all.n:,}, if the refused ones had got their most probable class."


def _images_are(count: int) -> str:
    return f"{plural(count, 'labelled image')} {'is' if count == 1 else 'are'}"


def _key(prediction: Prediction) -> int:
    """A number that images of one group share, or of the same bytes: the first 64 bits of a digest."""
    text = f"id:{prediction.id}" if prediction.group is None else f"group:{prediction.group}"
    return int.from_bytes(sha256(text.encode(errors="surrogatepass")).digest()[:8], "little")


def _rate(right_N: NDArray[np.bool_], group_N: NDArray[np.int64]) -> Interval | None:
    return rate(right_N, group_N) if len(right_N) else None
