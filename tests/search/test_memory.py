import pytest

from tests.search.test_tune import planted
from vitrail.benchmark import bench
from vitrail.candidates import BenchOptions
from vitrail.core.errors import UsageError
from vitrail.core.machine import usable_memory
from vitrail.core.resources import Resources
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


def test_the_need_is_that_of_train_and_val_on_this_machine(monkeypatch):
    split = make_split(planted(2000)[1])[1]
    monkeypatch.setattr(memory, "usable_cores", lambda: 2)
    kept = len(split.train) + len(split.val)
    wanted = estimate_need(kept, width=24, classes=4, fits=2, memory=usable_memory())
    assert measure_need(split, width=24, classes=4) == wanted


def test_images_without_a_val_are_always_held(monkeypatch):
    monkeypatch.setattr(memory, "usable_memory", lambda: 1)
    split = make_split(planted(400)[1])[1]
    assert not split.val
    assert measure_need(split, width=24, classes=4).fits


def test_a_recipe_without_logistic_heads_is_refused_before_its_features_are_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "usable_memory", lambda: 10**6)
    monkeypatch.setattr("vitrail.candidates.opening.extract", lambda *_, **__: pytest.fail("images were read"))
    options = BenchOptions(recipes=("default", "deck"), engine="torch")
    with pytest.raises(UsageError, match=r"vit_mini\+deck.*softmax.*more memory"):
        bench(None, ["vit_mini"], out=tmp_path / "run", options=options, resources=Resources(cache=tmp_path))


def test_the_need_is_written_in_gibibytes():
    need = estimate_need(1_020_000, width=1280, classes=1000, fits=4, memory=8 * 2**30)
    assert "it may use 4.0, half" in str(need)
