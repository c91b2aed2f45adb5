"""Whether a backbone's large JPEGs are decoded at a fraction of their size, and what that changes on the user's images.

`fast` asks libjpeg for the smallest scale that keeps twice the pixels, along each side, that the resize makes. `auto`
does so for a backbone if there are enough such images, if features barely move on 64 of them, and if the tuned head
then answers on these as it does on whole images. The choice depends on the data and the backbone alone, so that all
machines that share a cache take the same one. Rows in both ways go into the feature store like any others.

Letters: N images, C classes, P poolings.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.backbones import Backbone, least_side
from vitrail.backbones.cards import Decode
from vitrail.candidates.parity import cosines
from vitrail.core.errors import UsageError
from vitrail.data import Dataset
from vitrail.features import Extraction, Features
from vitrail.heads import Head, probabilities

WAYS: tuple[Decode, Decode] = ("exact", "fast")
DECODES = ("auto", *WAYS)
IMAGES = 64  # compared, the first ones by id
ENOUGH = 256  # large images; with fewer, comparing takes about as long as a reduced decode saves
LEAST_COSINE = 0.9995  # of features, on average over the images that are compared
TIE = 0.01  # of probability: two classes that are this near each other may change places

Compute = Callable[[Dataset, Sequence[Backbone]], Extraction]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """What a reduced decode changes for a backbone: features and answers of the same images with both decodes.

    `large` counts the images that it reduces, and `images` those that were compared. The cosines are of the pooling
    that moved most. `changed` counts the images of these for which the tuned head gives another class, beyond ties; it
    is None if no head was tuned on features of reduced images.
    """

    large: int
    images: int
    cosine_least: float
    cosine_mean: float
    changed: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BothWays:
    """The rows of the compared images, decoded whole and reduced, and the figures that are known before the search."""

    ids: tuple[str, ...]
    exact: Features
    fast: Features
    decoding: Decoding

    def computed(self, decode: Decode) -> int:
        """How many of the rows decoded this way had to be computed for the comparison."""
        return (self.fast if decode == "fast" else self.exact).cost.computed

    def with_answers(self, head: Head, pooling: str) -> Decoding:
        """The figures with the answers of a head that was tuned on features of reduced images, in its pooling."""
        exact_NC, fast_NC = (
            probabilities(head, features.pooled(pooling).rows(self.ids)) for features in (self.exact, self.fast)
        )
        return replace(self.decoding, changed=count_changed(exact_NC, fast_NC))


def decoding_in_words(decoding: Decoding, decode: Decode) -> str:
    """How a backbone's images were decoded and why, as a clause after its name."""
    cosine = f"cosine of features {decoding.cosine_mean:.4f} on average, at least {decoding.cosine_least:.4f}"
    changed = f"{decoding.changed or 'no'} answer{'s' * ((decoding.changed or 0) != 1)} changed, not counting ties"
    if decode == "fast":
        return (
            f"{decoding.large:,} large JPEGs were decoded at a fraction of their size; compared with a full decode of "
            f"{decoding.images} of them: {cosine}; {changed}"
        )
    why = f"{cosine}, and auto needs {LEAST_COSINE} on average" if decoding.changed is None else changed
    return (
        f"images were decoded in full; compared with a fraction of their size on {decoding.images} large JPEGs: {why}"
    )


def decode_as(backbone: Backbone, decode: Decode) -> Backbone:
    """The backbone with its images decoded that way, which is part of its features' key.

    A backbone whose resize needs every pixel of an image stays as it is.

    Raises:
        UsageError: `decode` is not one of these ways; "auto" is not one either.
    """
    if decode not in WAYS:
        raise UsageError(f"Unknown decode {decode!r}: choose {' or '.join(WAYS)}.")
    prepared = replace(backbone.card.preprocessing, decode=decode)
    if prepared == backbone.card.preprocessing or (decode == "fast" and least_side(prepared) is None):
        return backbone
    return replace(backbone, card=replace(backbone.card, preprocessing=prepared))


