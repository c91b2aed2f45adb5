"""Every card builds its network."""

import json
from dataclasses import replace

import pytest
import torch

from vitrail.backbones.build import CLASSIFIER, build_net, classes_in
from vitrail.backbones.catalogue import load_catalogue

CATALOGUE = load_catalogue()


# Cards that differ in their weights alone build the same network, which is looked at once.
NETWORKS = {
    json.dumps([card.network_facts(), card.preprocessing.crop, card.classifier_classes], sort_keys=True): name
    for name, card in CATALOGUE.items()
}


@pytest.mark.parametrize("name", list(NETWORKS.values()))
def test_every_card_builds_with_a_classifier_of_its_classes(name):
    """The width of its feature is looked at in test_counting.py, where each network runs."""
    card = CATALOGUE[name]
    with torch.device("meta"):
        net = build_net(card)
    assert classes_in(card, net.state_dict()) == card.classifier_classes


@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
def test_the_classifier_comes_after_the_feature(name):
    card = CATALOGUE[name]
    net = build_net(card, classes=7).eval()
    image_BCHW = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        last = net.get_submodule(CLASSIFIER[card.family])
        torch.testing.assert_close(net(image_BCHW), last(net.forward_features(image_BCHW)))


def test_a_transformer_without_a_rule_for_its_positions_is_refused():
    with pytest.raises(ValueError, match=r"vit_mini.*positions?"):
        build_net(replace(CATALOGUE["vit_mini"], positions=None))


@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
@pytest.mark.parametrize("classes", [0, 7])
def test_classes_can_be_chosen_and_counted(name, classes):
    net = build_net(CATALOGUE[name], classes=classes)
    assert classes_in(CATALOGUE[name], net.state_dict()) == classes
