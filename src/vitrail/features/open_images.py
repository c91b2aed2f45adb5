"""Opens images for `stream.py`: examples of a data set, and what a program gives."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.preprocess import least_side, to_pixels
from vitrail.core.errors import DataError
from vitrail.data import ImageRejected, Reader, read_example
from vitrail.data.images import Decoded, decode_for, upright_rgb
from vitrail.data.sources.local import read_file

ImageInput = str | Path | bytes | Image.Image | NDArray[np.uint8]
LeastSides = Collection[int | None]  # of reduced decodes, as `least_side` gives them
Images = Mapping[int | None, Decoded]  # by least side


def open_image(image: ImageInput, least_sides: LeastSides, *, max_pixels: int) -> Images:
    """Open an image in any of its forms: a path, the bytes of a file, an image of Pillow, or an array H x W x 3.

    Returns:
        The image for each least side. An image of Pillow or an array is in memory already, so its size has no limit and
        is never reduced.

    Raises:
        ImageRejected: it cannot be read or decoded whole, or the array is not H x W x 3 in uint8.
    """
    if isinstance(image, Image.Image):
        return dict.fromkeys(least_sides, Decoded.whole(upright_rgb(image)))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ImageRejected(f"an array of shape {image.shape} and type {image.dtype} is not H x W x 3 in uint8")
        return dict.fromkeys(least_sides, Decoded.whole(Image.fromarray(image)))
    return decode_for(read_bytes(image), least_sides, max_pixels=max_pixels)


def make_pixels(
    open_image: Callable[[LeastSides], Images], preprocessings: Collection[Preprocessing]
) -> dict[Preprocessing, NDArray[np.uint8]]:
    """The pixels of one image for each preprocessing, height x width x 3.

    The image is decoded once at each scale that they need. Raises what `open_image` raises.
    """
    sides = {wanted: least_side(wanted) for wanted in preprocessings}
    images = open_image(set(sides.values()))
    return {
        wanted: to_pixels(images[side].image, wanted, size=images[side].size, box=images[side].box)
        for wanted, side in sides.items()
    }


def list_inputs(images: ImageInput | Iterable[ImageInput]) -> Iterable[ImageInput]:
    """Several images as they are; one image alone as a list of one. An array of four axes is several."""
    if isinstance(images, np.ndarray):
        return [images] if images.ndim <= 3 else images
    return [images] if isinstance(images, str | bytes) or not isinstance(images, Iterable) else images


def own_image(image: ImageInput) -> ImageInput:
    """The image, as a copy if it is an array: its buffer may be filled again while the image waits to be decoded."""
    return image.copy() if isinstance(image, np.ndarray) else image


def name_image(image: ImageInput, place: int) -> str:
    """The path of an image if it has one, otherwise its place among the images."""
    path = image if isinstance(image, str | Path) else getattr(image, "filename", "")
    return str(path) or f"images[{place}]"


def open_example(
    source: Reader,
    path: str,
    example: str,
    least_sides: LeastSides,
    *,
    max_pixels: int,
    take: Callable[[bytes], None] | None = None,
) -> Images:
    """Open an example of a data set for each least side.

    `take` is given the bytes of its file first, for what else is made of them.

    Raises:
        ImageRejected: it cannot be decoded completely.
        DataError: its bytes have changed since the data set was read, or cannot be read any more.
    """
    try:
        data = read_example(source, path, example)
    except OSError as error:
        # It was readable when its id was computed: setting it aside now would make the result depend on chance.
        raise DataError(
            f"{path} could be read before but not now ({error.strerror or type(error).__name__}). What was "
            "computed is kept: make sure that the images can be reached, then run the same command again."
        ) from error
    if take is not None:
        take(data)
    return decode_for(data, least_sides, max_pixels=max_pixels)


def read_bytes(image: object) -> bytes:
    """The bytes of a file that is given as a path or as they are; raises ImageRejected for anything else."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | Path):
        return read_image(Path(image))
    raise ImageRejected(f"it is a {type(image).__name__}, not a path, bytes, an image of Pillow or an array of numpy")


def read_image(path: Path) -> bytes:
    """The bytes of a file; ImageRejected if it cannot be read."""
    try:
        return read_file(path)
    except OSError as error:
        raise ImageRejected(f"it cannot be read: {error.strerror or type(error).__name__}") from error
    except ValueError as error:  # no file can have such a name
        raise ImageRejected(f"it cannot be read: {error}") from error
