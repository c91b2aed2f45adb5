import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitrail.backbones import Backbone, BackboneSpec, open_backbone
from vitrail.backbones.engines import choose_engine
from vitrail.core.progress import Silent
from vitrail.features import pace
from vitrail.features.cache import list_cache
from vitrail.features.pace import start_at_pace

pytestmark = pytest.mark.skipif(choose_engine("auto", "auto").name != "openvino", reason="needs OpenVINO")


class Clocked:
    """An engine with batches that count, and a rate that the test sets."""

    def __init__(self, batch: int) -> None:
        self.batch, self.streams = batch, 2

    def __call__(self, pixel_BHWC: np.ndarray) -> np.ndarray:
        return np.zeros((len(pixel_BHWC), 1), np.float32)


@pytest.fixture
def started(monkeypatch) -> list[int | None]:
    """Every batch that a backbone was started with; 4 is the fastest, 2 all but as fast."""
    batches: list[int | None] = []

    def start(self, *, threads, pooling, batch=None):
        batches.append(batch)
        return Clocked(batch or 4)

    rates = {1: 50.0, 2: 99.0, 4: 100.0, 8: 80.0, 16: 70.0, 32: 60.0}
    monkeypatch.setattr(Backbone, "start", start)
    monkeypatch.setattr(pace, "_rate", lambda engine, count, crop: rates[engine.batch])
    return batches


def backbone(engine: str = "auto") -> Backbone:
    return open_backbone(BackboneSpec(name="vit_mini"), engine=engine, progress=Silent())


def test_the_smallest_batch_near_the_fastest_is_chosen_once_and_remembered(tmp_path: Path, started):
    how = {"images": 5_000, "threads": 2, "pooling": "cls", "cache": tmp_path}
    assert start_at_pace(backbone(), **how).batch == 2
    assert started == [1, 2, 4, 8, 16, 2]
    assert start_at_pace(backbone(), **how).batch == 2
    assert started[6:] == [2]
    other = replace(backbone(), engine=replace(backbone().engine, precision="int8"))
    start_at_pace(other, **how)
    assert started[7:] == [1, 2, 4, 8, 16, 2]


def test_remembered_batches_are_listed_last_used_first_and_use_updates_the_order(tmp_path: Path, started):
    assert list_cache(tmp_path) == []
    how = {"images": 5_000, "threads": 2, "pooling": "cls", "cache": tmp_path}
    start_at_pace(backbone(), **how)
    (first,) = list_cache(tmp_path)
    assert first.details == {"backbone": "vit_mini", "batch": 2, "images_per_s": 99.0}
    assert first.bytes == (tmp_path / first.path).stat().st_size
    os.utime(tmp_path / first.path, (0, 0))
    (tmp_path / "pace" / "other.json").write_text("{")
    assert [(entry.key, entry.damaged) for entry in list_cache(tmp_path)] == [("other", 1), (first.key, 0)]
    os.utime(tmp_path / "pace" / "other.json", (1, 1))
    start_at_pace(backbone(), **how)
    assert list_cache(tmp_path)[0].key == first.key


def test_a_flipped_bit_in_a_remembered_rate_is_noticed_and_measured_again(tmp_path: Path, started):
    how = {"images": 5_000, "threads": 2, "pooling": "cls", "cache": tmp_path}
    start_at_pace(backbone(), **how)
    (file,) = (tmp_path / "pace").iterdir()
    text = file.read_text()
    file.write_text(text.replace("99.0", "98.0"))
    assert [entry.damaged for entry in list_cache(tmp_path)] == [1]
    start_at_pace(backbone(), **how)
    assert file.read_text() == text


@pytest.mark.parametrize("content", ["{", "[]", '{"batch": 3}', '{"batch": "4"}', "{}"])
def test_an_invalid_remembered_batch_is_measured_again(tmp_path: Path, started, content: str):
    how = {"images": 5_000, "threads": 2, "pooling": "cls", "cache": tmp_path}
    start_at_pace(backbone(), **how)
    (file,) = tmp_path.glob("pace/*.json")
    file.write_text(content)
    assert start_at_pace(backbone(), **how).batch == 2
    assert json.loads(file.read_text())["batch"] == 2


def test_few_images_and_torch_are_not_measured(tmp_path: Path, started):
    how = {"threads": 2, "pooling": "cls", "cache": tmp_path}
    start_at_pace(backbone(), images=pace.PAYS_FROM - 1, **how)
    start_at_pace(backbone("torch"), images=5_000, **how)
    assert started == [None, None]
    assert not list(tmp_path.iterdir())


def test_a_remembered_batch_is_taken_for_an_unknown_number_of_images(tmp_path: Path, started):
    how = {"threads": 2, "pooling": "cls", "cache": tmp_path}
    start_at_pace(backbone(), images=5_000, **how)
    started.clear()
    start_at_pace(backbone(), images=0, **how)
    assert started == [2]


def test_a_pass_too_short_to_measure_for_is_not_measured(tmp_path: Path, started, monkeypatch):
    how = {"threads": 2, "pooling": "cls", "cache": tmp_path}
    monkeypatch.setattr(pace, "PAYS_FROM_S", 24.1)  # 1,205 images at the 50 a second of the smallest batch
    start_at_pace(backbone(), images=1_200, **how)
    assert started == [1, None]
    assert not list(tmp_path.iterdir())
    start_at_pace(backbone(), images=1_210, **how)
    assert started[2:] == [1, 2, 4, 8, 16, 2]


def test_a_real_measurement_leads_to_an_engine(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(pace, "PAYS_FROM_S", 0.0)
    monkeypatch.setattr(pace, "BATCHES", (1, 2))
    engine = start_at_pace(backbone(), images=5_000, threads=1, pooling="cls", cache=tmp_path)
    assert engine.batch in (1, 2)
    assert engine(np.zeros((3, 32, 32, 3), np.uint8)).shape == (3, 128)
