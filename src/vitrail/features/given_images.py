"""Features of images that a program gives, from the store: only those that no earlier call saw are computed.

Letters: N images, D features.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from vitrail.backbones import Backbone
from vitrail.backbones.poolings import take_pooling
from vitrail.core.errors import DataError
from vitrail.core.hashing import sha256_bytes
from vitrail.core.resources import Resources
from vitrail.data import MAX_PIXELS, ImageRejected
from vitrail.data.sources.local import written
from vitrail.data.sources.plain_png import plain_png
from vitrail.features.by_id import Paths
from vitrail.features.open_images import ImageInput, name_image, open_image, read_bytes
from vitrail.features.pipeline import fill, open_extractor


class GivenImages:
    """Images in any form that `open_image` takes, each with its id, as a `Reader` for the pass over them.

    The id of a file is that of its bytes, as in a benchmark, which shares its rows. An image in memory is the PNG of
    its pixels: the id follows from pixels and shape.
    """

    name = "the list of images"

    def __init__(self, images: Sequence[ImageInput]) -> None:
        """Every file is read once, for its id.

        Raises:
            DataError: an image cannot be read, or is none.
        """
        self._image_of = {_name(image, place): image for place, image in enumerate(images)}
        self.ids = tuple(_identify(name, image) for name, image in self._image_of.items())

    def read(self, path: str) -> bytes:
        """The bytes of an image, by its name in `paths`; raises ImageRejected if it can no longer be read."""
        return _content(self._image_of[path])

    def paths(self) -> Paths:
        """Each distinct image under its id, with the name of the first that has it."""
        first: dict[str, str] = {}
        for id_, name in zip(self.ids, self._image_of, strict=True):
            first.setdefault(id_, name)
        ids = sorted(first)
        names = pa.array([[first[id_]] for id_ in ids], pa.list_(pa.string()))
        return Paths(pa.table({"id": pa.array(ids, pa.string()), "paths": names}))


def compute_rows(images: GivenImages, backbone: Backbone, pooling: str, *, resources: Resources) -> NDArray[np.float32]:
    """The features of images, N x D in their order; rows that the store lacks are computed and written.

    Raises:
        DataError: an image cannot be decoded; the message names it.
        UsageError: the backbone does not give this pooling.
    """
    extractor = open_extractor(backbone, resources.cache)
    extractor.stored.mark_used()
    paths = images.paths()
    wanted_N = np.ones(len(paths), np.bool_)
    rejected, _ = fill([extractor], paths, wanted_N, source=images, max_pixels=MAX_PIXELS, resources=resources)
    if rejected:
        id_ = min(rejected, key=images.ids.index)
        raise DataError(_refusal(paths[id_][0], rejected[id_]))
    return take_pooling(extractor.stored.rows(images.ids), held=extractor.pooling, wanted=pooling)


def _name(image: ImageInput, place: int) -> str:
    """What messages call an image: its path, if it has one, and its place."""
    name = written(name_image(image, place))
    return name if name == f"images[{place}]" else f"{name} (images[{place}])"


def _identify(name: str, image: ImageInput) -> str:
    try:
        return sha256_bytes(_content(image))
    except ImageRejected as rejection:
        raise DataError(_refusal(name, rejection.reason)) from rejection


def _content(image: ImageInput) -> bytes:
    if isinstance(image, Image.Image | np.ndarray):
        upright = open_image(image, [None], max_pixels=MAX_PIXELS)[None].image
        return plain_png(np.asarray(upright))
    return read_bytes(image)


def _refusal(name: str, reason: str) -> str:
    return f"{name} has no features: {reason}. Leave it out, or mend it."
