"""Every card builds its network."""

import pytest
import torch

from vitrail.backbones.build import build_net, classes_in
from vitrail.backbones.catalogue import load_catalogue

CATALOGUE = load_catalogue()


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_card_builds_and_gives_a_feature_of_its_width(name):
    card = CATALOGUE[name]
    side = card.preprocessing.crop
    with torch.device("meta"), torch.inference_mode():
        net = build_net(card).eval()
        image_BCHW = torch.empty(2, 3, side, side)
        assert net.forward_features(image_BCHW).shape == (2, card.feature_width)
        assert net(image_BCHW).shape == (2, card.classifier_classes or card.feature_width)


@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
@pytest.mark.parametrize("classes", [0, 7])
def test_classes_can_be_chosen_and_counted(name, classes):
    net = build_net(CATALOGUE[name], classes=classes)
    assert classes_in(CATALOGUE[name], net.state_dict()) == classes
