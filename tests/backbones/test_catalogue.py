"""The catalogue says what timm says, and what it does not know it leaves empty."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.references import timm, timm_config
from vitrail.backbones.cards import CONVOLUTIONAL, Card
from vitrail.backbones.catalogue import find_card, load_catalogue, matching_names, nearest_names
from vitrail.core.errors import UsageError

CATALOGUE = load_catalogue()
PUBLISHED = [name for name, card in CATALOGUE.items() if card.repository not in ("embedded", "")]
SOURCED = ("licence", "pretraining", "revision", "sha256")
# DINOv3's own licence is left out on purpose: its text grants use, but does not say whether commercial use is meant.
COMMERCIAL = {"Apache-2.0": "yes", "BSD-3-Clause": "yes", "MIT": "yes", "CC-BY-NC-4.0": "no"}
OWN_LICENCES = {"DINOv3": "dinov3-license"}  # timm's name of a licence that has no usual one
COLLECTIONS = {
    "imagenet-1k",
    "imagenet-21k",
    "lvd-142m",
    "lvd-1689m",
    "wit-400m",
    "laion-2b",
    "webli",
    "formula-images",
}
ACTIVATIONS = {"gelu": "GELU", "quick_gelu": "QuickGELU", "silu": "SiLU", "relu": "ReLU"}  # timm's classes
CLASSES = {
    "imagenet-1k": {1000},
    "imagenet-21k": {21_843, 21_841, 11_821},  # Google's; Meta's, called 22k; timm's part of it, called 12k
}


def timms_name(name: str) -> str:
    """Without "@224": timm's weights at the size at which their authors evaluate them."""
    return name.partition("@")[0]


@pytest.mark.parametrize("name", [name for name in PUBLISHED if "@" not in name])
def test_preprocessing_is_timms(name):
    ours, theirs = CATALOGUE[name].preprocessing, timm_config(name)
    fraction = theirs["crop_pct"]
    if ".tv2_" in name:  # trained on small images, and published with the larger ones to test on
        config = timm().get_pretrained_cfg(name)
        theirs["input_size"], fraction = config.test_input_size, config.test_crop_pct
    assert theirs["input_size"] == (3, ours.crop, ours.crop)
    assert ours.resize == math.floor(ours.crop / fraction)
    assert (theirs["crop_mode"], ours.resize_rule) in {("center", "short side"), ("squash", "squash")}
    assert (ours.antialias, ours.channels, ours.divide_by, ours.equalise) == (True, "RGB", 255, False)
    assert (ours.interpolation, ours.mean, ours.std) == (theirs["interpolation"], theirs["mean"], theirs["std"])


@pytest.mark.parametrize("name", [name for name in PUBLISHED if "@" in name])
def test_the_smaller_size_of_dinov2_is_its_authors_evaluation(name):
    ours, same = CATALOGUE[name], CATALOGUE[timms_name(name)]
    assert ours.preprocessing == replace(same.preprocessing, resize=256, crop=224)
    assert ours.variant == {**same.variant, "stored": 518}
    for fact in ("repository", "revision", "sha256", "licence", "pretraining", "positions"):
        assert getattr(ours, fact) == getattr(same, fact)


@pytest.mark.parametrize("name", PUBLISHED)
def test_repository_licence_and_classes_are_timms(name):
    card, theirs = CATALOGUE[name], timm().get_pretrained_cfg(timms_name(name))
    assert card.repository == theirs.hf_hub_id
    assert OWN_LICENCES.get(card.licence, card.licence.lower()) == theirs.license
    assert card.classifier_classes == theirs.num_classes


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_network_is_timms_of_that_name(name):
    """Same names and shapes of every tensor, so that the field's weights load as they are."""
    from vitrail.backbones.build import build_net
    from vitrail.backbones.weights import give_our_names

    with torch.device("meta"):
        ours, theirs = build_net(CATALOGUE[name]), timms_network(name)
    read = give_our_names(theirs.state_dict(), Path(name))
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in read.items()
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_eps_activation_and_pooling_are_those_of_timms_network(name):
    card, theirs = CATALOGUE[name], timms_network(name)
    norms = [layer for layer in theirs.modules() if isinstance(layer, nn.LayerNorm | nn.BatchNorm2d | nn.GroupNorm)]
    assert {layer.eps for layer in norms} == {card.norm_eps}
    gated = card.variant.get("size") == "g"
    activation = "SiLU" if gated else ACTIVATIONS[card.activation]
    assert {type(layer).__name__ for layer in theirs.modules()} & {*ACTIVATIONS.values()} == {activation}
    if card.positions is not None:
        assert card.pooling == {"token": "cls", "avg": "mean", "map": "map"}[theirs.global_pool]


