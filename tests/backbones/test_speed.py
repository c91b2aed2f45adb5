"""The speed of this machine."""

import pytest

from vitrail.backbones import find_card
from vitrail.backbones.engines import choose_engine
from vitrail.backbones.speed import kind_of, measure_speed, say_how


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnetv2_152x4_bit.goog_in21k", "convolutional"),
        ("resnet50.tv_in1k", "convolutional"),
        ("vit_large_patch16_224.orig_in21k", "transformer"),
        ("vit_large_patch14_clip_quickgelu_224.openai", "transformer"),
    ],
)
def test_a_network_is_timed_by_one_of_its_kind(name, kind):
    assert kind_of(find_card(name)) == kind


def test_a_speed_names_its_network_and_how_it_ran():
    speed = measure_speed("transformer", threads=1)
    assert speed.network == "vit_small_patch16_224.augreg_in21k"
    assert speed.gmacs_per_s > 0
    assert speed.how == say_how(choose_engine("auto", "auto"), 1)
