import numpy as np
import pytest

from vitrail.statistics.training_variance import covariance_of_means, covariance_of_training, training_variance


def halves(draws, luck: float, N: int = 2000):
    fold_N = np.arange(N) % 5
    rate_F2 = 0.8 + luck * draws.normal(size=(5, 2))
    return [(draws.random(N) < rate_F2[fold_N, side]).astype(float) for side in (0, 1)], fold_N


@pytest.mark.parametrize("luck", [0.0, 0.02, 0.05])
def test_the_variance_between_trainings_is_without_bias(luck):
    draws, found, errors = np.random.default_rng(0), [], []
    for _ in range(400):
        (first_N, second_N), fold_N = halves(draws, luck)
        estimate = training_variance(first_N, second_N, fold_N, np.arange(len(fold_N)))
        found.append(estimate.variance)
        errors.append(estimate.error)
    noise = 0.8 * 0.2 / 400
    if luck:
        assert np.mean(found) == pytest.approx(luck**2, rel=0.1)
        assert np.mean(errors) == pytest.approx(np.std(found), rel=0.15)
    else:
        assert np.mean(found) < 0.3 * noise  # what is left of cutting off below zero


def test_images_of_one_group_count_as_one_image_in_the_training_variance():
    draws, found = np.random.default_rng(0), []
    group_N = np.arange(2000) // 20
    fold_N = group_N % 5
    for _ in range(200):
        first_N, second_N = (draws.random((2, 100)) < 0.8).astype(float)[:, group_N]
        variances = [training_variance(first_N, second_N, fold_N, g).variance for g in (group_N, np.arange(2000))]
        found.append(variances)
    by_group, as_if_alone = np.mean(found, axis=0)
    assert by_group < 0.4 * as_if_alone


def test_the_covariance_of_means_is_that_of_means():
    figure_PN = np.random.default_rng(0).normal(size=(3, 50))
    np.testing.assert_allclose(covariance_of_means(figure_PN, np.arange(50)), np.cov(figure_PN) / 50)
    assert not covariance_of_means(figure_PN, np.zeros(50, dtype=int)).any()


def test_averages_over_training_images_vary_together_as_they_share_images():
    """Against draws: the figure of a part is the mean of its images' influences."""
    draws, N, sizes = np.random.default_rng(0), 200, (20, 40, 80, 160)
    means = []
    for _ in range(4000):
        influence_N, order = draws.normal(size=N), draws.permutation(N)
        fold_N = np.argsort(order) % 5
        parts = [draws.permutation(np.flatnonzero(fold_N != fold)) for fold in range(5)]
        means.append([np.mean([influence_N[rows[:size]].mean() for rows in parts]) for size in sizes])
    images_P = np.array(sizes, dtype=float)
    modelled_PP = covariance_of_training(1 / images_P, images_P, folds=5, pool=N)
    np.testing.assert_allclose(modelled_PP, np.cov(np.transpose(means)), rtol=0.12)
