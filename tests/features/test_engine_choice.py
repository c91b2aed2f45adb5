"""Which engine a data set is settled on, by machines that differ, begin at once, or come later."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pictures import draw_folder
from vitrail.backbones import Backbone, BackboneSpec, EngineChoice, EngineRequest, open_backbone
from vitrail.backbones.engines import EngineTrial, TriedEngine, choose_engine
from vitrail.core.errors import UsageError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import Dataset, load, open_source
from vitrail.features import engine_choice
from vitrail.features.cache import choose, list_cache, remove
from vitrail.features.engine_choice import KnownEngine, read_choice, recall_or_try, settle_among, settle_engine

AUTO = EngineRequest()
FP32 = EngineChoice(name="openvino", precision="fp32", version="2026.4.1")
BF16 = replace(FP32, precision="bf16")
TORCH = EngineChoice(name="torch", precision="fp32", version="2.13.0")

openvino = pytest.mark.skipif(choose_engine("auto", "auto").name != "openvino", reason="needs OpenVINO")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return load(open_source(draw_folder(tmp_path_factory.mktemp("data") / "data")))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """A trial pays for the 36 images here."""
    monkeypatch.setattr(engine_choice, "PAYS_FROM", 36)


def backbone(name: str = "vit_mini") -> Backbone:
    return open_backbone(BackboneSpec(name=name), progress=Silent())


def figures(*choices: EngineChoice, fastest: EngineChoice) -> EngineTrial:
    """What a trial says of a machine that is fastest with one of these."""
    rows = tuple(
        TriedEngine(
            name=each.name, precision=each.precision, device="cpu", images_per_s=9.0 if each == fastest else 1.0
        )
        for each in choices
    )
    return EngineTrial(processor="AMD", threads=1, created="2026-11-29T15:43:08", seconds=1.0, tried=rows)


class Machine:
    """A machine that has some engines, and on which one of them is the fastest."""

    def __init__(self, cache: Path, *choices: EngineChoice, fastest: EngineChoice) -> None:
        self.resources = Resources(cache=cache, cores=1)
        self.choices, self.fastest, self.trials = choices, fastest, 0
        self.together: threading.Barrier | None = None

    def measure(self, backbone: Backbone, choices) -> KnownEngine:
        self.trials += 1
        if self.together:
            self.together.wait()
        return KnownEngine(
            backbone=backbone.name,
            engine=self.fastest.name,
            precision=self.fastest.precision,
            device="cpu",
            images=None,
            trial=figures(*self.choices, fastest=self.fastest),
        )

    def settle(self, dataset: Dataset, request: EngineRequest = AUTO) -> Backbone:
        return settle_among(backbone(), request, dataset, self.choices, self.measure, resources=self.resources)


def test_the_machine_that_begins_settles_the_engine_for_the_others(dataset, tmp_path):
    first = Machine(tmp_path, BF16, FP32, TORCH, fastest=BF16)
    other = Machine(tmp_path, FP32, BF16, TORCH, fastest=FP32)
    assert first.settle(dataset).engine == BF16
    settled = other.settle(dataset)
    assert (settled.engine, other.trials) == (BF16, 0)
    assert settled.trial == figures(BF16, FP32, TORCH, fastest=BF16)


def test_machines_that_begin_at_once_agree(dataset, tmp_path):
    machines = [Machine(tmp_path, BF16, FP32, fastest=fastest) for fastest in (BF16, FP32, BF16, FP32)]
    together = threading.Barrier(len(machines))
    found: list[EngineChoice] = []
    threads = []
    for machine in machines:
        machine.together = together
        threads.append(threading.Thread(target=lambda machine=machine: found.append(machine.settle(dataset).engine)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [machine.trials for machine in machines] == [1] * 4
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_machine_without_the_engine_of_the_data_set_says_so_and_how_to_go_on(dataset, tmp_path):
    Machine(tmp_path, BF16, FP32, fastest=BF16).settle(dataset)
    with pytest.raises(UsageError, match=r"with openvino bf16, chosen on AMD, .* `vitrail cache prune") as raised:
        Machine(tmp_path, FP32, TORCH, fastest=TORCH).settle(dataset)
    key = str(raised.value).rpartition("prune ")[2].rstrip("`.")
    remove(tmp_path, choose(list_cache(tmp_path), keys=[key], older_than_s=None, keep_bytes=None))
    assert Machine(tmp_path, FP32, TORCH, fastest=TORCH).settle(dataset).engine == TORCH


def test_a_data_set_is_settled_again_for_other_images_weights_or_requests_but_not_for_other_labels(dataset, tmp_path):
    first = Machine(tmp_path, BF16, FP32, TORCH, fastest=BF16)
    later = Machine(tmp_path, BF16, FP32, TORCH, fastest=TORCH)
    first.settle(dataset)
    relabelled = replace(dataset, fingerprint="another", table=dataset.table.drop_columns("label"))
    assert later.settle(relabelled).engine == BF16
    fewer = replace(dataset, table=dataset.table.slice(1))
    assert later.settle(fewer).engine == BF16  # too few for a trial: the default, which is the first
    assert later.settle(dataset, EngineRequest(precision="fp32")).engine == TORCH
    changed = replace(backbone(), digest="0" * 64)
    settled = settle_among(changed, AUTO, dataset, later.choices, later.measure, resources=later.resources)
    assert settled.engine == TORCH
    assert later.trials == 2


def test_few_images_take_the_default_and_keep_it_once_the_machine_has_been_measured(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_choice, "PAYS_FROM", 37)
    machine = Machine(tmp_path, BF16, FP32, fastest=FP32)
    settled = machine.settle(dataset)
    assert (settled.engine, settled.trial, machine.trials) == (BF16, None, 0)
    monkeypatch.setattr(engine_choice, "PAYS_FROM", 36)
    assert (machine.settle(dataset).engine, machine.trials) == (BF16, 0)


def test_a_complete_request_is_neither_tried_nor_remembered(dataset, tmp_path):
    machine = Machine(tmp_path, TORCH, fastest=TORCH)
    assert machine.settle(dataset, EngineRequest(engine="torch", precision="fp32")).engine == TORCH
    int8 = Machine(tmp_path, replace(FP32, precision="int8"), fastest=FP32)
    assert int8.settle(dataset, EngineRequest(precision="int8")).engine.precision == "int8"
    assert not list(tmp_path.iterdir())


EMPTY_TRIAL = (
    '{"version": 1, "backbone": "a", "engine": "torch", "precision": "fp32", "device": "cpu", "images": 36, "trial": '
    '{"processor": "", "threads": 1, "created": "", "seconds": 1, "tried": []}}'
)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1, "engine": "abacus"}', EMPTY_TRIAL])
def test_a_damaged_or_foreign_choice_is_listed_as_damaged_and_made_again(dataset, tmp_path, content):
    machine = Machine(tmp_path, BF16, FP32, fastest=FP32)
    machine.settle(dataset)
    (file,) = tmp_path.glob("engine-choices/*.json")
    good = file.read_text()
    file.write_text(content)
    (entry,) = list_cache(tmp_path)
    assert (entry.kind, entry.damaged) == ("engine", 1)
    assert machine.settle(dataset).engine == FP32
    assert (file.read_text(), machine.trials) == (good, 2)


def test_a_flipped_bit_in_a_figure_of_a_trial_is_noticed_and_the_engines_are_tried_again(dataset, tmp_path):
    machine = Machine(tmp_path, BF16, FP32, fastest=FP32)
    machine.settle(dataset)
    (file,) = tmp_path.glob("engine-choices/*.json")
    text = file.read_text()
    file.write_text(text.replace('"images": 36', '"images": 34'))
    assert file.read_text() != text
    assert read_choice(file) is None
    assert machine.settle(dataset).engine == FP32
    assert (file.read_text(), machine.trials) == (text, 2)


def test_a_cache_that_cannot_be_written_is_measured_each_time(dataset, tmp_path):
    (tmp_path / "engine-choices").write_text("in the way")
    machine = Machine(tmp_path, BF16, FP32, fastest=FP32)
    assert [machine.settle(dataset).engine for _ in range(2)] == [FP32, FP32]
    assert machine.trials == 2


@openvino
def test_a_real_trial_is_remembered_for_the_machine_listed_and_used_again(dataset, tmp_path, monkeypatch):
    resources = Resources(cache=tmp_path, cores=1)
    settled = settle_engine(backbone(), AUTO, dataset, resources=resources)
    assert settled.trial is not None
    entries = {int(entry.details["images"]): entry for entry in list_cache(tmp_path) if entry.kind == "engine"}
    assert sorted(entries) == [0, 36]
    chosen = f"{settled.engine.name} {settled.engine.precision}"
    assert entries[36].what.startswith(f"vit_mini on a data set of 36 images: {chosen} at ")
    assert entries[0].details[f"{chosen} images_per_s"] > 0
    os.utime(tmp_path / entries[0].path, (0, 0))
    monkeypatch.setattr(engine_choice, "try_engines", None)  # it is not called again
    known = recall_or_try(backbone(), engine_choice.list_engines(AUTO), resources=resources)
    assert known.trial == settled.trial
    assert (tmp_path / entries[0].path).stat().st_mtime > 0
    monkeypatch.setattr(engine_choice, "PAYS_FROM", 1_000)
    fewer = replace(dataset, table=dataset.table.slice(1))
    assert settle_engine(backbone(), AUTO, fewer, resources=resources).trial == settled.trial


@openvino
def test_a_trial_says_what_it_does_and_what_came_of_it(dataset, tmp_path):
    class Watching(Silent):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def start(self, task: str, *, total: int | None, unit: str) -> None:
            self.heard.append(task)

        def note(self, message: str) -> None:
            self.heard.append(message)

    progress = Watching()
    settled = settle_engine(backbone(), AUTO, dataset, resources=Resources(cache=tmp_path, cores=1, progress=progress))
    assert progress.heard[0] == "Trying engines for vit_mini"
    assert progress.heard[1].startswith(f"vit_mini runs on {settled.engine.name} {settled.engine.precision} at ")
