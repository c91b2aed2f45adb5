"""The resize inside a network gives Pillow's pixels, bit for bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.preprocess import LONGEST_STRIP, to_pixels
from vitrail.delivery.export import pillow_resize
from vitrail.delivery.export.pillow_resize import MOST_SCALE, PillowResize
from vitrail.delivery.export.whole_image import MOST_RESIZE

# Rows and columns: smaller and larger than the resize, of its size, odd, a power of two, strips both ways.
SIZES = (
    (1, 1),
    (3, 2),
    (57, 33),
    (40, 40),
    (80, 160),
    (97, 331),
    (331, 97),
    (512, 256),
    (5, 320),
    (320, 5),
    (960, 961),
)


def rules(resize: int, crop: int, interpolation: str) -> Preprocessing:
    return Preprocessing(resize=resize, crop=crop, interpolation=interpolation, mean=(0.5,) * 3, std=(0.5,) * 3)  # type: ignore[arg-type]


def resize_inside(module: PillowResize, pixel_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    with torch.inference_mode():
        pixel_1PPC, fits = module(torch.from_numpy(pixel_HWC))
    assert bool(fits)
    return np.asarray(pixel_1PPC[0].numpy())


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "crop"), [(40, 40), (40, 33), (41, 32)])
def test_noise_of_any_size_gives_the_pixels_of_pillow(resize: int, crop: int, interpolation: str):
    preprocessing = rules(resize, crop, interpolation)
    module, draws = PillowResize(preprocessing), np.random.default_rng(0)
    sizes = [*SIZES, *draws.integers(1, 400, (10, 2)).tolist()]
    for rows, columns in sizes:
        if max(rows, columns) <= LONGEST_STRIP * min(rows, columns):
            noise_HWC = draws.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
            edges_HWC = 255 * (noise_HWC > 127).astype(np.uint8)  # bicubic overshoots at edges, and is clipped
            for pixel_HWC in (noise_HWC, edges_HWC):
                expected_PPC = to_pixels(Image.fromarray(pixel_HWC), preprocessing)
                np.testing.assert_array_equal(resize_inside(module, pixel_HWC), expected_PPC, f"{rows} x {columns}")


def test_the_largest_scale_is_exact_and_no_larger_one_is_promised():
    preprocessing = rules(16, 16, "bicubic")
    module, draws = PillowResize(preprocessing), np.random.default_rng(0)
    side = MOST_SCALE * 16
    pixel_HWC = draws.integers(0, 256, (side + 1, side, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        resize_inside(module, pixel_HWC), to_pixels(Image.fromarray(pixel_HWC), preprocessing)
    )
    for rows, columns in ((side + 1, side + 1), (LONGEST_STRIP + 1, 1)):
        assert not bool(module(torch.zeros((rows, columns, 3), dtype=torch.uint8))[1])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(1, LONGEST_STRIP), (5 * LONGEST_STRIP, 5)])
def test_the_longest_strip_is_exact_at_the_largest_resize(shape: tuple[int, int], interpolation: str):
    """The numbers inside are largest here."""
    preprocessing = rules(MOST_RESIZE, MOST_RESIZE, interpolation)
    pixel_HWC = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        resize_inside(PillowResize(preprocessing), pixel_HWC), to_pixels(Image.fromarray(pixel_HWC), preprocessing)
    )


def test_the_limit_of_pixels_is_stated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pillow_resize, "MOST_PIXELS", 100)
    module = PillowResize(rules(16, 16, "bilinear"))
    assert bool(module(torch.zeros((10, 10, 3), dtype=torch.uint8))[1])
    assert not bool(module(torch.zeros((10, 11, 3), dtype=torch.uint8))[1])


def test_a_resize_by_another_rule_is_noticed():
    """Bilinear pixels are not bicubic ones: the comparison above can fail."""
    pixel_HWC = np.random.default_rng(0).integers(0, 256, (97, 331, 3), dtype=np.uint8)
    other_PPC = to_pixels(Image.fromarray(pixel_HWC), rules(40, 33, "bicubic"))
    assert (resize_inside(PillowResize(rules(40, 33, "bilinear")), pixel_HWC) != other_PPC).any()


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(("resize", "interpolation"), [(248, "bicubic"), (256, "bilinear")])
def test_flowers_of_uneven_sizes_give_the_pixels_of_pillow(shared: Path, resize: int, interpolation: str):
    preprocessing = rules(resize, 224, interpolation)
    module = PillowResize(preprocessing)
    files = sorted((shared / "data" / "flowers_original").rglob("*.jpg"))
    sizes = set()
    for file in files[:: len(files) // 64][:64]:
        image = Image.open(file).convert("RGB")
        sizes.add(image.size)
        expected_PPC = to_pixels(image, preprocessing)
        np.testing.assert_array_equal(resize_inside(module, np.array(image)), expected_PPC, file.name)
    assert len(sizes) > 10
