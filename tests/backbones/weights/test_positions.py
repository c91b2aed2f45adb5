"""A table stored for another input size is brought to the card's, by the card's rule, and by no other."""

from dataclasses import replace

import pytest
import torch

from vitrail.backbones.build import build_net
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.weights import load_into
from vitrail.backbones.weights.positions import fit_positions
from vitrail.core.errors import WeightsError

MINI = find_card("vit_mini")
SMALLER = replace(
    MINI, variant={**MINI.variant, "stored": 32}, preprocessing=replace(MINI.preprocessing, resize=24, crop=24)
)


@pytest.mark.parametrize("rule", ["bicubic-antialias", "bicubic-offset"])
def test_the_network_of_the_smaller_size_sees_what_the_larger_one_sees_at_that_size(rule, tmp_path):
    large = build_net(replace(MINI, positions=rule), classes=0).eval()
    small = build_net(SMALLER, classes=0).eval()
    load_into(small, fit_positions(large.state_dict(), replace(SMALLER, positions=rule)), file=tmp_path)
    image_BCHW = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(small(image_BCHW), large(image_BCHW))


def test_the_class_token_keeps_its_row():
    state = build_net(MINI, classes=0).state_dict()
    assert torch.equal(fit_positions(state, SMALLER)["pos_embed"][:, 0], state["pos_embed"][:, 0])
    assert fit_positions(state, SMALLER)["pos_embed"].shape == (1, 37, 128)


def test_without_a_stored_size_a_table_of_another_size_is_refused(tmp_path):
    state, card = build_net(MINI, classes=0).state_dict(), replace(SMALLER, variant=MINI.variant)
    with pytest.raises(WeightsError, match="pos_embed"):
        load_into(build_net(card, classes=0), fit_positions(state, card), file=tmp_path)


def test_a_table_that_is_not_of_the_stored_size_is_refused(tmp_path):
    state, card = build_net(MINI, classes=0).state_dict(), replace(SMALLER, variant={**MINI.variant, "stored": 48})
    with pytest.raises(WeightsError, match="pos_embed"):
        load_into(build_net(card, classes=0), fit_positions(state, card), file=tmp_path)
