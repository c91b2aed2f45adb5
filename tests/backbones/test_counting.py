"""What a card says of its cost is what a program counts."""

import pytest

from tests.references import timm_net
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.counting import count

CATALOGUE = load_catalogue()


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_card_states_what_is_counted(name):
    card = CATALOGUE[name]
    counted = count(card)
    assert card.parameters == counted.parameters
    assert card.gmacs == pytest.approx(counted.gmacs, abs=5.1e-7)


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
