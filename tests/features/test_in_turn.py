"""Networks in turn: the rows are those of one pass, images are decoded once, and one network is there at a time."""

import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.features.test_pipeline import Tasks, all_rows, run
from tests.pictures import draw_folder
from vitrail.backbones import Backbone, BackboneSpec, open_backbone
from vitrail.core.errors import StoreError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import load, open_source
from vitrail.features import Extraction, extract, in_turn, open_images, stream, take_turns
from vitrail.features.store import FeatureSet

NAMES = ("vit_mini", "resnet_mini")


def run_turns(data: Path, cache: Path, *names: str, progress=None, engine="torch") -> Extraction:
    dataset, resources = load(open_source(data)), Resources(cache=cache, cores=2, progress=progress or Silent())
    backbones = [open_backbone(BackboneSpec(name=name), engine=engine, progress=Silent()) for name in names]
    fill_rows = take_turns(dataset, "Turns", max_pixels=10**8, resources=resources)
    return extract(dataset, backbones, max_pixels=10**8, resources=resources, fill_rows=fill_rows)


@pytest.fixture
def decoded(monkeypatch) -> Counter[bytes]:
    """How often the bytes of each image were decoded."""
    counts, decode = Counter[bytes](), open_images.decode_for

    def count(data, *arguments, **options):
        counts[data] += 1
        return decode(data, *arguments, **options)

    monkeypatch.setattr(open_images, "decode_for", count)
    return counts


@pytest.mark.parametrize("engine", ["torch", "auto"])
@pytest.mark.parametrize("block_bytes", [1, 200_000, 1 << 30])
def test_the_rows_are_those_of_one_pass_and_each_image_is_decoded_once(
    tmp_path: Path, monkeypatch, decoded, engine: str, block_bytes: int
):
    data = draw_folder(tmp_path / "data")
    monkeypatch.setattr(in_turn, "usable_memory", lambda: in_turn.BLOCK_SHARE * block_bytes)
    turns = run_turns(data, tmp_path / "turns", *NAMES, engine=engine)
    assert set(decoded.values()) == {1}
    assert [features.cost.computed for features in turns.features] == [36, 36]
    assert all(features.cost.decode_s > 0 for features in turns.features)
    assert sum(features.cost.decode_s for features in turns.features) == pytest.approx(turns.decode_s)
    one_pass = run(data, tmp_path / "pass", *NAMES, engine=engine)
    for mine_ND, its_ND in zip(all_rows(turns), all_rows(one_pass), strict=True):
        np.testing.assert_allclose(mine_ND, its_ND, rtol=0, atol=1e-3 * np.abs(its_ND).max())


def test_one_network_is_in_memory_at_a_time(tmp_path: Path, monkeypatch):
    start, started = Backbone.start, list[weakref.ref]()

    def watch(backbone, **options):
        assert all(network() is None for network in started)
        engine = start(backbone, **options)
        started.append(weakref.ref(engine))
        return engine

    monkeypatch.setattr(Backbone, "start", watch)
    run_turns(draw_folder(tmp_path / "data"), tmp_path / "cache", *NAMES)
    assert len(started) == 2


def test_only_what_is_missing_is_decoded_and_computed(tmp_path: Path, decoded):
    data, cache, tasks = draw_folder(tmp_path / "data"), tmp_path / "cache", Tasks()
    run(data, cache, "vit_mini")
    decoded.clear()
    draw_folder(data, per_class=2, seed=1)
    turns = run_turns(data, cache, *NAMES, progress=tasks)
    assert [features.cost.computed for features in turns.features] == [6, 42]
    assert set(decoded.values()) == {1}
    assert tasks.begun == ["Turns"]
    assert not tasks.open
    decoded.clear()
    assert run_turns(data, cache, *NAMES).decode_s == 0
    assert not decoded


def test_an_image_that_cannot_be_decoded_is_named_and_counted_as_done(tmp_path: Path):
    data = draw_folder(tmp_path / "data")
    cut = data / "red" / "000-0.png"
    cut.write_bytes(cut.read_bytes()[:-800])

    class Rows(Silent):
        total = done_rows = 0

        def start(self, task: str, *, total: int | None, unit: str) -> None:
            self.total += total or 0

        def advance(self, task: str, amount: int = 1) -> None:
            self.done_rows += amount

    rows = Rows()
    turns = run_turns(data, tmp_path / "cache", *NAMES, progress=rows)
    assert [aside.path for aside in turns.set_aside] == ["red/000-0.png"]
    assert [len(features.stored) for features in turns.features] == [35, 35]
    assert rows.total == rows.done_rows == 72


def test_turns_that_are_stopped_keep_what_was_computed(tmp_path: Path, monkeypatch):
    data, cache = draw_folder(tmp_path / "data", per_class=100), tmp_path / "cache"
    compute, calls = stream.Network.compute, list[int]()

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stream.Network, "compute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_turns(data, cache, *NAMES)
    resumed = run_turns(data, cache, *NAMES)
    assert 0 < sum(features.cost.computed for features in resumed.features) < 600
    assert all(len(features.stored) == 300 for features in resumed.features)


def test_rows_that_float16_cannot_hold_are_kept_in_float32(tmp_path: Path, monkeypatch):
    compute = stream.Network.compute
    monkeypatch.setattr(stream.Network, "compute", lambda *arguments: compute(*arguments) * np.float32(1e6))
    turns = run_turns(draw_folder(tmp_path / "data", per_class=4), tmp_path / "cache", *NAMES)
    assert [features.stored.storage for features in turns.features] == ["float32"] * 2
    assert [len(features.stored) for features in turns.features] == [12, 12]


def test_rows_that_cannot_be_written_are_an_error_once_and_end_every_task(tmp_path: Path, monkeypatch):
    tries, tasks = list[int](), Tasks()

    def refuse(stored: FeatureSet, *rows) -> None:
        tries.append(1)
        raise StoreError("the disk is full")

    monkeypatch.setattr(FeatureSet, "seal", refuse)
    with pytest.raises(StoreError, match="the disk is full"):
        run_turns(draw_folder(tmp_path / "data", per_class=100), tmp_path / "cache", *NAMES, progress=tasks)
    assert len(tries) == 1
    assert not tasks.open
