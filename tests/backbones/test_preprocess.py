"""Pixels are timm's to the last bit, and would not be if one of the known traps were in the code."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps

from tests.references import noise_image, timm_pixels
from vitrail.backbones import preprocess
from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.preprocess import LONGEST_STRIP, normalise, to_pixels

AUGREG = Preprocessing(resize=248, crop=224, interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
TORCHVISION = Preprocessing(
    resize=256, crop=224, interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
SMALL = replace(AUGREG, resize=35, crop=32)
SIZES = [(224, 224), (640, 480), (480, 641), (213, 165), (30, 30), (1, 1), (7, 300), (1000, 35), (248, 331), (227, 229)]


def theirs(image: Image.Image, ours: Preprocessing, crop_mode: str = "center") -> torch.Tensor:
    # timm has the crop as a fraction and takes floor(crop / fraction); a hair less gives exactly our resize
    fraction = ours.crop / (ours.resize + 1e-6)
    assert math.floor(ours.crop / fraction) == ours.resize
    config = {
        "input_size": (3, ours.crop, ours.crop),
        "crop_pct": fraction,
        "crop_mode": crop_mode,
        "interpolation": ours.interpolation,
        "mean": ours.mean,
        "std": ours.std,
    }
    return timm_pixels(image, config)


def ours(image: Image.Image, preprocessing: Preprocessing) -> torch.Tensor:
    return normalise(torch.from_numpy(to_pixels(image, preprocessing))[None], preprocessing)[0]


@pytest.mark.parametrize("preprocessing", [AUGREG, TORCHVISION, SMALL])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pixels_are_timms_at_any_size(size, preprocessing):
    image = noise_image(*size)
    assert torch.equal(ours(image, preprocessing), theirs(image, preprocessing))


@pytest.mark.parametrize("side", range(224, 230))
def test_the_crop_starts_where_torchvision_starts_it(side):
    """Sides 227 and 229 both start at 2: halves go to the even number."""
    preprocessing = replace(AUGREG, resize=side)
    image = noise_image(side, side + 3)
    assert torch.equal(ours(image, preprocessing), theirs(image, preprocessing))


def test_a_side_shorter_than_the_crop_is_padded_with_black_as_torchvision_does():
    preprocessing = replace(SMALL, resize=27)
    for size in [(40, 40), (40, 50), (51, 40), (90, 40)]:
        image = noise_image(*size)
        assert torch.equal(ours(image, preprocessing), theirs(image, preprocessing))


def other_filter(monkeypatch):
    monkeypatch.setitem(preprocess.FILTERS, "bicubic", Image.Resampling.BILINEAR)


def long_side_rounded(monkeypatch):
    monkeypatch.setattr(preprocess, "int", round, raising=False)


def crop_cut_off(monkeypatch):
    monkeypatch.setattr(preprocess, "_crop_start", lambda side, crop: (side - crop) // 2)


def crop_halves_up(monkeypatch):
    monkeypatch.setattr(preprocess, "_crop_start", lambda side, crop: math.floor((side - crop) / 2 + 0.5))


@pytest.mark.parametrize(
    ("trap", "size", "resize"),
    [
        (other_filter, (640, 480), 248),
        (long_side_rounded, (640, 480), 248),  # 330.67 columns: 330 is right
        (crop_cut_off, (640, 482), 251),  # 27 columns too many: 13.5 is rounded to 14
        (crop_halves_up, (480, 641), 249),  # 25 columns too many: 12.5 is rounded to 12
    ],
)
def test_each_trap_would_move_pixels(trap, size, resize, monkeypatch):
    image, preprocessing = noise_image(*size), replace(AUGREG, resize=resize)
    assert torch.equal(ours(image, preprocessing), theirs(image, preprocessing))
    trap(monkeypatch)
    assert (ours(image, preprocessing) - theirs(image, preprocessing)).abs().max() > 1 / 255


def test_a_long_strip_keeps_its_middle_and_little_memory():
    """The rest of it would lie outside the crop, and would take gigabytes."""
    image = Image.new("RGB", (200_000, 1), (10, 20, 30))
    image.putpixel((100_000, 0), (255, 255, 255))
    pixel_HWC = to_pixels(image, AUGREG)
    assert pixel_HWC.shape == (224, 224, 3)
    assert pixel_HWC[112, 180].min() > 200  # the one white pixel is 248 wide now, and begins at the middle
    assert to_pixels(image.transpose(Image.Transpose.ROTATE_90), AUGREG)[44, 112].min() > 200


def test_a_strip_that_is_not_too_long_is_timms():
    image = noise_image(64 * 9, 9)
    assert image.width == LONGEST_STRIP * image.height
    assert torch.equal(ours(image, SMALL), theirs(image, SMALL))


def test_one_red_pixel_stays_red():
    """Channels keep their order, and each its own mean."""
    image = Image.new("RGB", (1, 1), (255, 0, 0))
    red, green, blue = ours(image, TORCHVISION)[:, 0, 0].tolist()
    assert red == pytest.approx((1 - 0.485) / 0.229, abs=1e-6)
    assert green == pytest.approx(-0.456 / 0.224, abs=1e-6)
    assert blue == pytest.approx(-0.406 / 0.225, abs=1e-6)


def test_pixels_are_bytes_and_writable():
    pixel_HWC = to_pixels(noise_image(40, 30), SMALL)
    assert pixel_HWC.dtype == np.uint8
    assert pixel_HWC.flags.writeable


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_an_image_that_is_not_rgb_is_refused(mode):
    with pytest.raises(ValueError, match=mode):
        to_pixels(Image.new(mode, (8, 8)), SMALL)


@pytest.mark.parametrize("size", [(224, 224), (640, 480), (213, 165), (30, 30), (7, 300)], ids=str)
def test_squashed_pixels_are_timms(size):
    squash = replace(AUGREG, resize_rule="squash", resize=240)
    image = noise_image(*size)
    assert torch.equal(ours(image, squash), theirs(image, squash, crop_mode="squash"))


def test_a_circle_stays_a_circle_only_where_the_short_side_is_resized():
    image = Image.new("RGB", (400, 200))
    ImageDraw.Draw(image).ellipse((100, 0, 300, 200), fill=(255, 255, 255))
    for rule, round_ in (("short side", True), ("squash", False)):
        pixel_HW = to_pixels(image, replace(AUGREG, resize=224, resize_rule=rule))[..., 0] > 127
        assert (abs(pixel_HW.any(axis=0).sum() - pixel_HW.any(axis=1).sum()) <= 1) == round_


@pytest.mark.parametrize("size", [(640, 480), (35, 35), (20, 27)], ids=str)
def test_without_antialiasing_only_the_nearest_pixels_are_looked_at(size):
    columns, rows = size
    row, column = np.mgrid[:rows, :columns]
    waves_HW = (127 + 60 * np.sin(0.9 * column) + 60 * np.cos(0.7 * row)).astype(np.uint8)
    image = Image.fromarray(np.stack([waves_HW] * 3, axis=-1))
    wanted = replace(SMALL, interpolation="bilinear", antialias=False, resize_rule="squash", resize=32)
    reference_HW = torch.nn.functional.interpolate(
        torch.from_numpy(waves_HW)[None, None].float(), (32, 32), mode="bilinear", align_corners=False, antialias=False
    )[0, 0].numpy()
    assert np.abs(to_pixels(image, wanted)[..., 0] - reference_HW).max() <= 1
    if columns > 64:
        assert np.abs(to_pixels(image, replace(wanted, antialias=True))[..., 0] - reference_HW).max() > 20


def test_bicubic_without_antialiasing_is_refused():
    with pytest.raises(ValueError, match="only bilinear"):
        replace(AUGREG, antialias=False)


CAFFE = replace(
    TORCHVISION, channels="BGR", divide_by=1.0, mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0)
)  # keras/applications/imagenet_utils.py, _preprocess_numpy_input


def test_one_red_pixel_is_the_third_channel_of_caffe_and_is_not_divided():
    blue, green, red = ours(Image.new("RGB", (1, 1), (255, 0, 0)), CAFFE)[:, 0, 0].tolist()
    assert (blue, green, red) == pytest.approx((-103.939, -116.779, 255 - 123.68), abs=1e-4)


def test_the_channels_order_and_the_division_each_move_pixels():
    image = noise_image(300, 300)
    for wrong in (replace(CAFFE, channels="RGB"), replace(CAFFE, divide_by=255.0)):
        assert (ours(image, CAFFE) - ours(image, wrong)).abs().max() > 1


def test_equalising_is_pillows_on_the_crop_and_not_on_the_whole_image():
    image = noise_image(90, 60)
    plain = Preprocessing(resize=48, crop=32, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3)
    crop = Image.fromarray(to_pixels(image, plain))
    equalised = to_pixels(image, replace(plain, equalise=True))
    np.testing.assert_array_equal(equalised, np.array(ImageOps.equalize(crop)))
    before = to_pixels(ImageOps.equalize(image), plain)
    assert np.abs(equalised.astype(int) - before).max() > 3, "the order must show"


def test_one_colour_stays_one_colour_when_equalised():
    plain = Preprocessing(resize=32, crop=32, interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3, equalise=True)
    pixel_HWC = to_pixels(Image.new("RGB", (40, 40), (200, 3, 77)), plain)
    assert np.unique(pixel_HWC.reshape(-1, 3), axis=0).tolist() == [[200, 3, 77]]
