import numpy as np
from sklearn.linear_model import Ridge

from tests.heads.test_logistic import problem
from tests.heads.test_ridge import scaled, targets
from vitrail.candidates.race_judge import STRENGTHS, find_right


def test_answers_are_those_of_heads_fitted_without_the_image_at_the_strength_of_least_error():
    feature_ND, label_N = problem(60, 20)
    scaled_ND, target_NC = scaled(feature_ND), targets(label_N)
    answers = {}
    for alpha in STRENGTHS:
        rows = []
        for row in range(60):
            rest = np.arange(60) != row
            rows.append(Ridge(alpha=alpha).fit(scaled_ND[rest], target_NC[rest]).predict(scaled_ND[[row]])[0])
        answers[alpha] = np.array(rows)
    best_NC = min(answers.values(), key=lambda answer_NC: ((answer_NC - target_NC) ** 2).mean())
    right_N = find_right(feature_ND, label_N, classes=4, group_N=None)
    np.testing.assert_array_equal(right_N, best_NC.argmax(axis=1) == label_N)
    assert 0.3 < right_N.mean() < 1


def test_copies_of_an_image_do_not_help_it_if_they_are_its_group():
    feature_ND, label_N = np.random.default_rng(0).normal(size=(40, 60)), np.random.default_rng(1).integers(0, 4, 40)
    copied_ND, copied_N = np.repeat(feature_ND, 3, axis=0).astype(np.float32), np.repeat(label_N, 3)
    by_group_N = find_right(copied_ND, copied_N, classes=4, group_N=np.repeat(np.arange(40), 3))
    assert by_group_N.mean() < 0.5
    assert find_right(copied_ND, copied_N, classes=4, group_N=None).mean() > 0.9
