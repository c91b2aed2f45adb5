"""Each rule is that of its family, and none is another's."""

import itertools

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from tests.references import relative_gap, timm
from vitrail.nets.positions import HOW, OFFSET, resize_positions

GRIDS = [((37, 37), (16, 16)), ((14, 14), (24, 24)), ((7, 7), (5, 9)), ((16, 16), (9, 4))]


def noise(rows: int, columns: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, rows * columns, 6, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("known", "wanted"), GRIDS, ids=str)
@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("bicubic-antialias", {}),
        ("bicubic", {"antialias": False}),
        ("bilinear", {"interpolation": "bilinear", "antialias": False}),
    ],
)
def test_rules_by_size_are_timms(rule, options, known, wanted):
    theirs = timm().layers.resample_abs_pos_embed
    table_1LD = noise(*known).float()  # timm computes in float32
    wanted_1LD = theirs(table_1LD, list(wanted), list(known), num_prefix_tokens=0, **options)
    assert relative_gap(resize_positions(table_1LD, known, wanted, rule), wanted_1LD) <= 1e-6


@pytest.mark.parametrize(("known", "wanted"), GRIDS, ids=str)
def test_bilinear_corners_is_googles_zoom(known, wanted):
    """vit_jax/checkpoint.py, interpolate_posembed."""
    table_1LD = noise(*known)
    map_HWD = table_1LD.reshape(*known, -1).numpy()
    zoom = [after / before for before, after in zip(known, wanted, strict=True)]
    zoomed_HWD = scipy.ndimage.zoom(map_HWD, (*zoom, 1), order=1)
    ours = resize_positions(table_1LD, known, wanted, "bilinear-corners")
    assert relative_gap(ours, torch.from_numpy(zoomed_HWD).reshape(1, -1, 6)) <= 1e-10


@pytest.mark.parametrize(("known", "wanted"), GRIDS, ids=str)
def test_bicubic_offset_reads_where_dino_reads(known, wanted):
    """By the definition: new cell i lies at (i + 1/2) * known / (wanted + 0.1) - 1/2 of the old cells."""
    table_1LD = noise(*known)
    map_HWD = table_1LD.reshape(*known, -1).numpy()
    for side in range(2):
        map_HWD = resampled(map_HWD.swapaxes(0, side), wanted[side], wanted[side] + OFFSET).swapaxes(0, side)
    ours = resize_positions(table_1LD, known, wanted, "bicubic-offset")
    assert relative_gap(ours, torch.from_numpy(map_HWD.copy()).reshape(1, -1, 6)) <= 1e-10


def resampled(map_HWD: np.ndarray, side: int, stretched: float) -> np.ndarray:
    """Keys' cubic with a = -0.75, along the first axis; beyond the edge lies the edge."""
    known = len(map_HWD)
    place_N = (np.arange(side) + 0.5) * known / stretched - 0.5
    source_NK = np.floor(place_N)[:, None] + np.arange(-1, 3)
    x, a = np.abs(place_N[:, None] - source_NK), -0.75
    near, far = ((a + 2) * x - (a + 3)) * x**2 + 1, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    weight_NK = np.where(x <= 1, near, np.where(x < 2, far, 0))
    return np.einsum("nk,nk...->n...", weight_NK, map_HWD[np.clip(source_NK, 0, known - 1).astype(int)])


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(HOW, 2)), ids=str)
def test_no_two_rules_are_alike(one, other):
    """DINOv2's table of 37 x 37, used at 224 pixels: the rules differ by a tenth of the table at least."""
    table_1LD = noise(37, 37)
    ours, theirs = (resize_positions(table_1LD, (37, 37), (16, 16), rule) for rule in (one, other))
    assert relative_gap(ours, theirs) > 0.1


@pytest.mark.parametrize("rule", HOW)
def test_an_equal_grid_changes_nothing(rule):
    table_1LD = noise(5, 7)
    assert resize_positions(table_1LD, (5, 7), (5, 7), rule) is table_1LD


@pytest.mark.parametrize("rule", HOW)
def test_rows_stay_rows(rule):
    """DINO's own code calls the rows w: a table that varies along the rows alone still does in any other grid."""
    table_1LD = torch.arange(6.0)[:, None].expand(6, 6).reshape(1, 36, 1)
    map_HW = resize_positions(table_1LD, (6, 6), (4, 9), rule).reshape(4, 9)
    assert (map_HW - map_HW[:, :1]).abs().max() < 1e-5
    assert (map_HW[1:, 0] > map_HW[:-1, 0]).all()
