import numpy as np
import pytest

from vitrail.backbones.poolings import components_of, join_poolings, take_pooling
from vitrail.core.errors import UsageError

HELD_ND = np.arange(12, dtype=np.float32).reshape(2, 6)  # two rows of "cls+mean", each three wide


def test_every_pooling_is_taken_from_what_holds_its_components():
    np.testing.assert_array_equal(take_pooling(HELD_ND, held="cls+mean", wanted="cls"), HELD_ND[:, :3])
    np.testing.assert_array_equal(take_pooling(HELD_ND, held="cls+mean", wanted="mean"), HELD_ND[:, 3:])
    np.testing.assert_array_equal(take_pooling(HELD_ND, held="cls+mean", wanted="cls+mean"), HELD_ND)
    swapped_ND = np.concatenate([HELD_ND[:, 3:], HELD_ND[:, :3]], axis=1)
    np.testing.assert_array_equal(take_pooling(HELD_ND, held="cls+mean", wanted="mean+cls"), swapped_ND)


def test_stored_features_hold_each_component_once():
    assert join_poolings(["cls", "mean", "cls+mean"]) == "cls+mean"
    assert join_poolings(["mean"]) == "mean"
    assert components_of("cls+mean") == ("cls", "mean")


def test_a_pooling_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="map"):
        take_pooling(HELD_ND, held="cls+mean", wanted="cls+map")
