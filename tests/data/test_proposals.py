import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.data.pictures import encoded, photograph
from vitrail.data import proposals
from vitrail.data.grey_copies import make_grey_copy
from vitrail.data.proposals import describe, propose

WHOLE = (0.0, 1.0)


def grey_copy(image: Image.Image) -> np.ndarray:
    return make_grey_copy(encoded(image), max_pixels=10**7)


def pairs_of(*images: Image.Image) -> set[tuple[int, int]]:
    found = propose(np.stack([grey_copy(image) for image in images]), threads=2, advance=lambda rows: None)
    return {tuple(pair) for pair in found.tolist()}


def test_copies_are_proposed_and_strangers_are_not():
    image = photograph(0, (200, 150))
    half = image.resize((100, 75), Image.Resampling.BICUBIC)
    corner = image.crop((0, 0, 182, 137))
    brighter = image.point(lambda value: min(255, int(1.3 * value)))
    found = pairs_of(image, half, ImageOps.mirror(image), corner, brighter, photograph(1), photograph(2))
    assert {(0, 1), (0, 2), (0, 3), (0, 4)} <= found
    assert not {pair for pair in found if max(pair) >= 5}


def test_each_look_resembles_itself_and_that_is_no_pair():
    assert pairs_of(photograph(1), photograph(2)) == set()
    assert pairs_of(photograph(1)) == set()


def test_mirroring_turns_the_sign_of_the_second_half_of_a_description():
    image = photograph(3)
    copies = np.stack([grey_copy(image), grey_copy(image)[:, ::-1]])
    one_D, mirrored_D = describe(copies, WHOLE, WHOLE)
    half = len(one_D) // 2
    assert one_D[:half] == pytest.approx(mirrored_D[:half], abs=1e-5)
    assert one_D[half:] == pytest.approx(-mirrored_D[half:], abs=1e-5)


def test_a_description_is_of_length_one_and_blind_to_gain_and_offset():
    image = np.asarray(grey_copy(photograph(4)), dtype=np.float32)
    copies = np.stack([image, image * 0.5 + 40])
    one_D, other_D = describe(copies, WHOLE, WHOLE)
    assert np.linalg.norm(one_D) == pytest.approx(1, abs=1e-5)
    assert one_D == pytest.approx(other_D, abs=1e-4)


def test_the_description_of_a_window_is_that_of_the_cut_picture():
    image = np.asarray(photograph(5, (400, 400)).convert("L"), dtype=np.uint8)
    cut = describe(image[None, :368, 32:], WHOLE, WHOLE)
    window = describe(image[None], (0, 0.92), (0.08, 1))
    assert cut == pytest.approx(window, abs=0.02)


def test_a_flat_picture_resembles_nothing():
    flat = np.full((3, 32, 32), 128, np.uint8)
    assert len(propose(flat, threads=2, advance=lambda rows: None)) == 0


def test_blocks_change_nothing(monkeypatch):
    copies = np.stack([grey_copy(photograph(seed // 2, (120 + seed, 90))) for seed in range(14)])
    whole = propose(copies, threads=2, advance=lambda rows: None)
    monkeypatch.setattr(proposals, "BLOCK", 3)
    assert np.array_equal(propose(copies, threads=2, advance=lambda rows: None), whole)
    assert {(seed, seed + 1) for seed in range(0, 14, 2)} <= {tuple(pair) for pair in whole.tolist()}


def test_where_all_pictures_are_alike_the_proposals_stay_bounded_and_the_nearest_is_kept(monkeypatch):
    monkeypatch.setattr(proposals, "BLOCK", 4)
    base = np.asarray(grey_copy(photograph(6)), dtype=np.float32)
    draws = np.random.default_rng(0)
    copies = np.clip(base + draws.normal(0, 3, (60, 32, 32)), 0, 255).astype(np.uint8)
    copies[17] = copies[41]
    found = propose(copies, threads=2, advance=lambda rows: None)
    assert len(found) <= proposals.MOST * len(copies)
    assert [17, 41] in found.tolist()
