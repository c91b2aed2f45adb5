"""Thresholds from training images, promises on others; a picture of something else is noticed."""

from pathlib import Path

import numpy as np
import pytest

from vitrail.candidates.thresholds import RefusalOptions, fit_refusal, set_thresholds
from vitrail.core.errors import WeightsError
from vitrail.evaluation.thresholds import check_refusal
from vitrail.heads.bank import fill_bank, neighbour_distance
from vitrail.heads.head import softmax
from vitrail.heads.logistic import fit_path
from vitrail.heads.refusal import RULES, load_refusal, save_refusal


def draw(n, *, seed=0, classes=5, width=16):
    """Features round the corners of a simplex, and the probabilities of the best classifier for them."""
    draws = np.random.default_rng(seed)
    centre_CD = 3 * np.eye(classes, width)
    label_N = draws.integers(0, classes, n)
    feature_ND = (centre_CD[label_N] + draws.normal(size=(n, width))).astype(np.float32)
    logit_NC = 3 * feature_ND[:, :classes]
    probability_NC = np.exp(logit_NC - logit_NC.max(axis=1, keepdims=True))
    return feature_ND, probability_NC / probability_NC.sum(axis=1, keepdims=True), label_N


def fit(n=1500, **options):
    feature_ND, probability_NC, label_N = draw(n)
    ids = [f"{number:05d}" for number in range(n)]
    return fit_refusal(fill_bank(ids, feature_ND), probability_NC, label_N, RefusalOptions(**options))


def test_promises_hold_on_other_images_of_the_kind():
    refusal = fit()
    feature_ND, probability_NC, label_N = draw(3000, seed=1)
    found = check_refusal(refusal, probability_NC, refusal.strange(feature_ND), label_N)
    assert [one.rule for one in found.sets] == list(RULES)
    lac = found.sets[0]
    assert lac.coverage.value == pytest.approx(0.9, abs=0.02)
    assert found.precision.value >= 0.94
    assert 0.5 < found.answered.value < 1
    assert found.flagged.value == pytest.approx(0.01, abs=0.01)


def test_split_conformal_sets_cover_as_promised_and_those_set_on_training_images_do_not():
    """The twin: a head that learnt some images by heart is surer of them than of any others."""
    draws = np.random.default_rng(5)
    centre_CD = draws.normal(size=(6, 30))
    covered: dict[str, list[float]] = {"calibration": [], "train": []}
    for _ in range(40):
        label_N = draws.integers(0, 6, 1300)
        feature_ND = (centre_CD[label_N] + 4 * draws.normal(size=(1300, 30))).astype(np.float32)
        train, apart, new = np.split(np.arange(1300), [150, 300])
        (fit,) = fit_path(feature_ND[train], label_N[train], classes=6, strengths=[10.0])
        probability_NC = softmax(fit.logits(feature_ND))
        for name, rows in (("calibration", apart), ("train", train)):
            threshold_RC = set_thresholds(probability_NC[rows], label_N[rows], 0.1)
            score_N = 1 - probability_NC[new, label_N[new]]
            covered[name].append(float((score_N <= threshold_RC[0, 0]).mean()))
    assert np.mean(covered["calibration"]) == pytest.approx(0.9, abs=0.01)
    assert np.mean(covered["train"]) < 0.8


def test_the_guarantee_is_stated_exactly():
    feature_ND, probability_NC, label_N = draw(300)
    ids = [f"{number:05d}" for number in range(300)]
    bank = fill_bank(ids, feature_ND)
    said = []
    for group_N in (None, np.arange(300) % 200):
        refusal = fit_refusal(bank, probability_NC, label_N, set_on="calibration", group_N=group_N)
        said.append(check_refusal(refusal, probability_NC, np.zeros(300, dtype=bool), label_N).guarantee)
        assert said[-1].startswith("split conformal: set on 300 images")
        assert "at least 90%" in said[-1]
    assert "between 86.4% and 93.2%" in said[0]
    assert "an image drawn from a new group" in said[1]
    assert "200 groups" in said[1]
    assert "between" not in said[1]  # the range is known for independent images alone
    assert (
        "no finite-sample guarantee" in check_refusal(fit(), *draw(50)[1:2], np.zeros(50, bool), draw(50)[2]).guarantee
    )


def test_every_group_of_the_test_counts_the_same_as_the_promise_does():
    refusal = fit()
    _, probability_NC, label_N = draw(200, seed=1)
    group_N = np.append(np.zeros(150, np.int64), np.arange(1, 51))
    strange_N = group_N == 0
    found = check_refusal(refusal, probability_NC, strange_N, label_N, group_N=group_N)
    assert found.flagged.value == pytest.approx(1 / 51)
    held_N = refusal.sets(probability_NC)[np.arange(200), label_N]
    assert found.sets[0].coverage.value == pytest.approx((held_N[:150].mean() + held_N[150:].sum()) / 51)


def test_features_of_something_else_are_strange_however_sure_the_head_is():
    refusal = fit()
    other_ND = np.zeros((50, 16), np.float32)
    other_ND[:, 10:] = np.random.default_rng(2).normal(size=(50, 6)) + 4
    assert refusal.strange(other_ND).all()


def test_if_no_confidence_is_found_no_answer_is_withheld_for_being_unsure():
    refusal = fit(40, precision=0.999)
    assert refusal.confidence is None
    _, probability_NC, label_N = draw(50, seed=1)
    found = check_refusal(refusal, probability_NC, np.zeros(50, dtype=bool), label_N)
    assert (found.confidence, found.precision, found.answered) == (None, None, None)
    assert refusal.sure(probability_NC).all()


def test_the_nearest_is_counted_from_one():
    bank_BD = np.eye(3, dtype=np.float16)
    near = np.array([[2.0, 1.0, 0.0]], np.float32)
    length = 5**0.5
    for k, cosine in enumerate([2 / length, 1 / length, 0.0], start=1):
        assert neighbour_distance(near, bank_BD, k) == pytest.approx(1 - cosine, abs=1e-6)


def test_the_order_of_training_images_changes_nothing_but_ids_do():
    feature_ND, probability_NC, label_N = draw(2500)
    ids = [f"{number:05d}" for number in range(2500)]
    one = fit_refusal(fill_bank(ids, feature_ND), probability_NC, label_N)
    back = fit_refusal(fill_bank(ids[::-1], feature_ND[::-1]), probability_NC[::-1], label_N[::-1])
    assert one.threshold_RC == pytest.approx(back.threshold_RC)
    assert (one.bank_BD == back.bank_BD).all()
    assert len(one.bank_BD) == 2000


def test_a_refusal_survives_its_file_and_a_damaged_file_is_one_sentence(tmp_path: Path):
    refusal = fit(60)
    save_refusal(refusal, tmp_path / "r.safetensors")
    again = load_refusal(tmp_path / "r.safetensors")
    assert again.digest == refusal.digest
    assert (again.set_on, again.images) == ("out-of-fold", 60)
    assert (again.threshold_RC == refusal.threshold_RC).all()
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "r.safetensors").read_bytes()[:100])
    with pytest.raises(WeightsError, match="repeat the run"):
        load_refusal(tmp_path / "cut.safetensors")
