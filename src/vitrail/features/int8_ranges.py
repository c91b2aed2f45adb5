"""int8 takes the ranges of a network's activations from images: the user's own, from train, and always the same ones.

Letters: B images, H rows, W columns, C channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones import Backbone, to_pixels
from vitrail.core.errors import DataError
from vitrail.core.hashing import fingerprint
from vitrail.data import Dataset, ImageRejected, decode, read_example

IMAGES = 128  # NNCF's default is 300; each is run in float32, more than once


def attach_range_images(backbone: Backbone, dataset: Dataset, train: Sequence[str], *, max_pixels: int) -> Backbone:
    """Give an int8 backbone the images for its ranges; a backbone of another precision is returned unchanged.

    `train` are the ids of the split; the rest is as in `attach_ranges`.
    """
    if backbone.engine.precision != "int8":
        return backbone
    paths = dataset.by_id("paths")

    def read(example: str) -> bytes:
        return read_example(dataset.source, paths[example][0], example)

    return attach_ranges(backbone, train, read, max_pixels=max_pixels)


def attach_ranges(
    backbone: Backbone, train: Sequence[str], read: Callable[[str], bytes], *, max_pixels: int
) -> Backbone:
    """The int8 backbone with the images for its ranges, taken from `train`.

    They are read when its model is first made; images of more than `max_pixels`, and those for which `read` raises an
    OSError, are skipped. Their digest is in the engine of the backbone that is returned, and so in the key of its
    features.
    """
    ids = list_range_images(train)
    digest = fingerprint({"images": ids, "max_pixels": max_pixels})
    return replace(
        backbone,
        engine=replace(backbone.engine, ranges=digest),
        read_range_images=lambda: _read(backbone, ids, read, max_pixels),
    )


def list_range_images(train: Sequence[str]) -> list[str]:
    """The ids of the images, the first of the train split: an id is a digest, so that is a fair draw."""
    return sorted(train)[:IMAGES]


def _read(backbone: Backbone, ids: Sequence[str], read: Callable[[str], bytes], max_pixels: int) -> NDArray[np.uint8]:
    pixels = []
    for example in ids:
        try:
            pixels.append(to_pixels(decode(read(example), max_pixels=max_pixels), backbone.card.preprocessing))
        except (ImageRejected, OSError):
            continue  # the pass that follows says why
    if not pixels:
        raise DataError(
            f"None of the {len(ids)} train images for the int8 ranges of {backbone.name} can be read: fix them, or "
            "choose another --precision."
        )
    return np.stack(pixels)
