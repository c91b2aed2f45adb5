"""What a reduced precision changes, measured on the user's own images: features and answers against float32.

The rows in float32 go into the feature store like any others, so they are computed at the first use of a precision
with a backbone on these images, and never again.

Letters: N rows, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.backbones import Backbone
from vitrail.core.resources import Resources
from vitrail.data import Dataset
from vitrail.features import Features, extract
from vitrail.heads import Head, probabilities

IMAGES = {"bf16": 64, "fp16": 64, "int8": 256}  # at most; int8 changes features most, and is only used on request


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """A backbone's features in the precision that ran, compared with float32 on the same engine.

    `cosine_least` and `cosine_median` are over `images`; `top1_agreement` is the fraction of them for which the tuned
    head gives the same class on both.
    """

    images: int
    cosine_least: float
    cosine_median: float
    top1_agreement: float


def parity_in_words(parity: Parity, precision: str) -> str:
    """The figures as a clause after a backbone's name."""
    same = round(parity.top1_agreement * parity.images)
    return (
        f"{precision} compared with fp32 on {parity.images} test images: cosine of features at least "
        f"{parity.cosine_least:.4f}, the same answer on {same}"
    )


def measure_parity(
    dataset: Dataset,
    backbone: Backbone,
    features: Features,
    head: Head,
    ids: Sequence[str],
    *,
    max_pixels: int,
    resources: Resources,
) -> Parity | None:
    """Compare with float32; None if the run used float32.

    Args:
        dataset: the examples.
        backbone: in the precision that ran.
        features: its rows, in the pooling that the head takes.
        head: tuned on them.
        ids: images that the head was not fitted on; the first ones by id are used, and no label of them.
        max_pixels: as for the features.
        resources: as for the features.
    """
    precision = backbone.engine.precision
    if precision == "fp32" or not ids:
        return None
    some = compared_images(dataset, ids, precision)
    chosen = some.table["id"].to_pylist()
    exact = extract(some, [in_float32(backbone)], max_pixels=max_pixels, resources=resources).features[0]
    return compare(features.rows(chosen), exact.pooled(features.pooling).rows(chosen), head)


def compared_images(dataset: Dataset, ids: Sequence[str], precision: str) -> Dataset:
    """Those examples of `ids` that a reduced precision is compared on, the first ones by id."""
    chosen = pa.array(sorted(ids)[: IMAGES[precision]], pa.string())
    return replace(dataset, table=dataset.table.filter(pc.is_in(dataset.table["id"], value_set=chosen)))


def in_float32(backbone: Backbone) -> Backbone:
    """The same backbone on the same engine in float32."""
    exact = replace(backbone.engine, precision="fp32", ranges="", quantiser="", rest="")
    return replace(backbone, engine=exact, read_range_images=None)


def compare(reduced: NDArray[np.float32], exact: NDArray[np.float32], head: Head) -> Parity:
    """How far apart features (N x D) of the same images are, and how often the head predicts one class for both."""
    cosine_N = cosines(reduced, exact)
    same_N = probabilities(head, reduced).argmax(axis=1) == probabilities(head, exact).argmax(axis=1)
    return Parity(
        images=len(cosine_N),
        cosine_least=float(cosine_N.min()),
        cosine_median=float(np.median(cosine_N)),
        top1_agreement=float(same_N.mean()),
    )


def cosines(reduced: NDArray[np.float32], exact: NDArray[np.float32]) -> NDArray[np.float64]:
    """The cosine of each row (N x D) to the same row of the other; 0 if one of them is all zeros."""
    reduced_ND, exact_ND = reduced.astype(np.float64), exact.astype(np.float64)
    norm_N = np.linalg.norm(reduced_ND, axis=1) * np.linalg.norm(exact_ND, axis=1)
    cosine_N: NDArray[np.float64] = (reduced_ND * exact_ND).sum(axis=1) / np.where(norm_N == 0, 1, norm_N)
    return cosine_N
