"""Short names stand for one card each, and none hides a full name."""

import pytest

from vitrail.backbones.catalogue import find_card, load_catalogue
from vitrail.backbones.short_names import find_short_name, load_short_names
from vitrail.backbones.specs import parse_spec


@pytest.mark.parametrize(
    ("written", "card"),
    [
        ("resnet50", "resnet50.a1_in1k"),
        ("dinov2-s", "vit_small_patch14_dinov2.lvd142m@224"),
        ("DINOv2_small", "vit_small_patch14_dinov2.lvd142m@224"),
        ("ViT-Ti/16", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
        ("convnext_tiny", "convnext_tiny.in12k_ft_in1k"),
        ("SigLIP2-B", "vit_base_patch16_siglip_224.v2_webli"),
        ("vit_small_patch16_224", "vit_small_patch16_224.augreg_in21k_ft_in1k"),
    ],
)
def test_a_short_name_is_found_however_it_is_written(written: str, card: str):
    short = find_short_name(written)
    assert short is not None
    assert short.card == card
    assert short.card in short.explain()
    assert short.why in short.explain()


def test_every_short_name_stands_for_a_card_whose_licence_is_known():
    cards = [find_card(short.card) for short in load_short_names().values()]
    assert len(cards) > 20
    assert {card.commercial for card in cards} == {"yes"}


def test_every_full_name_is_itself():
    assert all(parse_spec(name).name == name for name in load_catalogue())


@pytest.mark.parametrize("family", ["clip-b", "bit", "deit3", "vit", "resnet", "convnext", "dinov3-s", "eva02-s"])
def test_a_family_without_a_first_choice_has_no_short_name(family: str):
    assert find_short_name(family) is None


def test_multiply_adds_in_the_reasons_are_those_of_the_cards():
    for size in ("small", "base", "large", "giant"):
        name = f"vit_{size}_patch14_dinov2.lvd142m"
        short = find_short_name(f"dinov2-{size}")
        assert short is not None
        gmacs = [find_card(card).gmacs for card in (f"{name}@224", name)]
        assert [float(word.replace(",", "")) for word in short.why.split() if word[0].isdigit()][1::2] == pytest.approx(
            gmacs, rel=0.005
        )
