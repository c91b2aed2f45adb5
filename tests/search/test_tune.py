import sys
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.heads.test_logistic import problem
from vitrail.core.errors import UsageError
from vitrail.core.progress import Silent
from vitrail.data import EXAMPLE_SCHEMA, Dataset, make_split, open_source
from vitrail.heads import probabilities
from vitrail.heads.head import balanced_weights
from vitrail.heads.temperature import fit_temperature
from vitrail.search import Search, TuneOptions, tune
from vitrail.search.examples import gather
from vitrail.search.halving import SOFTMAX
from vitrail.search.ledger import Ledger
from vitrail.search.options import KINDS
from vitrail.search.tune import _choose_curve

FAST = TuneOptions(
    strengths=(1e-2, 1.0),
    alphas=(1.0, 100.0),
    neighbours=(5,),
    scalings=("standardise",),
    trials=4,
    epochs=5,
    batch=64,
    seeds=2,
)


@dataclass(frozen=True)
class Rows:
    feature: dict[str, np.ndarray]
    backbone: str = "planted"
    key: str = "planted"
    pooling: str = "own"
    poolings: tuple[str, ...] = ("own",)

    def rows(self, ids):
        return np.stack([self.feature[id_] for id_ in ids])

    def reader(self, ids):
        return self.rows(ids)

    def pooled(self, pooling):
        assert pooling in self.poolings
        return self


def planted(N: int, D: int = 12) -> tuple[Rows, Dataset]:
    feature_ND, label_N = problem(N=N, D=D)
    ids = [f"{number:064x}" for number in range(N)]
    table = pa.table(
        {"id": ids, "paths": [[id_] for id_ in ids], "label": label_N}
        | dict.fromkeys(("group", "given_split", "jpeg_side"), [None] * N),
        schema=EXAMPLE_SCHEMA,
    )
    dataset = Dataset(
        name="planted",
        table=table,
        classes=("a", "b", "c", "d"),
        set_aside=(),
        warnings=(),
        fingerprint="",
        source=open_source(None),
    )
    return Rows(dict(zip(ids, feature_ND, strict=True))), dataset


def search(N: int, poison: bool = False) -> tuple[Search, object]:
    rows, dataset = planted(N)
    sealed_dataset, split, _ = make_split(dataset)
    if poison:
        for id_ in split.test:
            del rows.feature[id_]
    return tune(rows, split, sealed_dataset, FAST), split


@pytest.mark.parametrize(("N", "by_folds"), [(400, True), (2000, False)], ids=["folds", "val"])
def test_a_search_chooses_refits_and_sets_the_temperature(N, by_folds):
    result, split = search(N)
    assert (split.val == ()) is by_folds
    assert result.winner in result.trials
    assert result.oof_ids == tuple(sorted((*split.train, *split.val)))
    np.testing.assert_allclose(result.oof_probability_NC.sum(axis=1), 1)
    best = min(result.trials, key=lambda trial: trial.val_nll)
    assert result.winner.val_nll - best.val_nll <= best.val_nll_se
    assert result.winner.weight_norm <= best.weight_norm
    assert result.winner.val_accuracy >= max(trial.val_accuracy for trial in result.trials) - 0.05
    assert bool(result.curve) is not by_folds  # over folds no head is trained step by step beside the solved ones
    assert result.head.tensors()["weight"].shape == (4, 12)


def test_the_same_search_gives_the_same_bytes_and_never_needs_a_test_row():
    first, _ = search(400)
    second, _ = search(400, poison=True)
    assert first.digest == second.digest
    strip = [replace(trial, seconds=0) for trial in first.trials]
    assert strip == [replace(trial, seconds=0) for trial in second.trials]


