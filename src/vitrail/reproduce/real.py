"""The accuracy of a finished run on ImageNet's val by the reassessed labels ("ReaL"), beside the usual one."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import UsageError
from vitrail.core.label_sets import imagenet_1k
from vitrail.data.real_labels import RealLabels, number_in_val
from vitrail.evaluation.pairs import number_groups
from vitrail.runs.folder import DATA
from vitrail.runs.run import RunRecord
from vitrail.runs.tables import read_examples, read_paths
from vitrail.statistics.intervals import Interval
from vitrail.statistics.several_labels import SeveralLabels, score_several_labels

SYNSET = re.compile(r"n\d{8}(?!\d)")


@dataclass(frozen=True, kw_only=True, slots=True)
class RealScore:
    """One backbone: `top1` is its accuracy on all test images, by the one label of each."""

    backbone: str
    top1: Interval
    real: SeveralLabels


def score_real(record: RunRecord, labels: RealLabels) -> tuple[RealScore, ...]:
    """Score every backbone of a run whose test images are images of ImageNet's val.

    Raises:
        UsageError: the test images or the classes are not ImageNet's, or no test image has a right label.
    """
    place_C, numbers = _places_of_classes(record), _numbers_in_val(record, most=len(labels))
    table = read_examples(record.folder / DATA)
    group_of = {example: group for example, group in zip(table.ids, table.groups, strict=True) if group is not None}
    scores = []
    for result in record.results.backbones:
        tested = record.predictions(result.name)
        real = score_several_labels(
            place_C[tested.probability_NC.argmax(axis=1)],
            place_C[tested.label_N],
            [labels[numbers[example] - 1] for example in tested.ids],
            number_groups(group_of, tested.ids),
            level=result.test.top1.level,
        )
        if real is None:
            raise UsageError(f"No test image of {record.folder} has a reassessed label: there is nothing to score.")
        scores.append(RealScore(backbone=result.name, top1=result.test.top1, real=real))
    return tuple(scores)


def _places_of_classes(record: RunRecord) -> NDArray[np.int64]:
    """The place of each class of the run among ImageNet-1k's."""
    place_of = {synset: place for place, synset in enumerate(imagenet_1k().ids)}
    synsets = [SYNSET.match(name) for name in record.results.data.classes]
    unknown = [
        name
        for name, synset in zip(record.results.data.classes, synsets, strict=True)
        if synset is None or synset[0] not in place_of
    ]
    if unknown:
        raise UsageError(
            f"The class {unknown[0]!r} of {record.folder} is not one of ImageNet-1k: reassessed labels are for runs "
            "whose classes begin with WordNet ids, such as those of `vitrail bench imagenet-1k`."
        )
    return np.array([place_of[synset[0]] for synset in synsets if synset])


def _numbers_in_val(record: RunRecord, *, most: int) -> dict[str, int]:
    """The number of each test image in ImageNet's val, by id; at most `most` have labels."""
    paths, numbers = read_paths(record.folder / DATA), {}
    for example in record.predictions(record.results.backbones[0].name).ids:
        number = number_in_val(paths[example])
        if number is None or not 0 < number <= most:
            raise UsageError(
                f"{paths[example]}, a test image of {record.folder}, is not an image of ImageNet's val: reassessed "
                "labels are for runs whose test is that val."
            )
        numbers[example] = number
    return numbers
