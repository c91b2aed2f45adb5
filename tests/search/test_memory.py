import numpy as np
import pytest

from tests.search.test_tune import planted
from vitrail.core.machine import usable_memory
from vitrail.data import make_split
from vitrail.search import memory
from vitrail.search.memory import estimate_need, measure_need

LAPTOP = 8 * 10**9


@pytest.mark.parametrize(
    ("rows", "width", "classes", "fits"),
    [(1600, 384, 20, True), (16_000, 768, 120, True), (100_000, 1280, 1000, False), (1_020_000, 1280, 1000, False)],
    ids=["small", "dogs", "a tenth of ImageNet", "ImageNet"],
)
def test_a_laptop_holds_thousands_of_rows_and_not_imagenet(rows, width, classes, fits):
    need = estimate_need(rows, width=width, classes=classes, fits=4, memory=LAPTOP)
    assert need.fits is fits
    assert need.allowed == LAPTOP / 2


def test_the_border_is_half_of_the_memory():
    needed = estimate_need(1000, width=100, classes=10, fits=2, memory=0).needed
    assert estimate_need(1000, width=100, classes=10, fits=2, memory=2 * needed).fits
    assert not estimate_need(1000, width=100, classes=10, fits=2, memory=2 * needed - 2).fits


def test_more_of_anything_needs_more():
    plain = {"width": 100, "classes": 10, "fits": 2}
    least = estimate_need(1000, **plain, memory=0).needed
    assert estimate_need(1001, **plain, memory=0).needed > least
    for name in plain:
        assert estimate_need(1000, **plain | {name: plain[name] + 1}, memory=0).needed > least


def test_the_need_is_that_of_train_and_val_in_the_widest_pooling(monkeypatch):
    rows, dataset = planted(2000, D=12)
    dataset, split, _ = make_split(dataset)

    class TwoPoolings(type(rows)):
        def pooled(self, pooling):
            twice = {id_: np.tile(row, 2) for id_, row in self.feature.items()}
            return type(rows)(twice) if pooling == "wide" else self

    monkeypatch.setattr(memory, "usable_cores", lambda: 2)
    need = measure_need(TwoPoolings(rows.feature, poolings=("own", "wide")), split, classes=4)
    kept = len(split.train) + len(split.val)
    assert need == estimate_need(kept, width=24, classes=4, fits=2, memory=usable_memory())


def test_it_is_said_in_gibibytes():
    need = estimate_need(1_020_000, width=1280, classes=1000, fits=4, memory=8 * 2**30)
    assert "it may take 4.0, half" in str(need)
