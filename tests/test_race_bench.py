"""`vitrail bench DATA` whose candidates race: results, report, terminal, verify, and a run that was stopped."""

import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.pictures import draw_folder
from tests.test_automatic_bench import SEARCH
from vitrail.backbones import find_card
from vitrail.backbones.build import build_net
from vitrail.benchmark import bench
from vitrail.candidates import BenchOptions, run_race
from vitrail.candidates.shortlist import ShortlistOptions
from vitrail.checks.verify import verify_run
from vitrail.core.machine import cache_folder
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.features.one_pass import Computed

RANDOM = ("mobilenetv4_conv_small.e2400_r224_in1k", "convnext_atto.d2_in1k")
# In float32 no further rows are computed to compare a reduced precision.
OPTIONS = BenchOptions(search=SEARCH, shortlist=ShortlistOptions(candidates=4), margin=0.1, precision="fp32")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("pictures"), per_class=220)


@pytest.fixture
def four_weights(mini_weights: Path) -> Path:
    """Our two small backbones and two networks with random weights."""
    torch.manual_seed(0)
    for name in RANDOM:
        save_file(build_net(find_card(name), classes=1000).state_dict(), mini_weights / f"{name}.safetensors")
    return mini_weights


class Watching(Silent):
    """Keeps notes; stops like Ctrl-C after so many rows of the race."""

    def __init__(self, stop_after: float = math.inf) -> None:
        self.lines: list[str] = []
        self.rows_left = stop_after

    def note(self, message: str) -> None:
        self.lines.append(message)

    def advance(self, task: str, amount: int = 1) -> None:
        if task.startswith("Race"):
            self.rows_left -= amount
            if self.rows_left < 0:
                raise KeyboardInterrupt


@pytest.mark.slow
def test_candidates_race_and_a_run_that_was_stopped_ends_the_same(data, four_weights, tmp_path, monkeypatch):
    computed: Counter[str] = Counter()
    add = Computed.add

    def count(self, batch):
        computed.update(batch.items)
        add(self, batch)

    monkeypatch.setattr(Computed, "add", count)
    monkeypatch.setattr(run_race, "LEAST_TRAIN", 500)  # for a test that ends soon

    def run(progress):
        resources = Resources(weights_dir=four_weights, offline=True, progress=progress)
        return bench(data, out=tmp_path / "run", options=OPTIONS, resources=resources)

    with pytest.raises(KeyboardInterrupt):
        run(Watching(stop_after=100))
    watching = Watching()
    results = run(watching).results
    held = results.race
    assert held is not None
    assert len(held.candidates) == 4
    assert held.out
    assert [result.name for result in results.backbones] == list(held.outcome.finalists)
    assert set(held.claims) <= set(watching.lines)
    assert results.cost.parts["race"] > 0
    assert computed.total() == sum(runner.images for runner in held.candidates)
    assert held.saved_gmacs > 0
    verified = verify_run(tmp_path / "run", cache=cache_folder())
    assert verified.differences == ()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The race of the candidates" in page
    assert all(name in page.replace("<wbr>", "") for name in held.out)


@pytest.mark.slow
def test_without_enough_training_images_all_candidates_get_the_whole_pass(four_weights, tmp_path):
    few = draw_folder(tmp_path / "few", per_class=20)
    watching = Watching()
    resources = Resources(weights_dir=four_weights, offline=True, progress=watching)
    results = bench(few, out=tmp_path / "run", options=OPTIONS, resources=resources).results
    assert results.race is None
    assert len(results.backbones) == 4
    assert any("training images are too few" in line for line in watching.lines)
