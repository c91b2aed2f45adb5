"""Metrics against scikit-learn, and their intervals against simulated coverage."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrail.statistics import metrics
from vitrail.statistics.metrics import brier, macro_f1, nll, rank_of_label, top_k, top_k_correct


def classifier(seed, n=500, classes=12, skill=2.5):
    generator = np.random.default_rng(seed)
    label_N = generator.integers(0, classes, n)
    logit_NC = generator.normal(size=(n, classes)) + skill * np.eye(classes)[label_N]
    probability_NC = np.exp(logit_NC - logit_NC.max(axis=1, keepdims=True))
    return probability_NC / probability_NC.sum(axis=1, keepdims=True), label_N


def balanced_accuracy(label_N, predicted_N, classes):
    assert predicted_N.max() < classes
    return metrics.balanced_accuracy(label_N, predicted_N == label_N)


@st.composite
def small_tables(draw):
    classes = draw(st.integers(2, 6))
    rows = draw(st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=60))
    label_N, predicted_N = np.array(rows, dtype=np.int64).T
    return label_N, predicted_N, classes


@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_scikit_learn(seed):
    probability_NC, label_N = classifier(seed)
    predicted_N = probability_NC.argmax(axis=1)
    expected = {
        "balanced": sklearn.metrics.balanced_accuracy_score(label_N, predicted_N),
        "f1": sklearn.metrics.f1_score(label_N, predicted_N, average="macro"),
        "nll": sklearn.metrics.log_loss(label_N, probability_NC),
        "brier": sklearn.metrics.brier_score_loss(label_N, probability_NC, scale_by_half=False),
        "top5": sklearn.metrics.top_k_accuracy_score(label_N, probability_NC, k=5),
    }
    ours = {
        "balanced": balanced_accuracy(label_N, predicted_N, 12).value,
        "f1": macro_f1(label_N, predicted_N, 12).value,
        "nll": nll(probability_NC, label_N).value,
        "brier": brier(probability_NC, label_N).value,
        "top5": top_k(probability_NC, label_N, 5).value,
    }
    assert ours == pytest.approx(expected, abs=1e-10)


@given(small_tables())
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true:UserWarning")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_class_averages_agree_with_scikit_learn_when_classes_are_absent(table):
    label_N, predicted_N, classes = table
    f1 = sklearn.metrics.f1_score(label_N, predicted_N, average="macro", zero_division=0)
    assert macro_f1(label_N, predicted_N, classes).value == pytest.approx(f1, abs=1e-10)
    recall = sklearn.metrics.recall_score(label_N, predicted_N, labels=np.unique(label_N), average="macro")
    assert balanced_accuracy(label_N, predicted_N, classes).value == pytest.approx(recall, abs=1e-10)


@given(small_tables())
def test_class_averages_hold_their_value_in_an_interval_with_width(table):
    for interval in (balanced_accuracy(*table), macro_f1(*table)):
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
        assert interval.low < interval.high


@given(small_tables(), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_neither_the_order_of_examples_nor_the_names_of_classes_matter(table, random):
    label_N, predicted_N, classes = table
    rows, names = list(range(len(label_N))), list(range(classes))
    random.shuffle(rows)
    random.shuffle(names)
    other = np.array(names)[label_N[rows]], np.array(names)[predicted_N[rows]], classes
    for metric in (balanced_accuracy, macro_f1):
        ours, theirs = metric(*table), metric(*other)
        assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high), abs=1e-10)


def test_top_one_follows_argmax_even_with_ties():
    probability_NC = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])
    label_N = np.array([0, 1, 1])
    assert top_k_correct(probability_NC, label_N, 1).tolist() == (probability_NC.argmax(axis=1) == label_N).tolist()
    assert rank_of_label(probability_NC, label_N).tolist() == [0, 1, 0]


def test_of_equal_probabilities_exactly_five_are_in_the_top_five():
    probability_NC = np.full((8, 8), 1 / 8)
    assert top_k_correct(probability_NC, np.arange(8), 5).sum() == 5


def test_top_five_says_nothing_where_there_are_five_classes_or_fewer():
    for classes in (2, 5):
        probability_NC, label_N = classifier(0, classes=classes)
        assert top_k(probability_NC, label_N, 5) is None
    assert top_k(*classifier(0, classes=6), 5) is not None


def test_a_probability_of_zero_costs_much_but_not_infinitely():
    interval = nll(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1, 0]))
    assert interval.value == pytest.approx(36.0436 / 2, abs=1e-4)
    assert interval.high <= 36.05


def test_brier_runs_from_zero_to_two():
    right, wrong = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert brier(right, np.array([0])).value == 0.0
    assert brier(wrong, np.array([0])).value == 2.0


def test_without_an_error_balanced_accuracy_is_as_sure_as_plain_accuracy():
    label_N = np.repeat(np.arange(5), 20)
    interval = balanced_accuracy(label_N, label_N, 5)
    assert interval.low == pytest.approx(100 / (100 + 1.959964**2), abs=1e-6)
    assert macro_f1(label_N, label_N, 5).low == pytest.approx(interval.low)


def test_few_examples_of_one_class_widen_the_class_averages_and_not_accuracy():
    even = np.repeat(np.arange(2), 100)
    uneven = np.repeat(np.arange(2), [195, 5])
    for metric in (balanced_accuracy, macro_f1):
        narrow, wide = metric(even, even, 2), metric(uneven, uneven, 2)
        assert wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_the_variance_of_macro_f1_is_that_of_the_dense_smoothed_table():
    generator = np.random.default_rng(0)
    label_N = generator.integers(0, 5, 200)
    predicted_N = np.where(generator.random(200) < 0.7, label_N, generator.integers(0, 6, 200))
    classes, pseudo = 7, 1.959963984540054**2
    table = np.zeros((classes, classes))
    np.add.at(table, (label_N, predicted_N), 1)
    n_C = table.sum(axis=1, keepdims=True)
    right = sklearn.metrics.recall_score(label_N, predicted_N, labels=range(5), average="macro")
    prior = np.full((classes, classes), (1 - right) / (classes - 1))
    np.fill_diagonal(prior, right)
    smooth = n_C * (table + pseudo * prior) / (n_C + pseudo)

    def f1(cells):
        used = (table.sum(axis=0) + table.sum(axis=1)) > 0
        return (2 * np.diag(cells) / np.maximum(cells.sum(axis=0) + cells.sum(axis=1), 1e-300))[used].mean()

    step, moved = 1e-5, np.zeros_like(smooth)
    for place in np.ndindex(smooth.shape):
        up, down = smooth.copy(), smooth.copy()
        up[place] += step
        down[place] -= step
        moved[place] = (f1(up) - f1(down)) / (2 * step)
    value, variance = metrics._smooth_f1(label_N, predicted_N, classes, 0.95)
    assert value == pytest.approx(f1(smooth), abs=1e-10)
    assert variance == pytest.approx((smooth * moved**2).sum() * 200 / 199, rel=1e-6)


def confused(generator, classes, accuracy, even):
    """A classifier as its table of P(prediction | class), over classes that differ in difficulty."""
    right_C = generator.beta(accuracy * even, (1 - accuracy) * even, classes)
    table_CC = generator.dirichlet(np.full(classes, 3 / classes), classes) + 1e-12
    np.fill_diagonal(table_CC, 0)
    table_CC *= ((1 - right_C) / table_CC.sum(axis=1))[:, None]
    np.fill_diagonal(table_CC, right_C)
    return table_CC


def coverage(metric, table_CC, size_C, draws, generator):
    classes = len(size_C)
    weighted_CC = table_CC * size_C[:, None]
    if metric is balanced_accuracy:
        truth = np.diag(table_CC).mean()
    else:
        truth = (2 * np.diag(weighted_CC) / (weighted_CC.sum(axis=0) + size_C)).mean()
    label_N, held = np.repeat(np.arange(classes), size_C), 0
    for _ in range(draws):
        counts_CC = generator.multinomial(size_C, table_CC)
        predicted_N = np.repeat(np.tile(np.arange(classes), classes), counts_CC.ravel())
        interval = metric(label_N, predicted_N, classes)
        held += interval.low <= truth <= interval.high
    return held / draws


@pytest.mark.parametrize("metric", [balanced_accuracy, macro_f1])
def test_class_averages_cover_with_many_small_classes(metric):
    generator = np.random.default_rng(3)
    table_CC = confused(generator, 120, 0.84, 6)
    held = coverage(metric, table_CC, np.full(120, 8), 800, generator)
    assert held == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("metric", [balanced_accuracy, macro_f1])
@pytest.mark.parametrize(
    ("classes", "size", "accuracy", "uneven"),
    [(2, 100, 0.85, 0), (10, 40, 0.85, 0), (10, 100, 0.9, 1), (40, 8, 0.85, 0), (120, 8, 0.84, 0), (120, 17, 0.7, 1)],
)
def test_class_averages_cover_what_they_promise(metric, classes, size, accuracy, uneven):
    generator = np.random.default_rng(4)
    table_CC = confused(generator, classes, accuracy, 10)
    weight_C = np.exp(uneven * generator.normal(size=classes))
    size_C = np.maximum(2, np.round(weight_C / weight_C.sum() * classes * size)).astype(np.int64)
    assert (size_C * (1 - np.diag(table_CC))).sum() > 10
    held = coverage(metric, table_CC, size_C, 5000, generator)
    assert 0.935 <= held <= 0.975
