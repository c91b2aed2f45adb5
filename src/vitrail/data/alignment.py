"""Align one image with another and measure how far their pixels agree: this decides about near-duplicates.

Two grey squares are related by a scale and a shift along each side (which covers resizing, any crop and a changed
aspect), possibly mirrored, and by a gain and an offset of brightness. The relation is found by Gauss-Newton steps from
the best of a few starts (Lucas and Kanade 1981, here with the six unknowns solved together). Then the fine structure is
compared, that is the pixels minus the mean of their surroundings: scenes with the same layout agree in coarse structure
but not in fine structure. Both the whole image and its tiles must agree, so that two products in front of one
background do not count as copies.

Everything is done for a batch of pairs at once: since no rotation is allowed, warping is a product of two small
matrices.

Letters: P pairs, S side in pixels, H starts, K tiles along a side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

Floats = NDArray[np.float32]

STEPS = 8
LARGEST_SCALE = 1.35  # a crop that keeps less than three quarters of a side is not looked for
TILES = 6
CONTRAST = 2.0  # grey levels of fine structure under which a tile says nothing
ALIKE_TILE = 0.5
RIDGE = 1e-3  # of the mean of the diagonal: keeps an image of stripes, which does not fix all four, solvable

CUT = 0.92
_OFFSETS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far each pair agrees, after alignment.

    `correlation_P` is that of the fine structure where the two overlap, from -1 to 1; `tiles_P` the fraction of the
    tiles with contrast in which it is above 0.5; `overlap_P` the fraction of the first image that the second covers.
    `place_P4` says where the second lies: scale and shift down, scale and shift across, in sides; `mirrored_P` whether
    it was mirrored before.
    """

    correlation_P: Floats
    tiles_P: Floats
    overlap_P: Floats
    place_P4: Floats
    mirrored_P: NDArray[np.bool_]

    def only(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> "Agreement":
        """The agreement of some of the pairs."""
        return Agreement(*(getattr(self, field.name)[kept] for field in fields(self)))

    @staticmethod
    def joined(batches: Sequence["Agreement"]) -> "Agreement":
        """Batches of pairs, one after the other."""
        nothing = Agreement(*(np.empty(0, np.float32),) * 3, np.empty((0, 4), np.float32), np.empty(0, bool))
        columns = ([getattr(batch, field.name) for batch in (nothing, *batches)] for field in fields(Agreement))
        return Agreement(*(np.concatenate(column) for column in columns))


def align(one_PSS: Floats, other_PSS: Floats) -> Agreement:
    """Find the relation of each pair of images from nothing, and compare: brightness from 0 to 255."""
    starts = _starts()
    best_P = np.full(len(one_PSS), -2, np.float32)
    place_P4 = np.zeros((len(one_PSS), 4), np.float32)
    mirrored_P = np.zeros(len(one_PSS), bool)
    for mirrored in (False, True):
        turned_PSS = other_PSS[:, :, ::-1] if mirrored else other_PSS
        for start in starts:
            start_P4 = np.broadcast_to(start, place_P4.shape)
            match_P = _correlate(one_PSS, *_warp(turned_PSS, start_P4))
            better_P = match_P > best_P
            best_P[better_P], place_P4[better_P], mirrored_P[better_P] = match_P[better_P], start, mirrored
    return refine(one_PSS, other_PSS, place_P4, mirrored_P)


def refine(one_PSS: Floats, other_PSS: Floats, place_P4: Floats, mirrored_P: NDArray[np.bool_]) -> Agreement:
    """Improve a relation that is known coarsely, and compare.

    Args:
        one_PSS: brightness, 0 to 255.
        other_PSS: that of the images laid over them.
        place_P4: scale and shift down, scale and shift across.
        mirrored_P: whether the second is mirrored.
    """
    turned_PSS = np.where(mirrored_P[:, None, None], other_PSS[:, :, ::-1], other_PSS)
    place_P4 = place_P4.astype(np.float32)
    for _ in range(STEPS):
        place_P4 = _step(one_PSS, turned_PSS, place_P4)
    warped_PSS, inside_PSS = _warp(turned_PSS, place_P4)
    correlation_P, tiles_P = _compare_fine(one_PSS, warped_PSS, inside_PSS)
    return Agreement(correlation_P, tiles_P, inside_PSS.mean(axis=(1, 2)), place_P4, mirrored_P)


def _starts() -> Floats:
    """Where the second may lie: all of it, or one of the two as a cut of the other, H x 4."""
    starts = [(1.0, 0.0, 1.0, 0.0)]
    for down, across in _OFFSETS:
        shift = (down * (1 - CUT), across * (1 - CUT))
        starts.append((CUT, shift[0], CUT, shift[1]))
        starts.append((1 / CUT, -shift[0] / CUT, 1 / CUT, -shift[1] / CUT))
    return np.asarray(starts, np.float32)


def _warp(picture_PSS: Floats, place_P4: Floats) -> tuple[Floats, Floats]:
    """The image as seen from the frame of the other, and where there is any of it (1 or 0)."""
    down_PSS, below_PS = _interpolation(place_P4[:, 0], place_P4[:, 1], picture_PSS.shape[1])
    across_PSS, beside_PS = _interpolation(place_P4[:, 2], place_P4[:, 3], picture_PSS.shape[2])
    warped_PSS = (down_PSS @ picture_PSS @ across_PSS.transpose(0, 2, 1)).astype(np.float32)
    return warped_PSS, below_PS[:, :, None] * beside_PS[:, None, :]


def _interpolation(scale_P: Floats, shift_P: Floats, side: int) -> tuple[Floats, Floats]:
    centre_S = (np.arange(side, dtype=np.float32) + 0.5) / side
    at_PS = (scale_P[:, None] * centre_S + shift_P[:, None]) * side - 0.5
    inside_PS = ((at_PS >= -0.5) & (at_PS <= side - 0.5)).astype(np.float32)
    clamped_PS = np.clip(at_PS, 0, side - 1)
    weight_PSS = np.maximum(0, 1 - np.abs(clamped_PS[:, :, None] - np.arange(side, dtype=np.float32)))
    return weight_PSS.astype(np.float32), inside_PS


def _step(one_PSS: Floats, other_PSS: Floats, place_P4: Floats) -> Floats:
    """One Gauss-Newton step of scale and shift along both sides, gain and offset."""
    pairs, side, _ = one_PSS.shape
    warped_PSS, inside_PSS = _warp(other_PSS, place_P4)
    slope_down_PSS = _warp(np.gradient(other_PSS, 1 / side, axis=1), place_P4)[0]
    slope_across_PSS = _warp(np.gradient(other_PSS, 1 / side, axis=2), place_P4)[0]
    centre_S = (np.arange(side, dtype=np.float32) + 0.5) / side
    columns = (
        slope_down_PSS * centre_S[:, None],
        slope_down_PSS,
        slope_across_PSS * centre_S,
        slope_across_PSS,
        warped_PSS,
        np.ones_like(warped_PSS),
    )
    system_PN6 = np.stack([(column * inside_PSS).reshape(pairs, -1) for column in columns], axis=2)
    target_PN = (one_PSS * inside_PSS).reshape(pairs, -1)
    square_P66 = (system_PN6.transpose(0, 2, 1) @ system_PN6).astype(np.float64)
    right_P6 = (system_PN6.transpose(0, 2, 1) @ target_PN[:, :, None])[:, :, 0].astype(np.float64)
    size_P6 = np.sqrt(np.maximum(np.einsum("pii->pi", square_P66), 1e-9))
    square_P66 /= size_P6[:, :, None] * size_P6[:, None, :]
    square_P66 += RIDGE * np.eye(6)
    solved_P6 = np.linalg.solve(square_P66, (right_P6 / size_P6)[:, :, None])[:, :, 0] / size_P6
    # The unknowns are gain times the change of place; a gain near nothing means that nothing agrees.
    gain_P = solved_P6[:, 4]
    change_P4 = solved_P6[:, :4] / np.where(np.abs(gain_P) < 0.1, np.inf, gain_P)[:, None]
    moved_P4: NDArray[np.float64] = place_P4 + np.clip(change_P4, -0.05, 0.05)
    moved_P4[:, 0::2] = np.clip(moved_P4[:, 0::2], 1 / LARGEST_SCALE, LARGEST_SCALE)
    moved_P4[:, 1::2] = np.clip(moved_P4[:, 1::2], 1 - LARGEST_SCALE, LARGEST_SCALE - 1)
    return moved_P4.astype(np.float32)


def _correlate(one_PSS: Floats, other_PSS: Floats, weight_PSS: Floats) -> Floats:
    total_P = np.maximum(weight_PSS.sum(axis=(1, 2)), 1)
    centred = []
    for picture_PSS in (one_PSS, other_PSS):
        mean_P = (picture_PSS * weight_PSS).sum(axis=(1, 2)) / total_P
        centred.append((picture_PSS - mean_P[:, None, None]) * weight_PSS)
    length_P = np.sqrt((centred[0] ** 2).sum(axis=(1, 2)) * (centred[1] ** 2).sum(axis=(1, 2)))
    result: Floats = (centred[0] * centred[1]).sum(axis=(1, 2)) / np.maximum(length_P, 1e-6)
    return result


def _compare_fine(one_PSS: Floats, other_PSS: Floats, inside_PSS: Floats) -> tuple[Floats, Floats]:
    """The correlation of fine structure, and the fraction of contrasted tiles in which it is high."""
    pairs, side, _ = one_PSS.shape
    fine_one_PSS, fine_other_PSS = (
        (picture_PSS - uniform_filter(picture_PSS, size=(0, side // 8, side // 8), mode="nearest")) * inside_PSS
        for picture_PSS in (one_PSS, other_PSS)
    )
    whole_P = _correlate(fine_one_PSS, fine_other_PSS, inside_PSS)
    width = side // TILES

    def cut(picture_PSS: Floats) -> Floats:
        cropped = picture_PSS[:, : width * TILES, : width * TILES]
        tile_TSS: Floats = cropped.reshape(pairs, TILES, width, TILES, width).swapaxes(2, 3).reshape(-1, width, width)
        return tile_TSS

    one_QSS, other_QSS, inside_QSS = cut(fine_one_PSS), cut(fine_other_PSS), cut(inside_PSS)
    alike_PQ = (_correlate(one_QSS, other_QSS, inside_QSS) > ALIKE_TILE).reshape(pairs, -1)
    contrast_Q = np.sqrt((one_QSS**2).mean(axis=(1, 2)) + (other_QSS**2).mean(axis=(1, 2)))
    says_PQ = ((contrast_Q > CONTRAST) & (inside_QSS.mean(axis=(1, 2)) > 0.5)).reshape(pairs, -1)
    return whole_P, ((alike_PQ & says_PQ).sum(axis=1) / np.maximum(says_PQ.sum(axis=1), 1)).astype(np.float32)
