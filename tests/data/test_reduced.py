"""JPEGs decoded at a fraction of their size are the whole image, only coarser, and whatever it needs they need too."""

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import encoded, photograph
from vitrail.backbones import Preprocessing, least_side, to_pixels
from vitrail.data import images
from vitrail.data.images import Decoded, ImageRejected, decode, decode_for

LIMIT = 10**8
EXACT = Preprocessing(resize=35, crop=32, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3)
SIDE = 70  # twice the resize


def jpeg(size: tuple[int, int] = (613, 401), mode: str = "RGB", orientation: int | None = None) -> bytes:
    options = {"quality": 92}
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    return encoded(photograph(size=size).convert(mode), "JPEG", **options)


def pixels(decoded: Decoded) -> np.ndarray:
    return to_pixels(decoded.image, EXACT, size=decoded.size, box=decoded.box).astype(int)


def both(data: bytes) -> tuple[Decoded, Decoded]:
    decoded = decode_for(data, [None, SIDE], max_pixels=LIMIT)
    return decoded[None], decoded[SIDE]


@pytest.mark.parametrize("size", [(560, 560), (613, 401), (401, 613), (287, 281), (1125, 1121), (4001, 283)], ids=str)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_image_covers_the_same_area_as_the_full_one(size, orientation):
    """Sizes that are no multiple of the scale, turned in every way: a shift of half a pixel would show."""
    whole, reduced = both(jpeg(size, orientation=orientation))
    assert reduced.size == whole.size == whole.image.size
    assert min(reduced.image.size) >= SIDE
    assert max(reduced.image.size) < max(whole.size)
    difference = np.abs(pixels(reduced) - pixels(whole))
    assert difference.mean() < 0.5
    assert difference.max() <= 5


def test_a_box_that_covered_the_outer_pixels_whole_would_shift_the_image():
    """The negative twin: 281 is 2 x 140.5, so the 141st pixel is half outside."""
    whole, reduced = both(jpeg((287, 281)))
    placed, shifted = pixels(reduced), pixels(Decoded(reduced.image, reduced.size, (0, 0, *reduced.image.size)))
    assert np.abs(shifted - pixels(whole)).mean() > 1.5 * np.abs(placed - pixels(whole)).mean()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_colour_rules_are_those_of_a_whole_decode(mode):
    whole, reduced = both(jpeg(mode=mode))
    assert reduced.image.mode == "RGB"
    assert np.abs(pixels(reduced) - pixels(whole)).max() <= 5


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg((2 * SIDE - 1, 600)), id="too small to halve"),
        pytest.param(encoded(photograph(size=(600, 600))), id="a PNG"),
    ],
)
def test_what_cannot_be_reduced_is_decoded_whole_to_the_last_bit(data):
    whole, reduced = both(data)
    assert reduced.box == (0, 0, *reduced.image.size)
    np.testing.assert_array_equal(np.asarray(reduced.image), np.asarray(decode(data, max_pixels=LIMIT)))
    np.testing.assert_array_equal(np.asarray(whole.image), np.asarray(reduced.image))


def test_pixels_for_one_need_depend_on_no_other_need():
    data = jpeg((1200, 900))
    alone = {side: decode_for(data, [side], max_pixels=LIMIT)[side] for side in (None, 40, 64, 70, 400)}
    together = decode_for(data, list(alone), max_pixels=LIMIT)
    for side, decoded in alone.items():
        np.testing.assert_array_equal(np.asarray(decoded.image), np.asarray(together[side].image))
        assert (decoded.size, decoded.box) == (together[side].size, together[side].box)


def test_needs_of_one_scale_share_a_decode(monkeypatch):
    loads, to_rgb = [], images.to_rgb
    monkeypatch.setattr(images, "to_rgb", lambda image: loads.append(image.size) or to_rgb(image))
    decode_for(jpeg((1200, 900)), [None, 60, 70, 120, 130], max_pixels=LIMIT)
    assert sorted(loads) == [(150, 113), (300, 225), (1200, 900)]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_cut_or_large_file_is_rejected_as_a_whole_decode_rejects_it(progressive):
    data = encoded(photograph(size=(640, 480)), "JPEG", progressive=progressive)
    for end in (*range(200, len(data), len(data) // 40), len(data) - 3, len(data) - 1):
        outcomes = []
        for side in (None, SIDE):
            try:
                decode_for(data[:end], [side], max_pixels=LIMIT)
                outcomes.append("")
            except ImageRejected as rejection:
                outcomes.append(rejection.reason)
        assert outcomes[0] == outcomes[1]
    with pytest.raises(ImageRejected, match="too large: 640 x 480"):
        decode_for(data, [SIDE], max_pixels=640 * 480 - 1)


def test_a_strip_keeps_its_middle():
    whole, reduced = both(jpeg((64 * 140 + 900, 140)))
    assert reduced.image.height == 70
    assert np.abs(pixels(reduced) - pixels(whole)).mean() < 1


def test_only_a_fast_decode_that_antialiases_has_a_least_side():
    fast = {"resize": 35, "crop": 32, "interpolation": "bilinear", "mean": (0,) * 3, "std": (1,) * 3, "decode": "fast"}
    assert least_side(Preprocessing(**fast)) == 70
    assert least_side(Preprocessing(**fast, antialias=False)) is None
    assert least_side(EXACT) is None
