"""From a decoded image to the input of a network, exactly as timm does it.

The rules (timm `transforms_imagenet_eval`, crop mode "center", which is torchvision's Resize, CenterCrop,
ToTensor and Normalize on a PIL image; `torchvision/transforms/functional.py`):

- resize the short side to `resize`, or squash both sides to it (timm's crop mode "squash", transformers' ViT); the
  long side is int(resize * long / short), cut off, not rounded (330.67 gives 330; timm's own ResizeKeepRatio, used
  for crops that are not square, would round to 331);
- Pillow's filter on 8-bit pixels, rounded and clipped to [0, 255]. Its `resize` always antialiases; its `transform`
  looks at the 2 x 2 nearest pixels only, as tf.image.resize does and torch on tensors;
- the crop starts at round((side - crop) / 2) with Python's rounding, halves to even: sides of 227 and 229
  both start a crop of 224 at 2. A side shorter than the crop gets (crop - side) // 2 black pixels first;
- an image may have been decoded at a fraction of its size (`least_side`): the size after the resize and the crop are
  those of the whole image;
- if the card says so, equalise the histogram of each channel of the crop, as Pillow does;
- order the channels, divide by 255 (Keras' "caffe": by 1), subtract the mean, divide by the standard deviation,
  each in float32.

Letters: B images, C channels, H rows, W columns.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vitrail.backbones.cards import Preprocessing

if TYPE_CHECKING:
    import torch

PIXEL_CODE_VERSION = 2  # bump with any change that moves a pixel: it is part of every feature's key

# A strip of one by 65,535 pixels would be gigabytes once its short side is resized. Of an image this many times
# longer than wide only the middle is kept before: what is cut off lies far outside the crop.
LONGEST_STRIP = 64

FINER = 2  # a reduced decode keeps this many pixels, along each side, for one after the resize

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def least_side(preprocessing: Preprocessing) -> int | None:
    """The pixels that both sides of a reduced decode must keep; None if images are decoded at their own size.

    A resize that does not antialias looks at single pixels, and a reduced decode would take them away.
    """
    return FINER * preprocessing.resize if preprocessing.decode == "fast" and preprocessing.antialias else None


def to_pixels(
    image: Image.Image,
    preprocessing: Preprocessing,
    *,
    size: tuple[int, int] | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> NDArray[np.uint8]:
    """Resize, crop the centre, and equalise if the card says so.

    Args:
        image: in mode RGB.
        preprocessing: of the network.
        size: columns and rows of the whole image, if `image` was decoded at a fraction of its size.
        box: the place of the whole image in it in that case: left, top, right and bottom.

    Returns:
        Rows x columns x 3, both sides `preprocessing.crop`.

    Raises:
        ValueError: the image is not in mode RGB.
    """
    if image.mode != "RGB":
        raise ValueError(f"Preprocessing needs an RGB image, but this image has mode {image.mode}: decode it first.")
    image = _resize(image, size or image.size, box or (0, 0, *image.size), preprocessing)
    columns, rows = image.size
    left, top = _crop_start(columns, preprocessing.crop), _crop_start(rows, preprocessing.crop)
    image = image.crop((left, top, left + preprocessing.crop, top + preprocessing.crop))  # black outside the image
    return np.array(ImageOps.equalize(image) if preprocessing.equalise else image)


def normalise(pixel_BHWC: "torch.Tensor", preprocessing: Preprocessing) -> "torch.Tensor":
    """Scale 8-bit pixels to what the network was trained on.

    `pixel_BHWC` is uint8, as `to_pixels` makes it; the result is `image_BCHW`, float32, on the same device.
    """
    if preprocessing.channels == "BGR":
        pixel_BHWC = pixel_BHWC.flip(3)
    image_BCHW = pixel_BHWC.permute(0, 3, 1, 2).float().contiguous() / preprocessing.divide_by
    mean_C11, std_C11 = (
        image_BCHW.new_tensor(three).view(3, 1, 1) for three in (preprocessing.mean, preprocessing.std)
    )
    return image_BCHW.sub_(mean_C11).div_(std_C11)


def _resize(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float], preprocessing: Preprocessing
) -> Image.Image:
    wanted, pillow_filter = preprocessing.resize, FILTERS[preprocessing.interpolation]
    if preprocessing.resize_rule == "squash":
        columns, rows = wanted, wanted
    else:
        if max(size) > LONGEST_STRIP * min(size):
            image = _middle_of_a_strip(image)
            size, box = image.size, (0, 0, *image.size)
        columns, rows = (int(wanted * side / min(size)) for side in size)
    if preprocessing.antialias:
        return image.resize((columns, rows), pillow_filter, box=box, reducing_gap=None)
    return image.transform((columns, rows), Image.Transform.EXTENT, box, pillow_filter)


def _crop_start(side: int, crop: int) -> int:
    return round((side - crop) / 2) if side >= crop else -((crop - side) // 2)


def _middle_of_a_strip(image: Image.Image) -> Image.Image:
    columns, rows = image.size
    limit = LONGEST_STRIP * min(columns, rows)
    left, top = max(0, (columns - limit) // 2), max(0, (rows - limit) // 2)
    return image.crop((left, top, left + min(columns, limit), top + min(rows, limit)))
