"""Poolings of one pass: what is stored holds every part that a card offers, and any of them is taken from it.

A pooling is one part, "cls", or several joined by "+", "cls+mean": their features side by side, each as wide as the
others. "mean" is the mean of the patch tokens after the network's final norm, as DINOv2 joins it to the class token
(arXiv:2304.07193, appendix B.3).

Letters: B images, H rows, W columns, C channels; N rows, D features.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import UsageError


def parts_of(pooling: str) -> tuple[str, ...]:
    """The parts of a pooling, in the order in which their features stand."""
    return tuple(pooling.split("+"))


def joined(poolings: Iterable[str]) -> str:
    """The shortest pooling that holds every part of these; parts stand in the order of their first mention."""
    return "+".join(dict.fromkeys(part for pooling in poolings for part in parts_of(pooling)))


def take(feature_ND: NDArray[np.float32], *, held: str, wanted: str) -> NDArray[np.float32]:
    """The features of one pooling, out of those of a pooling that holds its parts.

    Args:
        feature_ND: rows of the pooling `held`.
        held: what they are.
        wanted: what is asked for.

    Returns:
        Rows of the pooling `wanted`; a view where its parts stand side by side.

    Raises:
        UsageError: `held` lacks a part of it.
    """
    has = parts_of(held)
    missing = [part for part in parts_of(wanted) if part not in has]
    if missing:
        raise UsageError(
            f"There is no pooling {wanted!r} of these features, which hold {held}: {missing[0]} is not in them. "
            "`vitrail backbones NAME` says which poolings a backbone offers."
        )
    if wanted == held:
        return feature_ND
    part_ND = dict(zip(has, np.split(feature_ND, len(has), axis=1), strict=True))
    taken = [part_ND[part] for part in parts_of(wanted)]
    return taken[0] if len(taken) == 1 else np.concatenate(taken, axis=1)
