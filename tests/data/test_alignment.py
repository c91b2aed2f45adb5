import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.data.pictures import photograph
from vitrail.data.alignment import Agreement, align

SIDE = 96


def square(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32)


def agreement(one: Image.Image, other: Image.Image) -> Agreement:
    return align(square(one)[None], square(other)[None])


def test_a_crop_is_found_with_its_place():
    image = photograph(0, (400, 300))
    found = agreement(image.crop((30, 6, 400, 282)), image)  # 92.5% of the width, 92% of the height
    assert found.place_P4[0] == pytest.approx([276 / 300, 6 / 300, 370 / 400, 30 / 400], abs=5e-3)  # half a pixel
    assert found.correlation_P[0] > 0.97
    assert found.tiles_P[0] > 0.95
    assert found.overlap_P[0] == pytest.approx(1, abs=0.02)


def test_seen_from_the_whole_picture_a_crop_covers_less_than_all():
    image = photograph(0, (400, 300))
    found = agreement(image, image.crop((30, 6, 400, 282)))
    assert found.correlation_P[0] > 0.97
    assert found.overlap_P[0] == pytest.approx(0.925 * 0.92, abs=0.03)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mirrored_picture_is_known_as_such(mirrored: bool):
    image = photograph(1)
    found = agreement(image, ImageOps.mirror(image) if mirrored else image)
    assert found.mirrored_P[0] == mirrored
    assert found.correlation_P[0] > 0.99


def test_gain_and_offset_do_not_matter():
    image = photograph(2)
    found = agreement(image, image.point(lambda value: int(0.6 * value + 60)))
    assert found.correlation_P[0] > 0.98


def test_a_scene_of_the_same_layout_agrees_in_the_coarse_and_not_in_the_fine():
    """The trap: blurred, these two correlate at 0.99."""
    coarse = photograph(3, (5, 4)).resize((160, 120), Image.Resampling.BICUBIC)
    layered = [Image.blend(coarse, photograph(seed), 0.25) for seed in (4, 5)]
    blurred = [np.asarray(one.convert("L").resize((8, 6), Image.Resampling.BOX), dtype=float) for one in layered]
    assert np.corrcoef(blurred[0].ravel(), blurred[1].ravel())[0, 1] > 0.9
    assert agreement(*layered).correlation_P[0] < 0.6


def test_two_things_before_one_background_agree_in_too_few_parts():
    """The trap: as a whole the pictures correlate, since most of them is the same."""
    background = photograph(6, (240, 240))
    shown = []
    for seed in (7, 8):
        picture = background.copy()
        picture.paste(photograph(seed, (150, 150)), (45, 45))
        shown.append(picture)
    assert agreement(*shown).tiles_P[0] < 0.7
    assert agreement(shown[0], shown[0].resize((180, 180))).tiles_P[0] > 0.95


def test_a_batch_is_its_pairs_one_by_one():
    pictures = [square(photograph(seed)) for seed in range(6)]
    one, other = np.stack(pictures[:3]), np.stack([pictures[0], pictures[4], pictures[2][:, ::-1]])
    whole = align(one, other)
    parts = Agreement.joined([align(one[[row]], other[[row]]) for row in range(3)])
    assert whole.correlation_P == pytest.approx(parts.correlation_P, abs=1e-4)
    assert whole.place_P4 == pytest.approx(parts.place_P4, abs=1e-4)
    assert Agreement.joined([]).correlation_P.shape == (0,)


def test_flat_pictures_agree_in_nothing():
    flat = np.full((1, SIDE, SIDE), 77, np.float32)
    found = align(flat, flat)
    assert found.correlation_P[0] == 0
    assert found.tiles_P[0] == 0
