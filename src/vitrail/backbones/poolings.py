"""Poolings of one pass: what is stored holds every component that a card offers, and any pooling is taken from it.

A pooling is one component, "cls", or several joined by "+", "cls+mean": their features side by side, each as wide as
the others. "mean" is the mean of the patch tokens after the network's final norm, as DINOv2 joins it to the class token
(arXiv:2304.07193, appendix B.3).

Letters: B images, H rows, W columns, C channels; N rows, D features.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import UsageError


def components_of(pooling: str) -> tuple[str, ...]:
    """The components of a pooling, in the order of their features."""
    return tuple(pooling.split("+"))


def join_poolings(poolings: Iterable[str]) -> str:
    """The shortest pooling that holds every component of these, in the order of their first mention."""
    return "+".join(dict.fromkeys(component for pooling in poolings for component in components_of(pooling)))


def widest(width: int, poolings: Iterable[str]) -> int:
    """The width of the widest of these poolings, whose components have `width` features each."""
    return width * max(len(components_of(pooling)) for pooling in poolings)


def take_pooling(feature_ND: NDArray[np.float32], *, held: str, wanted: str) -> NDArray[np.float32]:
    """The features of the pooling `wanted`, taken from rows of the pooling `held`; a view if `wanted` is one component.

    Raises:
        UsageError: `held` lacks a component of `wanted`.
    """
    components = components_of(held)
    missing = [component for component in components_of(wanted) if component not in components]
    if missing:
        raise UsageError(
            f"The pooling {wanted!r} is not available: {missing[0]} is not among these features, which hold {held}. "
            "`vitrail backbones NAME` shows the poolings of a backbone."
        )
    if wanted == held:
        return feature_ND
    component_ND = dict(zip(components, np.split(feature_ND, len(components), axis=1), strict=True))
    wanted_ND = [component_ND[component] for component in components_of(wanted)]
    return wanted_ND[0] if len(wanted_ND) == 1 else np.concatenate(wanted_ND, axis=1)
