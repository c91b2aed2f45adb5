"""The classes of published classifiers: tables that each name their source and licence."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

IMAGENET_1K = "ImageNet-1k"


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSet:
    """The classes of a classifier, in the order of its outputs.

    `ids` are WordNet synset ids such as n02085620, `names` the lemmas of each: one or more words for the same thing.
    """

    name: str
    ids: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]


@cache
def imagenet_1k() -> LabelSet:
    """The 1,000 classes of ILSVRC 2012, sorted by synset id as every classifier here has them."""
    lines = (files(__name__) / "imagenet_1k.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return LabelSet(
        name=IMAGENET_1K,
        ids=tuple(row[0] for row in rows),
        names=tuple(tuple(lemma.strip() for lemma in row[1].split(",")) for row in rows),
    )


@cache
def imagenet_21k_ids() -> frozenset[str]:
    """The synset ids of ImageNet's release of fall 2011 and of ImageNet-1k (all but one are in that release too)."""
    lines = (files(__name__) / "imagenet_21k_ids.txt").read_text(encoding="utf-8").splitlines()
    numbers = (number for line in lines if not line.startswith("#") for number in line.split())
    return frozenset(f"n{number}" for number in numbers) | frozenset(imagenet_1k().ids)
