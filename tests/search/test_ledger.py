import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.search.test_tune import FAST, planted
from vitrail.core.errors import RunError
from vitrail.data import make_split
from vitrail.heads import CurvePoint
from vitrail.search import Search, TuneOptions, tune
from vitrail.search.ledger import BudgetSpent, Ledger
from vitrail.search.scored_trial import ScoredTrial

POINT = CurvePoint(epoch=1, train_loss=0.1, val_loss=1 / 3, train_accuracy=0.5, val_accuracy=1.0)
TRIAL = ScoredTrial(
    kind="softmax",
    setting={"learning_rate": 0.1, "dropout": 0.5},
    nll_S=np.array([1 / 3, 2.0]),
    right_S=np.array([True, False]),
    weight_norm=1 / 7,
    epochs=3,
    curve=(POINT,),
    seconds=0.25,
)


class Interruption(BaseException):
    pass


class InterruptedAfter(Ledger):
    """A ledger whose process ends before a step."""

    left = 0

    def do(self, step, work):
        if InterruptedAfter.left == 0:
            raise Interruption
        InterruptedAfter.left -= 1
        return super().do(step, work)


def same(first: Search, second: Search) -> bool:
    strip = [[replace(trial, seconds=0) for trial in search.trials] for search in (first, second)]
    return strip[0] == strip[1] and first.digest == second.digest and first.seeds == second.seeds


def search(folder, options: TuneOptions = FAST, D: int = 12) -> Search:
    rows, dataset = planted(400, D)
    sealed_dataset, split, _ = make_split(dataset)
    return tune(rows, split, sealed_dataset, options, kept_in=folder)


def test_trials_read_back_equal_the_written_ones_bit_for_bit(tmp_path):
    Ledger(tmp_path, identity="a").do("one", lambda: [TRIAL])
    (read,) = Ledger(tmp_path, identity="a").do("one", lambda: pytest.fail("done twice"))
    assert read.nll_S.tobytes() == TRIAL.nll_S.tobytes()
    assert read.right_S.tolist() == TRIAL.right_S.tolist()
    assert replace(read, nll_S=TRIAL.nll_S, right_S=TRIAL.right_S) == TRIAL


@pytest.mark.parametrize("fault", ["other search", "cut", "flipped", "no table"])
def test_a_step_of_another_search_or_a_damaged_one_is_done_anew(tmp_path, fault):
    Ledger(tmp_path, identity="a").do("one", lambda: [TRIAL])
    (path,) = tmp_path.glob("one-*.parquet")
    if fault == "flipped":  # Parquet has no checksum of its numbers by default
        content = bytearray(path.read_bytes())
        content[content.index(TRIAL.nll_S.tobytes()[:8])] ^= 1
        path.write_bytes(content)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:100])
    if fault == "no table":
        path.write_bytes(b"")
    other = replace(TRIAL, epochs=9)
    (trial,) = Ledger(tmp_path, identity="b" if fault == "other search" else "a").do("one", lambda: [other])
    assert trial.epochs == 9
    identity = "b" if fault == "other search" else "a"
    (read,) = Ledger(tmp_path, identity=identity).do("one", lambda: pytest.fail("done twice"))
    assert read.epochs == 9


def test_a_step_that_cannot_be_written_is_one_sentence_with_the_way_out(tmp_path):
    (tmp_path / "folder").write_text("a file where the folder should be")
    with pytest.raises(RunError, match=r"could not be written .* Free some disk space"):
        Ledger(tmp_path / "folder", identity="a").do("one", lambda: [TRIAL])


@pytest.fixture(scope="module")
def whole() -> Search:
    return search(None)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_an_interrupted_search_goes_on_to_the_same_trials_and_the_same_winner(tmp_path, monkeypatch, whole, steps):
    monkeypatch.setattr(sys.modules["vitrail.search.tune"], "Ledger", InterruptedAfter)
    InterruptedAfter.left = steps
    with pytest.raises(Interruption):
        search(tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) == steps
    monkeypatch.undo()
    assert same(search(tmp_path), whole)


def test_a_repeated_search_trains_no_trial_again(tmp_path, monkeypatch, whole):
    first = search(tmp_path)
    assert same(first, whole)
    assert not whole.ended_early
    monkeypatch.setattr("vitrail.search.halving.Stepwise._round", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr("vitrail.search.logistic_trials._path", lambda *_: pytest.fail("fitted again"))
    assert same(search(tmp_path), first)


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_many_features_round_the_same_where_a_search_goes_on(tmp_path, kind):
    """Products of many features round by the number of threads; stored trials change where they are first needed."""
    options = replace(FAST, kinds=(kind,))
    first = search(tmp_path, options, D=300)
    again = search(tmp_path, options, D=300)
    assert same(again, first)
    np.testing.assert_array_equal(again.oof_probability_NC, first.oof_probability_NC)


def test_no_step_begins_once_the_budget_is_spent_and_what_was_spent_before_counts(tmp_path):
    ledger = Ledger(tmp_path, identity="a", budget_s=1e-9)
    ledger.do("one", lambda: [TRIAL])
    with pytest.raises(BudgetSpent):
        ledger.do("two", lambda: [TRIAL])
    assert ledger.ended_early
    again = Ledger(tmp_path, identity="a", budget_s=1e-9)
    again.do("one", lambda: pytest.fail("done twice"))
    assert again.spent_s == ledger.spent_s
    with pytest.raises(BudgetSpent):
        again.do("two", lambda: [TRIAL])


def test_a_budget_ends_a_repeated_search_at_the_same_step(tmp_path):
    hurried = replace(FAST, budget_s=1e-9)
    first = search(tmp_path, hurried)
    assert first.ended_early
    assert {trial.kind for trial in first.trials} == {"logistic"}
    assert same(search(tmp_path, hurried), first)
