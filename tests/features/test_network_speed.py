"""How long networks take on this machine, and what the cache keeps of it."""

from pathlib import Path

import pytest

from vitrail.backbones import find_card
from vitrail.backbones.engines import EngineRequest, list_engines
from vitrail.core.resources import Resources
from vitrail.features.cache import list_cache, verify_cache
from vitrail.features.network_speed import FOLDER, read_speed, recall_or_measure

CARD = find_card("vit_mini")
ENGINES = [choice for choice in list_engines(EngineRequest()) if choice.device == "cpu"]


@pytest.mark.parametrize("choice", ENGINES, ids=lambda choice: f"{choice.name}-{choice.precision}")
def test_a_network_is_measured_once_with_each_engine(tmp_path: Path, choice):
    resources = Resources(cache=tmp_path, cores=1)
    measured = recall_or_measure(CARD, choice, resources)
    assert 0 < measured.ms < 1000
    assert measured.how == f"{choice.name} {choice.precision} on cpu, 1 thread"
    (file,) = (tmp_path / FOLDER).iterdir()
    before = file.read_bytes()
    assert recall_or_measure(CARD, choice, resources) == measured == read_speed(file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]  # no model of random weights stays


def test_other_threads_and_inputs_are_measured_apart(tmp_path: Path):
    for cores, name in ((1, "vit_mini"), (2, "vit_mini"), (1, "resnet_mini")):
        recall_or_measure(find_card(name), ENGINES[-1], Resources(cache=tmp_path, cores=cores))
    assert len(list((tmp_path / FOLDER).iterdir())) == 3


def test_a_damaged_file_is_measured_again_and_listed_as_damaged(tmp_path: Path):
    resources = Resources(cache=tmp_path, cores=1)
    recall_or_measure(CARD, ENGINES[-1], resources)
    (entry,) = list_cache(tmp_path)
    assert (entry.kind, entry.damaged, entry.details["network"]) == ("network speed", 0, "vit_mini")
    assert entry.what.startswith("vit_mini, ")
    (file,) = (tmp_path / FOLDER).iterdir()
    file.write_text(file.read_text().replace('"ms"', '"s"'))
    assert list(verify_cache(tmp_path)) == [(f"{FOLDER}/{file.name}", False)]
    assert list_cache(tmp_path)[0].damaged == 1
    again = recall_or_measure(CARD, ENGINES[-1], resources)
    assert read_speed(file) == again


def test_a_cache_that_cannot_be_written_is_measured_every_time(tmp_path: Path):
    (tmp_path / FOLDER).write_text("in the way")
    assert recall_or_measure(CARD, ENGINES[-1], Resources(cache=tmp_path, cores=1)).ms > 0
