"""The accuracy of a finished run on ImageNet's val by the reassessed labels ("ReaL"), beside the usual one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import UsageError
from vitrail.core.label_sets import imagenet_1k
from vitrail.core.resources import Resources
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.files import fetch_files
from vitrail.data.named.real_labels import CARD, RealLabels, number_in_val, parse_real_labels
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


@dataclass(frozen=True, slots=True)
class ValImages:
    """The test images of a run: the place of each class among ImageNet-1k's, and the number of each image in val."""

    place_C: NDArray[np.int64]
    number: Mapping[str, int]


def fetch_real_labels(resources: Resources) -> RealLabels:
    """The reassessed labels, from this machine or their source.

    Raises:
        DataError: the file is damaged.
        DownloadError: it is missing and cannot be fetched.
    """
    (path,) = fetch_files(load_dataset_cards()[CARD], resources).values()
    return parse_real_labels(path.read_bytes(), str(path))


def find_val_images(record: RunRecord) -> ValImages:
    """Which images of ImageNet's val the test images of a run are.

    Raises:
        UsageError: the test images or the classes are not ImageNet's.
    """
    place_C, paths = _places_of_classes(record), read_paths(record.folder / DATA)
    numbers = {}
    for example in record.predictions(record.results.backbones[0].name).ids:
        number = number_in_val(paths[example])
        if number is None:
            raise UsageError(
                f"{paths[example]}, a test image of {record.folder}, is not an image of ImageNet's val: reassessed "
                "labels are for runs whose test is that val."
            )
        numbers[example] = number
    return ValImages(place_C, numbers)


def score_real(record: RunRecord, images: ValImages, labels: RealLabels) -> tuple[RealScore, ...]:
    """Score every backbone of a run on ImageNet's val.

    Raises:
        UsageError: there are labels for too few images, or no test image has a right label.
    """
    if max(images.number.values()) > len(labels):
        raise UsageError(f"There are labels for {len(labels):,} images, fewer than ImageNet's val has.")
    table = read_examples(record.folder / DATA)
    group_of = {example: group for example, group in zip(table.ids, table.groups, strict=True) if group is not None}
    scores = []
    for result in record.results.backbones:
        tested = record.predictions(result.name)
        real = score_several_labels(
            images.place_C[tested.probability_NC.argmax(axis=1)],
            images.place_C[tested.label_N],
            [labels[images.number[example] - 1] for example in tested.ids],
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
