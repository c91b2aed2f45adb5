"""What is known of a backbone before it runs. Imports no torch, so that the catalogue lists in an instant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["bilinear", "bicubic"]
NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """From an RGB image to the network's pixels: resize the short side, crop the centre, scale to [0, 1], normalise."""

    resize: int
    crop: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """The human-readable facts of one backbone.

    `family` and `variant` say which network of `vitrail.nets` to build: ("vit", {"size": "S", "patch": 16}).
    `parameters` counts the network without its classifier; `gmacs` are 1e9 multiply-adds at `preprocessing.crop`,
    without the classifier, counted by torch's FlopCounterMode / 2 (`backbones/counting.py`). `classifier_classes` is
    0 where the weights come without one. `repository`, `revision` and `sha256` are of the weights; an empty string is
    a fact that no source has confirmed, and `seen_in` names the source of those that are filled.
    """

    name: str
    family: Literal["vit", "resnet"]
    variant: Mapping[str, str | int]
    preprocessing: Preprocessing
    pooling: Literal["cls", "mean"]
    feature_width: int
    parameters: int
    gmacs: float
    classifier_classes: int
    licence: str
    pretraining: str
    repository: str
    revision: str
    sha256: str
    seen_in: str
