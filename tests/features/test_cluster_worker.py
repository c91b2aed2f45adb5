import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import draw_folder
from vitrail.backbones import Backbone, BackboneSpec, EngineRequest, open_backbone
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import Dataset, load, open_source
from vitrail.features import extract
from vitrail.features.by_id import Paths
from vitrail.features.cluster import _seen_by_all
from vitrail.features.cluster_worker import DEATHS, Job, MachineReport, Worker, inspect_machine


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return load(open_source(draw_folder(tmp_path / "data")))


def job(tmp_path: Path, dataset: Dataset, **other) -> Job:
    (tmp_path / "job").mkdir(exist_ok=True)
    return replace(
        Job(
            data_dir=None,
            folder=tmp_path / "job",
            data=str(tmp_path / "data"),
            cache=tmp_path / "cache",
            max_pixels=10**8,
            batch=None,
            offline=True,
            range_images=dataset.table.slice(0, 0),
        ),
        **other,
    )


def backbone(**other) -> Backbone:
    return replace(open_backbone(BackboneSpec(name="vit_mini"), progress=Silent()), **other)


def inspect(tmp_path: Path, dataset: Dataset, *, work: Job, **other) -> MachineReport | str:
    options = {
        "example": dataset.table["id"][0].as_py(),
        "path": dataset.table["paths"][0][0].as_py(),
        "request": EngineRequest(),
        "vitrail": version("vitrail"),
    }
    return inspect_machine(work, **(options | other))


def test_a_named_data_set_has_the_same_name_on_every_machine(tmp_path, dataset):
    named = job(tmp_path, dataset, data=_seen_by_all("pets"))
    assert named.data == "dataset:oxford-pets"
    assert named.open_source().name == "oxford-pets"
    assert "images.tar.gz of oxford-pets is not on this machine" in inspect(tmp_path, dataset, work=named)


def test_a_machine_that_sees_everything_says_what_it_would_run(tmp_path, dataset):
    report = inspect(tmp_path, dataset, work=job(tmp_path, dataset))
    assert isinstance(report, MachineReport)
    assert report.engines[0] == backbone().engine


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"vitrail": "0.0.1"}, "install the same version on every machine"),
        ({"example": "00"}, "has other content there"),
        ({"path": "red/none.png"}, "a folder that all machines share at the same path"),
        ({"request": EngineRequest(engine="torch", precision="int8")}, "int8 needs the engine openvino"),
    ],
)
def test_a_machine_that_lacks_something_says_what(tmp_path, dataset, other, words):
    assert words in inspect(tmp_path, dataset, work=job(tmp_path, dataset), **other)


def test_a_cache_that_is_another_here_is_named(tmp_path, dataset):
    apart = job(tmp_path, dataset, folder=tmp_path / "cache" / ".cluster-1")
    assert "set VITRAIL_CACHE to a folder that all of them share" in inspect(tmp_path, dataset, work=apart)


def test_data_that_are_not_there_are_named(tmp_path, dataset):
    elsewhere = job(tmp_path, dataset, data=str(tmp_path / "elsewhere"))
    assert "There is nothing at" in inspect(tmp_path, dataset, work=elsewhere)


def test_blocks_give_the_rows_of_one_pass_and_say_what_became_of_them(tmp_path, dataset):
    cut = tmp_path / "data" / "red" / "000-0.png"
    cut.write_bytes(cut.read_bytes()[:-800])
    dataset = load(open_source(tmp_path / "data"))
    paths = Paths(dataset.table)
    worker = Worker(job(tmp_path, dataset), [backbone()], 36, 1)
    told = [
        json.loads(worker(paths.table(rows))["done"][0].as_py()) for rows in np.array_split(paths.reading_order(), 5)
    ]
    assert sum(one["advanced"]["Features of vit_mini"] for one in told) == 36
    assert [list(one["rejected"]) for one in told if one["rejected"]] == [
        [example for example in paths if paths[example] == ["red/000-0.png"]]
    ]
    whole = extract(
        dataset, [backbone()], max_pixels=10**8, resources=Resources(cache=tmp_path / "other", cores=1)
    ).features[0]
    blocks = extract(
        dataset, [backbone()], max_pixels=10**8, resources=Resources(cache=tmp_path / "cache", cores=1)
    ).features[0]
    ids = sorted(whole.stored.ids())
    assert (blocks.key, blocks.cost.computed) == (whole.key, 0)
    np.testing.assert_array_equal(blocks.rows(ids), whole.rows(ids))


def test_weights_that_lie_elsewhere_here_are_found_by_their_name(tmp_path, dataset):
    moved = backbone(file=tmp_path / "nowhere.safetensors")
    told = Worker(job(tmp_path, dataset), [moved], 36, 1)(Paths(dataset.table).table(np.arange(3)))
    assert json.loads(told["done"][0].as_py())["advanced"] == {"Features of vit_mini": 3}


def test_a_block_that_killed_several_workers_is_given_up_and_its_images_named(tmp_path, dataset):
    block = Paths(dataset.table).table(np.arange(3))
    first, path = block["id"][0].as_py(), block["paths"][0][0].as_py()
    worker = Worker(job(tmp_path, dataset), [backbone()], 36, 1)
    for number in range(DEATHS):
        assert json.loads(worker(block)["done"][0].as_py())["trouble"] == ""  # and it takes its own mark away
        (tmp_path / "job" / f"{first}.{number}").touch()
    told = json.loads(worker(block)["done"][0].as_py())
    assert told["kind"] == "ClusterError"
    assert f"4 workers died on the same 3 images (such as {path})" in told["trouble"]


def test_a_failure_is_a_sentence_in_the_result_of_every_block(tmp_path, dataset):
    other = backbone(file=tmp_path / "nowhere.safetensors", digest="00")
    worker = Worker(job(tmp_path, dataset), [other], 36, 1)
    block = Paths(dataset.table).table(np.arange(3))
    for _ in range(2):
        told = json.loads(worker(block)["done"][0].as_py())
        assert told["kind"] == "UsageError"
        assert "The weights of vit_mini are not at" in told["trouble"]
        assert "a file that all machines see" in told["trouble"]


def test_a_cache_that_cannot_be_written_is_reported_too(tmp_path, dataset):
    (tmp_path / "cache").write_text("a file where a folder should be")
    worker = Worker(job(tmp_path, dataset), [backbone(engine=replace(backbone().engine, name="torch"))], 36, 1)
    told = json.loads(worker(Paths(dataset.table).table(np.arange(3)))["done"][0].as_py())
    assert told["kind"] == "StoreError"
