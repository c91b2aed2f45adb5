"""int8 takes the ranges of a network's activations from images: the user's own, from train, and always the same ones.

Letters: B images, H rows, W columns, C channels.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones import Backbone, to_pixels
from vitrail.core.errors import DataError
from vitrail.core.hashing import fingerprint
from vitrail.data import Dataset, ImageRejected, decode, read_example

IMAGES = 128  # NNCF takes 300 where nobody says; each is run in float32, more than once


def calibrate(backbone: Backbone, dataset: Dataset, train: Sequence[str], *, max_pixels: int) -> Backbone:
    """Say which images int8 is calibrated on. They are read when its model is first made.

    Args:
        backbone: any; one of another precision is given back as it is.
        dataset: the examples.
        train: ids of the train split. The first ones by id are taken: an id is a digest, so that is a fair draw.
        max_pixels: larger images are passed over.

    Returns:
        The backbone, with the calibration's digest in its engine, and so in the key of its features.
    """
    if backbone.engine.precision != "int8":
        return backbone
    ids = calibration_ids(train)
    digest = fingerprint({"images": ids, "max_pixels": max_pixels})
    return replace(
        backbone,
        engine=replace(backbone.engine, calibration=digest),
        read_calibration=lambda: _read(backbone, dataset, ids, max_pixels),
    )


def calibration_ids(train: Sequence[str]) -> list[str]:
    """Which of the train images they are."""
    return sorted(train)[:IMAGES]


def _read(backbone: Backbone, dataset: Dataset, ids: Sequence[str], max_pixels: int) -> NDArray[np.uint8]:
    paths = dict(zip(dataset.table["id"].to_pylist(), dataset.table["paths"].to_pylist(), strict=True))
    pixels = []
    for example in ids:
        try:
            data = read_example(dataset.source, paths[example][0], example)
            image = decode(data, max_pixels=max_pixels)
        except (ImageRejected, OSError):
            continue  # the pass that follows says why
        pixels.append(to_pixels(image, backbone.card.preprocessing))
    if not pixels:
        raise DataError(
            f"None of the {len(ids)} train images for the calibration of {backbone.name} can be read: mend them, or "
            "choose another --precision."
        )
    return np.stack(pixels)
