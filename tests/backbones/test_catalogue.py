"""The catalogue says what timm says, and what it does not know it leaves empty."""

import math
import re
import subprocess
import sys

import pytest

from tests.references import timm, timm_config
from vitrail.backbones.catalogue import find_card, load_catalogue, nearest_names
from vitrail.core.errors import UsageError

CATALOGUE = load_catalogue()
PUBLISHED = [name for name, card in CATALOGUE.items() if card.repository != "embedded"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_preprocessing_is_timms(name):
    ours, theirs = CATALOGUE[name].preprocessing, timm_config(name)
    assert theirs["input_size"] == (3, ours.crop, ours.crop)
    assert ours.resize == math.floor(ours.crop / theirs["crop_pct"])
    assert theirs["crop_mode"] == "center"
    assert (ours.interpolation, ours.mean, ours.std) == (theirs["interpolation"], theirs["mean"], theirs["std"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_repository_licence_and_classes_are_timms(name):
    card, theirs = CATALOGUE[name], timm().get_pretrained_cfg(name)
    assert card.repository == theirs.hf_hub_id
    assert card.licence.lower() == theirs.license
    assert card.classifier_classes == theirs.num_classes


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_network_is_timms_of_that_name(name):
    """Same names and shapes of every tensor, so that the field's weights load as they are."""
    import torch

    from vitrail.backbones.build import build_net

    with torch.device("meta"):
        ours, theirs = build_net(CATALOGUE[name]), timm().create_model(name)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }


def test_the_source_the_cards_name_is_the_timm_that_was_read():
    named = {found for card in CATALOGUE.values() for found in re.findall(r"timm (\d[\d.]*)", card.seen_in)}
    assert named == {timm().__version__}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_stated_fact_names_its_source_and_has_its_form(name):
    card = CATALOGUE[name]
    assert card.seen_in
    assert card.pretraining
    assert re.fullmatch(r"([0-9a-f]{64})?", card.sha256)
    assert re.fullmatch(r"([0-9a-f]{40})?", card.revision)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"'resnet50'.*resnet50\.tv_in1k.*vitrail backbones"):
        find_card("resnet50")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("vit_small_patch16_224", "vit_small_patch16_224.augreg_in21k_ft_in1k"),
        ("RESNET18.tv", "resnet18.tv_in1k"),
        ("deit_tny_patch16_224.fb_in1k", "deit_tiny_patch16_224.fb_in1k"),
        ("vitmini", "vit_mini"),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(written, meant):
    assert nearest_names(written, list(CATALOGUE))[0] == meant


def test_the_catalogue_is_read_without_torch():
    code = "import sys, vitrail.backbones.catalogue as c; c.load_catalogue(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0