def choose_decoding(
    backbones: Sequence[Backbone], dataset: Dataset, decode: str, compute: Compute
) -> list[tuple[Backbone, BothWays | None]]:
    """Each backbone as it will decode its images, with the comparison behind that choice, if one was made.

    Args:
        backbones: with an exact decode.
        dataset: the examples.
        decode: one of DECODES.
        compute: extracts features of some examples.
    """
    if decode == "exact":
        return [(backbone, None) for backbone in backbones]
    large = {backbone.name: find_large(dataset, backbone) for backbone in backbones}
    to_compare: defaultdict[tuple[str, ...], list[Backbone]] = defaultdict(list)  # by the images that it takes
    for backbone in backbones:
        count, first = large[backbone.name]
        if count >= (ENOUGH if decode == "auto" else 1):
            to_compare[first].append(backbone)
    compared: dict[str, BothWays] = {}
    for ids, members in to_compare.items():
        for exact, fast, readable in _compute_both(dataset, ids, members, compute):
            compared[exact.backbone] = _put_together(exact, fast, readable, large=large[exact.backbone][0])
    fast_names = {name for name, ways in compared.items() if ways.decoding.cosine_mean >= LEAST_COSINE}
    return [
        (
            decode_as(backbone, "fast" if decode == "fast" or backbone.name in fast_names else "exact"),
            compared.get(backbone.name),
        )
        for backbone in backbones
    ]


def find_large(dataset: Dataset, backbone: Backbone) -> tuple[int, tuple[str, ...]]:
    """How many images a reduced decode makes smaller for this backbone, and the ids of those that are compared."""
    side = least_side(decode_as(backbone, "fast").card.preprocessing)
    if side is None:
        return 0, ()
    large = pc.indices_nonzero(pc.greater_equal(dataset.table["jpeg_side"], pa.scalar(2 * side, pa.int32())))
    return len(large), tuple(dataset.table["id"].take(large[:IMAGES]).to_pylist())


def count_changed(exact_NC: NDArray[np.float64], fast_NC: NDArray[np.float64]) -> int:
    """How many images get another class. Two classes that are within TIE of each other both times do not count."""
    row_N, before_N, after_N = np.arange(len(exact_NC)), exact_NC.argmax(axis=1), fast_NC.argmax(axis=1)
    lead_N = np.maximum(
        exact_NC[row_N, before_N] - exact_NC[row_N, after_N], fast_NC[row_N, after_N] - fast_NC[row_N, before_N]
    )
    return int((lead_N > TIE).sum())


def _compute_both(
    dataset: Dataset, ids: Sequence[str], backbones: Sequence[Backbone], compute: Compute
) -> list[tuple[Features, Features, tuple[str, ...]]]:
    """The rows of each backbone in two passes, so that each way is charged with its own decoding, and whose they are.

    The list is empty if no image can be read.
    """
    some = replace(dataset, table=dataset.table.filter(pc.is_in(dataset.table["id"], value_set=pa.array(ids))))
    exact, fast = (compute(some, [decode_as(backbone, way) for backbone in backbones]) for way in WAYS)
    unreadable = {*exact.unreadable_ids, *fast.unreadable_ids}
    readable = tuple(example for example in ids if example not in unreadable)
    pairs = zip(exact.features, fast.features, strict=True)
    return [(*pair, readable) for pair in pairs] if readable else []


def _put_together(exact: Features, fast: Features, ids: tuple[str, ...], *, large: int) -> BothWays:
    cosine_PN = np.stack(
        [cosines(fast.pooled(pooling).rows(ids), exact.pooled(pooling).rows(ids)) for pooling in exact.poolings]
    )
    figures = Decoding(
        large=large,
        images=len(ids),
        cosine_least=float(cosine_PN.min()),
        cosine_mean=float(cosine_PN.mean(axis=1).min()),
    )
    return BothWays(ids=ids, exact=exact, fast=fast, decoding=figures)