@cache
def timms_network(name: str) -> nn.Module:
    """Without memory: on torch's meta device."""
    with torch.device("meta"):
        return timm().create_model(timms_name(name), **({"img_size": 224} if "@" in name else {}))


def test_the_source_the_cards_name_is_the_timm_that_was_read():
    sources = {source for card in CATALOGUE.values() for source in card.seen_in.values()}
    assert {found for source in sources for found in re.findall(r"timm (\d[\d.]*)", source)} == {timm().__version__}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_stated_fact_names_its_source_and_has_its_form(name):
    card = CATALOGUE[name]
    assert unsourced(card) == set()
    assert card.seen_in["preprocessing"]
    assert card.pretraining
    assert re.fullmatch(r"([0-9a-f]{64})?", card.sha256)
    assert re.fullmatch(r"([0-9a-f]{40})?", card.revision)


def unsourced(card: Card) -> set[str]:
    """The facts that stand on a card without a source, or have a source and do not stand there."""
    stated = {fact for fact in SOURCED if getattr(card, fact)}
    return stated ^ {fact for fact, source in card.seen_in.items() if fact in SOURCED and source.strip()}


@pytest.mark.parametrize("fact", ["licence", "pretraining", "revision", "sha256"])
def test_a_fact_without_a_source_or_a_source_without_its_fact_would_be_found(fact):
    card = find_card("resnet18.tv_in1k")
    assert unsourced(replace(card, seen_in={key: value for key, value in card.seen_in.items() if key != fact})) == {
        fact
    }
    assert unsourced(replace(card, **{fact: type(getattr(card, fact))()})) == {fact}


@pytest.mark.parametrize("name", CATALOGUE)
def test_commercial_use_is_what_the_licence_says(name):
    """An unknown licence counts as not allowed, and so does one that nobody has put into this table."""
    card = CATALOGUE[name]
    assert card.commercial == COMMERCIAL.get(card.licence, "unknown")


@pytest.mark.parametrize("name", CATALOGUE)
def test_labels_are_those_of_the_last_collection_and_fit_the_classifier(name):
    card = CATALOGUE[name]
    assert set(card.pretraining) <= COLLECTIONS
    assert card.labels in {"", card.pretraining[-1]}
    if card.labels and card.classifier_classes:
        assert card.classifier_classes in CLASSES[card.labels]


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_pooling_is_one_that_the_card_offers(name):
    card = CATALOGUE[name]
    assert card.pooling in card.poolings
    assert (card.positions is None) == (card.family in CONVOLUTIONAL | {"dinov3"})


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"'resnet50'.*resnet50\.tv_in1k.*vitrail backbones"):
        find_card("resnet50")
    with pytest.raises(UsageError, match=r"similar names are .*vit_mini"):
        find_card("vti_mini")


@pytest.mark.parametrize(
    ("written", "matches", "others"),
    [
        ("clip-b", "vit_base_patch32_clip_224.laion2b", "vit_large_patch14_clip_224.laion2b"),
        ("dinov2-l", "vit_large_patch14_dinov2.lvd142m@224", "vit_small_patch14_dinov2.lvd142m"),
        ("deit3", "deit3_base_patch16_224.fb_in1k", "deit_base_patch16_224.fb_in1k"),
        ("bit", "resnetv2_50x1_bit.goog_in21k", "resnet50.a1_in1k"),
    ],
)
def test_a_family_or_a_beginning_is_answered_with_its_matches(written, matches, others):
    found = matching_names(written, list(CATALOGUE))
    assert matches in found
    assert others not in found
    with pytest.raises(UsageError, match="these match: "):
        find_card(written)


def test_many_matches_are_counted():
    with pytest.raises(UsageError, match=r"and \d+ more"):
        find_card("vit_")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("vit_small_patch16_224", "vit_small_patch16_224.augreg_in21k_ft_in1k"),
        ("RESNET18.tv", "resnet18.tv_in1k"),
        ("deit_tny_patch16_224.fb_in1k", "deit_tiny_patch16_224.fb_in1k"),
        ("vitmini", "vit_mini"),
    ],
)
def test_the_nearest_name_is_the_intended_name(written, meant):
    assert nearest_names(written, list(CATALOGUE))[0] == meant


def test_the_catalogue_is_read_without_torch():
    code = "import sys, vitrail.backbones.catalogue as c; c.load_catalogue(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0
