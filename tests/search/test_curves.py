from dataclasses import dataclass, replace

import numpy as np
import pytest

from vitrail.search.curves import (
    FRACTIONS,
    _forecast,
    _resample,
    draw_fewer,
    find_hardest_classes,
    fit_label_curve,
    fit_power_law,
    power_law,
)
from vitrail.search.examples import Examples, Holdout

NAMES = tuple(f"class {c}" for c in range(8))
FEW_IMAGES = np.array([5.0, 10.0, 20.0, 40.0])


def examples(N: int = 1280, C: int = 8, groups: int | None = None) -> Examples:
    draws = np.random.default_rng(0)
    label_N = np.arange(N) % C
    centre_CD = draws.normal(size=(C, 16))
    feature_ND = (centre_CD[label_N] + 2 * draws.normal(size=(N, 16))).astype(np.float32)
    group_N = np.arange(N) if groups is None else (np.arange(N) // C) % groups
    rows = np.arange(N)
    holdout = Holdout(rows[: N // 2], rows[N // 2 :], rows[N // 2 :])
    return Examples(tuple(map(str, rows)), feature_ND, label_N, group_N, C, (holdout,), (holdout,))


@dataclass(frozen=True)
class Centroids:
    mean_CD: np.ndarray

    def logits(self, feature_ND):
        return -((feature_ND[:, None].astype(np.float64) - self.mean_CD) ** 2).sum(axis=2)


def train_on(data: Examples, seen: list):
    def train(rows):
        seen.append(rows)
        feature_ND, label_N = data.take_rows(rows)
        return Centroids(np.stack([feature_ND[label_N == c].mean(axis=0) for c in range(data.classes)]))

    return train


def test_a_curve_rises_to_what_all_images_give_and_every_point_lies_in_its_interval():
    data, seen = examples(), []
    curve = fit_label_curve(data, train_on(data, seen), classes=NAMES, growing=None, seed=0)
    assert [point.images_per_class for point in curve.points] == [80 * fraction for fraction in FRACTIONS]
    accuracy = [point.accuracy for point in curve.points]
    assert accuracy[0] < accuracy[-1]
    assert all(point.low <= point.accuracy <= point.high for point in curve.points)
    whole = train_on(data, [])(data.holdouts[0].fit).logits(data.feature_ND[data.holdouts[0].score])
    assert accuracy[-1] == (whole.argmax(axis=1) == data.label_N[data.holdouts[0].score]).mean()
    assert all(set(rows) <= set(data.holdouts[0].fit) for rows in seen), "a scored row was trained on"


def test_only_the_growing_classes_lose_images_and_a_lesser_part_lies_in_a_greater_one():
    data = examples()
    grown = np.isin(np.arange(8), [2, 5])
    smaller = [
        draw_fewer(data, data.holdouts[0], grown, fraction, np.random.default_rng(1)) for fraction in (0.125, 0.5, 1.0)
    ]
    counts = [np.bincount(data.label_N[rows]) for rows in smaller]
    assert [count[2] for count in counts] == [10, 40, 80]
    assert all(count[[0, 1, 3, 4, 6, 7]].tolist() == [80] * 6 for count in counts)
    assert set(smaller[0]) < set(smaller[1]) < set(smaller[2])


def test_whole_groups_are_taken_before_another_is_begun():
    data = examples(groups=10)
    rows = draw_fewer(data, data.holdouts[0], np.ones(8, bool), 0.5, np.random.default_rng(1))
    begun = [len(np.unique(data.group_N[rows[data.label_N[rows] == c]])) for c in range(8)]
    assert begun == [5] * 8
    drawn = np.random.default_rng(1).choice(data.holdouts[0].fit, len(rows), replace=False)
    assert len(np.unique(data.group_N[drawn])) == 10  # what drawing image by image would have touched


def test_a_forecast_is_asked_of_a_power_law_and_refused_to_anything_else():
    images_P = np.array([10.0, 20.0, 40.0, 80.0])
    error_P = 0.1 + 0.5 * (images_P / 80) ** -0.5
    noise_RP = np.random.default_rng(0).normal(0, 0.002, (500, 4))
    forecast = _forecast(images_P, 1 - error_P, 1 - error_P + noise_RP, labels=640)
    wanted = 0.5 * (1 - 2**-0.5)
    assert forecast.gain == pytest.approx(wanted, rel=0.05)
    assert forecast.low < wanted < forecast.high
    falling_P = np.array([0.2, 0.5, 0.3, 0.7])
    assert _forecast(images_P, falling_P, falling_P + noise_RP, labels=640) is None


def test_resampling_draws_groups_and_not_their_images():
    right_PVS = np.tile(np.repeat(np.random.default_rng(0).random(20) < 0.7, 50), (1, 1, 1))
    alone = _resample(right_PVS, np.arange(1000), 0).std()
    grouped = _resample(right_PVS, np.repeat(np.arange(20), 50), 0).std()
    assert grouped > 5 * alone


def test_a_val_of_one_group_gives_a_curve_without_intervals_and_without_a_forecast():
    data = examples()
    scored = data.holdouts[0].score
    group_N = data.group_N.copy()
    group_N[scored] = group_N[scored[0]]
    curve = fit_label_curve(replace(data, group_N=group_N), train_on(data, []), classes=NAMES, growing=None, seed=0)
    assert curve.points[0].accuracy < curve.points[-1].accuracy
    assert {(point.low, point.high) for point in curve.points} == {(None, None)}
    assert curve.forecast is None
    assert "of one group" in curve.sentence
    group_N[scored[:100]] += 1  # the twin: of two groups there are intervals
    twin = fit_label_curve(replace(data, group_N=group_N), train_on(data, []), classes=NAMES, growing=None, seed=0)
    assert all(point.low < point.high for point in twin.points)


def test_what_cannot_be_shown_is_not_said_to_be_worth_anything():
    data = examples(N=64)  # 4 images a class to fit on
    assert fit_label_curve(data, train_on(data, []), classes=NAMES, growing=None, seed=0) is None
    easy = replace(examples(), feature_ND=(10 * np.eye(8)[np.arange(1280) % 8]).astype(np.float32))
    curve = fit_label_curve(easy, train_on(easy, []), classes=NAMES, growing=None, seed=0)
    assert "cannot be shown to be worth anything" in curve.sentence


def test_the_hardest_classes_are_judged_on_rows_that_are_not_scored():
    data = examples()
    probability_NC = np.eye(8)[data.label_N]
    wrong_NC = np.eye(8)[(data.label_N + 1) % 8]
    scored = np.zeros(len(data.ids), bool)
    scored[data.holdouts[0].score] = True
    bad = np.isin(data.label_N, [1, 6]) & ~scored
    worse_on_val = np.isin(data.label_N, [3, 4]) & scored
    mixed_NC = np.where((bad | worse_on_val)[:, None], wrong_NC, probability_NC)
    assert find_hardest_classes(data, mixed_NC) == [1, 6]


@pytest.mark.parametrize("law", [(0.1, 0.3, 0.5), (0.0, 0.2, 1.0), (0.25, 0.05, 0.1)])
def test_a_curve_that_is_a_power_law_gives_it_back(law):
    error_P = power_law(np.array([law]), FEW_IMAGES, unit=40.0)
    np.testing.assert_allclose(fit_power_law(FEW_IMAGES, error_P), [law], atol=1e-6)


def test_errors_never_go_below_nothing_and_never_rise_with_images():
    draws = np.random.default_rng(0)
    law_R3 = fit_power_law(FEW_IMAGES, draws.random((200, 4)))
    further_RQ = power_law(law_R3, np.array([40.0, 80.0, 1e6]), unit=40.0)
    assert (further_RQ >= 0).all()
    assert (np.diff(further_RQ, axis=1) <= 1e-12).all()
    assert (law_R3[:, 0] > 0).any(), "a fit on the border must not be the only one"


def test_the_fit_is_the_best_of_a_fine_search():
    error_RP = np.sort(np.random.default_rng(1).random((5, 4)))[:, ::-1]
    fitted_R3 = fit_power_law(FEW_IMAGES, error_RP)
    missed_R = ((power_law(fitted_R3, FEW_IMAGES, unit=40.0) - error_RP) ** 2).sum(axis=1)
    a, b = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 60))
    for c in np.linspace(0.1, 1.5, 29):
        grid = np.stack([a.ravel(), b.ravel(), np.full(a.size, c)], axis=1)
        missed = ((power_law(grid, FEW_IMAGES, unit=40.0)[:, None] - error_RP) ** 2).sum(axis=2).min(axis=0)
        assert (missed_R <= missed + 1e-12).all()
