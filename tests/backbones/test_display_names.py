"""Short names say the same as the full ones, and no two backbones of a run share one."""

from dataclasses import dataclass, replace

import pytest

from vitrail.backbones.cards import Card, of_local_file
from vitrail.backbones.catalogue import find_card, load_catalogue
from vitrail.backbones.display_names import display_names, shorten_names

LONGEST = 24  # characters; four columns of figures stand beside it at 80 columns


@dataclass(frozen=True)
class Named:
    """A backbone under its name in a run."""

    name: str
    card: Card


def short(name: str) -> str:
    """The short name of one card of the catalogue alone."""
    return display_names([find_card(name)])[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", "ViT-Ti/16 AugReg"),
        ("resnet50.a1_in1k", "ResNet50 A1"),
        ("resnet50.keras_in1k", "ResNet50 Keras"),
        ("deit_tiny_patch16_224.fb_in1k", "DeiT-Ti/16"),
        ("vit_small_patch14_dinov2.lvd142m", "DINOv2 S/14"),
        ("vit_small_patch14_reg4_dinov2.lvd142m@224", "DINOv2 S/14 reg @224"),
        ("vit_small_patch16_224.dino", "DINO S/16"),
        ("vit_base_patch32_clip_224.laion2b", "CLIP ViT-B/32 LAION-2B"),
        ("vit_base_patch16_siglip_224.webli", "SigLIP B/16"),
        ("resnetv2_50x1_bit.goog_in21k", "BiT R50x1"),
        ("convnext_tiny.fb_in22k", "ConvNeXt T"),
        ("convnext_nano.in12k_ft_in1k", "ConvNeXt nano 12k"),
        ("convnextv2_base.fcmae", "ConvNeXt V2 B FCMAE"),
        ("convnextv2_base.fcmae_ft_in22k_in1k", "ConvNeXt V2 B"),
        ("vit_small_plus_patch16_dinov3.lvd1689m", "DINOv3 S+/16"),
        ("convnext_tiny.dinov3_lvd1689m", "DINOv3 ConvNeXt T"),
        ("eva02_small_patch14_224.mim_in22k", "EVA-02 S/14"),
        ("mobilenetv4_conv_small.e2400_r224_in1k", "MobileNetV4 S"),
        ("vit_base_patch16_siglip_256.v2_webli", "SigLIP 2 B/16"),
        ("vit_mini", "vit_mini"),
    ],
)
def test_a_name_is_made_from_the_card(name: str, expected: str):
    assert short(name) == expected


def test_every_short_name_of_the_catalogue_is_short_and_unlike_the_others():
    catalogue = load_catalogue()
    names = display_names(catalogue.values())
    assert list(names) == list(catalogue)
    assert len(set(names.values())) == len(names)
    # With all cards in one run no name needs to be written in full.
    assert {name: shown for name, shown in names.items() if shown == name and len(name) > LONGEST} == {}
    alone = {name: short(name) for name in catalogue}
    assert {name: shown for name, shown in alone.items() if len(shown) > LONGEST} == {}


def test_equal_names_get_their_pretraining_and_then_the_full_name():
    both = ["vit_tiny_patch16_224.augreg_in21k", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"]
    assert display_names([find_card(name) for name in both]) == {
        both[0]: "ViT-Ti/16 AugReg 21k",
        both[1]: "ViT-Ti/16 AugReg 21k+1k",
    }
    masked = ["convnextv2_tiny.fcmae_ft_in1k", "convnextv2_tiny.fcmae_ft_in22k_in1k"]
    assert list(display_names([find_card(name) for name in masked]).values()) == [
        "ConvNeXt V2 T 1k+1k",
        "ConvNeXt V2 T 1k+21k+1k",
    ]
    sizes = ["vit_base_patch16_siglip_224.v2_webli", "vit_base_patch16_siglip_256.v2_webli"]
    assert list(display_names([find_card(name) for name in sizes]).values()) == [
        "SigLIP 2 B/16 224 px",
        "SigLIP 2 B/16 256 px",
    ]
    unknown = [of_local_file(find_card(name), "0" * 64) for name in ("resnet50.tv_in1k", "resnet50.a1_in1k")]
    assert list(display_names(unknown).values()) == ["ResNet50 TV local", "ResNet50 A1 local"]


def test_names_that_no_stage_tells_apart_stay_full():
    same = [replace(find_card("resnet50.a1_in1k"), name=name) for name in ("resnet50.a1_one", "resnet50.a1_two")]
    assert display_names(same) == {card.name: card.name for card in same}


def test_an_unknown_file_is_not_said_to_be_the_published_weights():
    card = of_local_file(find_card("resnet50.tv_in1k"), "0" * 64)
    assert display_names([card]) == {card.name: "ResNet50 local"}
    deit = of_local_file(find_card("deit_tiny_patch16_224.fb_in1k"), "0" * 64)
    assert display_names([deit]) == {deit.name: "DeiT-Ti/16 local"}


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224.augreg_in21k_ft_in1k", "resnet50.a1_in1k"])
def test_a_card_of_a_damaged_file_keeps_its_full_name(name: str):
    card = replace(find_card(name), variant={})
    assert display_names([Named(name, card)]) == {name: name}


def test_a_second_recipe_is_part_of_the_name():
    card = find_card("resnet50.a1_in1k")
    results = [Named(card.name, card), Named(f"{card.name}+deck", card)]
    assert display_names(results) == {card.name: "ResNet50 A1", f"{card.name}+deck": "ResNet50 A1+deck"}


def test_names_of_other_libraries_lose_library_owner_and_tag():
    timm = replace(find_card("resnet50.a1_in1k"), name="timm:convnext_tiny.fb_in1k", family="timm")
    other = replace(timm, name="timm:convnext_tiny.in12k")
    repository = replace(timm, name="hf:facebook/dinov2-small", family="hf")
    assert display_names([timm, repository]) == {timm.name: "convnext_tiny", repository.name: "dinov2-small"}
    assert display_names([timm, other]) == {timm.name: "convnext_tiny.fb_in1k", other.name: "convnext_tiny.in12k"}


def test_sentences_get_the_short_names_of_whole_names_only():
    names = {"resnet50.a1_in1k": "ResNet50 A1", "resnet50.a1_in1k+deck": "ResNet50 A1+deck", "vit_mini": "vit_mini"}
    sentence = "resnet50.a1_in1k beats resnet50.a1_in1k+deck's head: take resnet50.a1_in1k."
    assert shorten_names(sentence, names) == "ResNet50 A1 beats ResNet50 A1+deck's head: take ResNet50 A1."
    kept = "-b resnet50.a1_in1k=w.safetensors from timm/resnet50.a1_in1k, not resnet50.a1_in1k2"
    assert shorten_names(kept, names) == kept
    assert shorten_names("vit_mini", {}) == "vit_mini"
