"""What a card says of its cost is what a program counts."""

import json

import pytest
import torch

from tests.references import timm_net
from vitrail.backbones.cards import Card
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.counting import Counted, count, count_net

CATALOGUE = load_catalogue()


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_card_states_the_counted_costs_and_the_width_of_its_feature(name):
    card = CATALOGUE[name]
    counted = counted_once(card)
    assert card.feature_width == counted.width
    assert card.parameters == counted.parameters
    assert card.gmacs == pytest.approx(counted.gmacs, abs=5.1e-7)


ALREADY: dict[str, Counted] = {}


def counted_once(card: Card) -> Counted:
    """Cards of one network, which differ in their weights alone, are counted together."""
    key = json.dumps([card.network_facts(), card.preprocessing.crop], sort_keys=True)
    if key not in ALREADY:
        ALREADY[key] = count(card)
    return ALREADY[key]


PUBLISHED = {  # parameters and 1e9 multiply-adds, counted on timm 1.0.31's networks by the same counter
    "vit_tiny_patch16_224.augreg_in21k": (5_524_416, 1.254),
    "deit_small_patch16_224.fb_in1k": (21_665_664, 4.599),
    "vit_base_patch16_224.augreg_in21k": (85_798_656, 17.564),
    "vit_large_patch16_224.augreg_in21k": (303_301_632, 61.555),
    "vit_small_patch32_224.augreg_in21k": (22_493_952, 1.143),
    "vit_base_patch32_224.augreg_in21k": (87_455_232, 4.409),
    "vit_large_patch32_224.orig_in21k": (305_510_400, 15.378),
    "vit_large_patch16_224.orig_in21k": (303_301_632, 61.555),
    "vit_huge_patch14_224.orig_in21k": (630_764_800, 167.295),
    "resnet18.tv_in1k": (11_176_512, 1.814),
    "resnet34.tv_in1k": (21_284_672, 3.664),
    "resnet50.tv2_in1k": (23_508_032, 4.089),
    "resnet101.a1_in1k": (42_500_160, 7.801),
    "resnet152.a1_in1k": (58_143_808, 11.514),
    "resnetv2_50x1_bit.goog_in21k": (23_500_352, 4.089),
    "resnetv2_50x3_bit.goog_in21k": (211_174_080, 36.082),
    "resnetv2_101x1_bit.goog_in21k": (42_492_480, 7.801),
    "resnetv2_101x3_bit.goog_in21k": (381_789_888, 69.492),
    "resnetv2_152x2_bit.goog_in21k": (232_238_208, 45.814),
    "resnetv2_152x4_bit.goog_in21k": (928_340_224, 182.777),
    "resnetv2_50x1_bit.goog_in21k_ft_in1k": (23_500_352, 16.351),
    "resnetv2_50x3_bit.goog_in21k_ft_in1k": (211_174_080, 144.311),
    "resnetv2_101x1_bit.goog_in21k_ft_in1k": (42_492_480, 31.199),
    "resnetv2_101x3_bit.goog_in21k_ft_in1k": (381_789_888, 277.951),
    "resnetv2_152x2_bit.goog_in21k_ft_in1k": (232_238_208, 183.245),
    "resnetv2_152x4_bit.goog_in21k_ft_in1k": (928_340_224, 839.254),
    "vit_small_patch14_dinov2.lvd142m": (22_056_192, 46.697),
    "vit_base_patch14_dinov2.lvd142m": (86_579_712, 151.574),
    "vit_large_patch14_dinov2.lvd142m": (304_367_616, 506.804),
    "vit_giant_patch14_dinov2.lvd142m": (1_136_479_232, 1783.343),
    "vit_small_patch14_dinov2.lvd142m@224": (21_628_800, 6.124),
    "vit_base_patch14_dinov2.lvd142m@224": (85_724_928, 23.161),
    "vit_large_patch14_dinov2.lvd142m@224": (303_227_904, 81.012),
    "vit_giant_patch14_dinov2.lvd142m@224": (1_134_769_664, 299.390),
    "vit_small_patch14_reg4_dinov2.lvd142m": (22_057_344, 46.883),
    "vit_base_patch14_reg4_dinov2.lvd142m": (86_582_016, 152.116),
    "vit_large_patch14_reg4_dinov2.lvd142m": (304_370_688, 508.551),
    "vit_giant_patch14_reg4_dinov2.lvd142m": (1_136_483_840, 1789.222),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_cards_agree_with_what_was_counted_elsewhere(name):
    """Parameters to the last one; multiply-adds but for the classifier, which was counted there and is not here."""
    card, (parameters, gmacs) = CATALOGUE[name], PUBLISHED[name]
    assert card.parameters == parameters
    classifier = 0 if "dinov2" in name else 1000 * card.feature_width / 1e9
    assert card.gmacs + classifier == pytest.approx(gmacs, abs=5.1e-4)


NEWER = [name for name, card in CATALOGUE.items() if card.family in ("convnext", "dinov3", "eva02", "mobilenetv4")]
NETWORKS = {name.split(".")[0]: name for name in NEWER}  # weights of one network are counted once


@pytest.mark.parametrize("name", NETWORKS.values())
def test_costs_are_those_of_timms_network(name):
    """Parameters and multiply-adds to the last one, by the same counter on timm's network."""
    with torch.device("meta"):
        theirs = timm_net(name, num_classes=0)
    counted = count_net(theirs, side=CATALOGUE[name].preprocessing.crop)
    assert counted == counted_once(CATALOGUE[name])


@pytest.mark.parametrize("name", ["vit_small_patch16_224.augreg_in21k_ft_in1k", "resnet50.tv_in1k"])
def test_parameters_are_those_of_timm_without_its_classifier(name):
    assert CATALOGUE[name].parameters == sum(tensor.numel() for tensor in timm_net(name, num_classes=0).parameters())


def test_a_convolution_counted_by_hand_agrees():
    """ResNet-18's first convolution alone: 112 x 112 outputs, 64 x 3 x 7 x 7 products each."""
    from torch import device, nn, zeros
    from torch.utils.flop_counter import FlopCounterMode

    with device("meta"), FlopCounterMode(display=False) as counter:
        nn.Conv2d(3, 64, 7, stride=2, padding=3)(zeros(1, 3, 224, 224))
    assert counter.get_total_flops() / 2 == 112 * 112 * 64 * 3 * 7 * 7