class Watching(Silent):
    """Sees how many threads torch has while heads are searched."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def advance(self, task: str, amount: int = 1) -> None:
        self.threads.add(torch.get_num_threads())


def test_a_search_has_the_cores_that_the_process_may_use_and_no_more(monkeypatch):
    monkeypatch.setattr(sys.modules["vitrail.search.tune"], "usable_cores", lambda: 1)
    before, progress = torch.get_num_threads(), Watching()
    torch.set_num_threads(8)  # what torch takes on a large machine, whatever a container's quota says
    try:
        rows, dataset = planted(120)
        dataset, split, _ = make_split(dataset)
        tune(rows, split, dataset, replace(FAST, kinds=("logistic",)), progress)
        assert progress.threads == {1}
        assert torch.get_num_threads() == 8
    finally:
        torch.set_num_threads(before)


def test_the_path_is_extended_if_its_best_is_at_an_end():
    rows, dataset = planted(400)
    sealed_dataset, split, _ = make_split(dataset)
    narrow = replace(FAST, strengths=(1e-6, 3e-6), kinds=("logistic",))
    tried = [trial.setting["C"] for trial in tune(rows, split, sealed_dataset, narrow).trials]
    assert max(tried) > 1e-3


def test_a_further_scaling_of_logistic_heads_starts_near_the_best_strength():
    rows, dataset = planted(400)
    sealed_dataset, split, _ = make_split(dataset)
    options = replace(
        FAST,
        kinds=("logistic",),
        strengths=tuple(10.0**whole for whole in range(-5, 3)),
        scalings=("standardise", "l2"),
        label_curves=False,
    )
    trials = tune(rows, split, sealed_dataset, options).trials
    tried = {
        scaling: {trial.setting["C"]: trial.val_nll for trial in trials if trial.setting["scaling"] == scaling}
        for scaling in options.scalings
    }
    assert set(tried["standardise"]) <= set(options.strengths)
    assert min(tried["l2"]) > min(options.strengths)
    best = min(tried["l2"], key=tried["l2"].__getitem__)
    assert min(tried["l2"]) < best


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_win_with_the_right_temperature(kind):
    rows, dataset = planted(400)
    sealed_dataset, split, _ = make_split(dataset)
    result = tune(rows, split, sealed_dataset, replace(FAST, kinds=(kind,)))
    label_N = np.array(dataset.table["label"].to_pylist())[[int(id_, 16) for id_ in result.oof_ids]]
    log_NC = np.log(result.oof_probability_NC)
    assert result.head.kind == kind
    assert fit_temperature(log_NC, label_N) == pytest.approx(1, abs=0.01)
    assert bool(result.seeds) is (kind in ("softmax", "mlp"))
    shown_NC = probabilities(result.head, rows.rows(result.oof_ids))
    assert (shown_NC.argmax(axis=1) == label_N).mean() > 0.6


def uneven(N: int) -> tuple[Rows, Dataset]:
    """Planted classes, one of them with a twelfth of its images."""
    rows, dataset = planted(N)
    label_N = np.array(dataset.table["label"].to_pylist())
    kept = np.flatnonzero((label_N != 0) | (np.arange(N) % 12 == 0))
    return rows, replace(dataset, table=dataset.table.take(kept))


@pytest.mark.parametrize("kind", KINDS)
def test_a_balanced_search_of_every_kind_does_not_give_up_a_rare_class(kind):
    rows, dataset = uneven(600)
    sealed_dataset, split, _ = make_split(dataset)
    options = replace(FAST, kinds=(kind,), trials=2, epochs=8, learning_rate=(1e-3, 1e-2), label_curves=False, splits=0)
    plain, balanced = (
        tune(rows, split, sealed_dataset, replace(options, balanced=balanced)) for balanced in (False, True)
    )
    label_of = dict(zip(dataset.table["id"].to_pylist(), dataset.table["label"].to_pylist(), strict=True))
    label_N = np.array([label_of[id_] for id_ in balanced.oof_ids])
    weight_C = balanced_weights(label_N, 4)
    losses = [
        float(
            np.average(-np.log(search.oof_probability_NC[np.arange(len(label_N)), label_N]), weights=weight_C[label_N])
        )
        for search in (plain, balanced)
    ]
    # Balancing changes no class mean: the temperature alone differs, and that by less than its own noise here.
    assert losses[1] < losses[0] * (1.02 if kind == "centroid" else 1.0)
    assert balanced.winner.val_balanced_accuracy >= plain.winner.val_balanced_accuracy
    log_NC = np.log(balanced.oof_probability_NC)
    assert fit_temperature(log_NC, label_N, weight_C) == pytest.approx(1, abs=0.01)


def test_a_search_by_accuracy_takes_one_of_the_most_accurate():
    rows, dataset = planted(400)
    sealed_dataset, split, _ = make_split(dataset)
    result = tune(rows, split, sealed_dataset, replace(FAST, metric="accuracy"))
    best = max(trial.val_accuracy for trial in result.trials)
    assert result.winner.val_accuracy >= best - 0.03


def test_invalid_options_are_refused():
    with pytest.raises(UsageError, match="dropout"):
        TuneOptions(dropouts=(0.0, 1.0))


def test_a_number_of_trials_without_effect_over_folds_gives_a_note():
    rows, dataset = planted(400)
    sealed_dataset, split, _ = make_split(dataset)
    quick = replace(FAST, kinds=("centroid", "softmax"), label_curves=False, splits=0)
    (note,) = tune(rows, split, sealed_dataset, replace(quick, trials=40)).notes
    assert "trials (40)" in note
    assert "no effect" in note
    assert "only tried with a val split" in note
    assert tune(rows, split, sealed_dataset, replace(quick, trials=None)).notes == ()
    assert tune(rows, split, sealed_dataset, replace(quick, trials=2, kinds=("softmax",))).notes == ()


def test_one_split_has_no_spread():
    with pytest.raises(UsageError, match="0 or at least 2"):
        TuneOptions(splits=1)


def test_the_curve_is_the_winners_if_it_is_a_softmax_head():
    """The winner may be a more regularised head than the best."""
    rows, dataset = planted(400)
    sealed_dataset, split, _ = make_split(dataset)
    examples = gather(rows, split, sealed_dataset)
    options = replace(FAST, kinds=("softmax",), trials=4, epochs=3)
    trials = [trial for finished in SOFTMAX.rounds(examples, options, Ledger(None, identity="")) for trial in finished]
    best, *_, worst = sorted(trials, key=lambda trial: trial.mean_nll(examples))
    assert _choose_curve(examples, trials, worst) == worst.curve
    assert _choose_curve(examples, trials, replace(worst, kind="ridge")) == best.curve
    assert _choose_curve(examples, [replace(worst, kind="ridge", curve=())], worst) == worst.curve
