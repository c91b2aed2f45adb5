import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.search.test_tune import planted, uneven
from vitrail.benchmark import bench
from vitrail.candidates import BenchOptions
from vitrail.checks.verify import verify_run
from vitrail.core.errors import UsageError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import make_split
from vitrail.heads import probabilities
from vitrail.search import TuneOptions, memory, streamed, tune
from vitrail.search.streamed import map_examples

OPTIONS = TuneOptions(kinds=("logistic",), label_curves=False, splits=0)


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(memory, "usable_memory", lambda: 10**5)


class Noted(Silent):
    """Progress that remembers its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def split_of(N: int = 2000):
    rows, dataset = planted(N)
    sealed_dataset, split, _ = make_split(dataset)
    return rows, sealed_dataset, split


def test_digits_get_the_same_head_and_answers_from_disk_as_in_memory(tmp_path: Path, monkeypatch):
    resources = Resources(cache=tmp_path / "cache")
    options = BenchOptions(search=OPTIONS, engine="torch")
    in_memory = bench(None, ["resnet_mini"], out=tmp_path / "in-memory", options=options, resources=resources)
    monkeypatch.setattr(memory, "usable_memory", lambda: 10**6)
    from_disk = bench(None, ["resnet_mini"], out=tmp_path / "from-disk", options=options, resources=resources)
    one, other = (run.results.backbones[0] for run in (in_memory, from_disk))
    assert (one.search.streamed, other.search.streamed) == (False, True)
    assert other.search.winner.setting == one.search.winner.setting
    assert other.search.winner.val_nll == pytest.approx(one.search.winner.val_nll, abs=1e-3)
    assert other.search.trials == one.search.trials
    one_NC, other_NC = (
        np.log(run.predictions("resnet_mini").probability_NC) * run.results.backbones[0].search.temperature
        for run in (in_memory, from_disk)
    )
    one_NC, other_NC = (np.exp(log_NC) / np.exp(log_NC).sum(axis=1, keepdims=True) for log_NC in (one_NC, other_NC))
    np.testing.assert_allclose(other_NC, one_NC, atol=0.005)  # before the temperature, which is another's
    assert other.search.temperature == pytest.approx(one.search.temperature, rel=0.1)
    assert other.search.few_shot[0].mean == pytest.approx(one.search.few_shot[0].mean, abs=0.05)
    assert verify_run(from_disk.folder, cache=resources.cache).differences == ()


def test_a_balanced_search_from_disk_is_the_one_in_memory(monkeypatch):
    rows, dataset = uneven(2400)
    sealed_dataset, split, _ = make_split(dataset)
    options = replace(OPTIONS, strengths=(1e-3, 1e-2, 1e-1), scalings=("standardise",))
    in_memory, plain = (
        tune(rows, split, sealed_dataset, replace(options, balanced=balanced)) for balanced in (True, False)
    )
    monkeypatch.setattr(memory, "usable_memory", lambda: 10**5)
    from_disk = tune(rows, split, sealed_dataset, replace(options, balanced=True))
    assert from_disk.streamed
    assert from_disk.winner.setting == in_memory.winner.setting
    assert from_disk.winner.val_nll == pytest.approx(in_memory.winner.val_nll, abs=1e-3)
    assert from_disk.winner.val_nll != pytest.approx(plain.winner.val_nll, abs=1e-2)
    assert from_disk.head.temperature == pytest.approx(in_memory.head.temperature, rel=0.2)
    found, wanted, other = (
        probabilities(search.head, rows.rows(split.test)) for search in (from_disk, in_memory, plain)
    )
    assert np.abs(found - wanted).mean() < 0.02 < np.abs(other - wanted).mean()


def test_the_result_and_the_terminal_say_what_was_done_and_what_was_left_out(little_memory):
    rows, dataset, split = split_of()
    progress = Noted()
    search = tune(rows, split, dataset, replace(OPTIONS, kinds=("logistic", "knn", "mlp"), splits=10), progress)
    assert search.streamed
    assert search.notes == tuple(progress.notes)
    (note,) = search.notes
    assert "read from disk" in note
    assert "half of the memory of this process" in note
    assert f"{len(split.val):,} of {len(split.val):,} val images" in note
    assert "Not tried: knn heads, mlp heads, other splits of train and val." in note
    assert {trial.kind for trial in search.trials} == {"logistic"}


def test_kinds_without_logistic_heads_are_refused_in_a_sentence(little_memory):
    rows, dataset, split = split_of()
    with pytest.raises(UsageError, match=r"softmax.*more memory"):
        tune(rows, split, dataset, replace(OPTIONS, kinds=("softmax",)))


def test_images_without_a_val_are_always_held(little_memory):
    rows, dataset, split = split_of(400)
    assert not tune(rows, split, dataset, replace(OPTIONS, strengths=(1e-2,))).streamed


def test_a_search_is_the_same_again_and_needs_no_test_row(little_memory):
    rows, dataset, split = split_of()
    first = tune(rows, split, dataset, OPTIONS)
    for id_ in split.test:
        del rows.feature[id_]
    assert tune(rows, split, dataset, OPTIONS).digest == first.digest


@pytest.mark.parametrize("steps", [0, 1, 3, 7])
def test_an_interrupted_search_goes_on_to_the_same_head(tmp_path: Path, little_memory, monkeypatch, steps):
    rows, dataset, split = split_of()
    whole = tune(rows, split, dataset, OPTIONS)

    class Interrupted(Silent):
        def __init__(self) -> None:
            self.left = steps

        def advance(self, task: str, amount: int = 1) -> None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(rows, split, dataset, OPTIONS, Interrupted(), kept_in=tmp_path)
    assert len(list(tmp_path.iterdir())) == steps + 1
    assert tune(rows, split, dataset, OPTIONS, kept_in=tmp_path).digest == whole.digest


def test_a_budget_that_ends_leaves_the_strengths_tried_so_far(little_memory):
    rows, dataset, split = split_of()
    search = tune(rows, split, dataset, replace(OPTIONS, budget_s=1e-9))
    assert search.ended_early
    assert len(search.trials) == 1


def test_a_winner_that_is_not_refitted_is_that_of_train(little_memory):
    rows, dataset, split = split_of()
    refitted, trained = (tune(rows, split, dataset, replace(OPTIONS, refit=refit)) for refit in (True, False))
    assert refitted.winner.setting == trained.winner.setting
    assert refitted.digest != trained.digest


def test_there_is_no_label_curve_and_the_note_names_it(little_memory):
    rows, dataset, split = split_of()
    search = tune(rows, split, dataset, replace(OPTIONS, label_curves=True))
    assert (search.label_curves, search.subsets) == ((), None)
    assert "label curves" in search.notes[0]


def test_many_val_images_are_scored_on_some_of_them_spread_evenly(little_memory, monkeypatch):
    rows, dataset, split = split_of()
    monkeypatch.setattr(streamed, "MOST_SCORED", 100)
    search = tune(rows, split, dataset, OPTIONS)
    assert len(search.oof_ids) == len(set(search.oof_ids)) == 100
    assert set(search.oof_ids) <= set(split.val)
    assert f"100 of {len(split.val)} val images" in search.notes[0]


def test_rows_stand_in_the_order_of_their_paths_with_their_own_labels_and_groups():
    rows, dataset, split = split_of()
    paths = [[f"{int(id_, 16) * 7919 % 2003:05}"] for id_ in dataset.table["id"].to_pylist()]
    groups = [f"g{row // 3}" if row % 4 else None for row in range(len(paths))]
    table = dataset.table.set_column(1, dataset.table.schema.field("paths"), pa.array(paths))
    table = table.set_column(3, table.schema.field("group"), pa.array(groups, pa.string()))
    examples = map_examples(rows, split, replace(dataset, table=table))
    known = {row["id"]: row for row in table.to_pylist()}
    stands = [known[id_] for id_ in examples.ids]
    assert [row["paths"] for row in stands] == sorted(row["paths"] for row in stands)
    assert [row["label"] for row in stands] == examples.label_N.tolist()
    np.testing.assert_array_equal(examples.feature_ND[np.arange(5)], rows.rows(examples.ids[:5]))
    assert {examples.ids[row] for row in examples.holdouts[0].fit} == set(split.train)
    numbers: dict[str, set[int]] = {}
    for row, number in zip(stands, examples.group_N.tolist(), strict=True):
        numbers.setdefault(row["group"] or row["id"], set()).add(number)
    assert all(len(same) == 1 for same in numbers.values())
    assert len(set(examples.group_N.tolist())) == len(numbers)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_memory_stays_far_below_features_that_are_on_disk(tmp_path: Path):
    """400 MB on disk, of which 650 in float32 are train and val; in memory the search takes thirteen times those."""
    script = [sys.executable, "-m", "tests.search.stored", str(tmp_path), "200000", "1024"]
    risen = int(subprocess.run(script, check=True, capture_output=True, text=True).stdout)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.arrow")) > 400e6
    assert risen < 250e6
