"""Pretrained networks with everything that belongs to them: card, preprocessing, weights, engine."""

from vitrail.backbones.backbone import Backbone
from vitrail.backbones.cards import Card, Preprocessing
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.engines import Engine, EngineChoice, EngineRequest
from vitrail.backbones.opening import open_backbone
from vitrail.backbones.preprocess import PIXEL_CODE_VERSION, least_side, to_pixels
from vitrail.backbones.specs import BackboneSpec, parse_spec

__all__ = [
    "PIXEL_CODE_VERSION",
    "Backbone",
    "BackboneSpec",
    "Card",
    "Engine",
    "EngineChoice",
    "EngineRequest",
    "Preprocessing",
    "find_card",
    "least_side",
    "open_backbone",
    "parse_spec",
    "to_pixels",
]
