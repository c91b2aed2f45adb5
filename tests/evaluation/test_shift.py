import numpy as np

from vitrail.data.out_of_fold import OutOfFold
from vitrail.evaluation.shift import compare_shares, judge_shift, say_shift
from vitrail.statistics.two_samples import TwoSamples

LEARNT = OutOfFold(label_N=np.repeat(np.arange(4), 200), group_N=np.arange(800), right_N=np.arange(800) % 10 > 0)


def test_an_accuracy_below_out_of_fold_is_a_sign_and_above_is_not():
    worse, better, same = (
        judge_shift(np.arange(300) % 20 < least, None, LEARNT, None, backbones=1, level=0.95) for least in (15, 20, 18)
    )
    assert (worse.kept, better.kept, same.kept) == ("below", "above", "as promised")
    assert "15.0 points [" in worse.sentence
    assert "below the 90.0% [" in worse.sentence
    assert better.sentence == same.sentence == ""


def test_features_differ_only_after_the_correction_for_all_backbones():
    features = TwoSamples(auc=0.7, by_chance=0.55, p_value=0.03, first=100, second=300, groups=400)
    alone, beside = (
        judge_shift(np.ones(300, bool), None, None, features, backbones=count, level=0.95) for count in (1, 2)
    )
    assert (alone.differ, beside.differ) == (True, False)
    assert "0.70, by chance below 0.55; p = 0.03" in alone.sentence
    assert alone.kept is None
    (caveat,) = say_shift("vit", alone, None)
    assert caveat.startswith("vit: a classifier can tell test images from training images")
    assert "assume images drawn in the same way as the training images" in caveat
    assert caveat.endswith(": here they may fail.")
    assert say_shift("vit", beside, None) == ()


def test_different_class_shares_are_a_sign_but_not_with_few_groups():
    generator = np.random.default_rng(0)
    test_N = np.array([0] * 70 + [1] * 10 + [2] * 10 + [3] * 10)
    shares = compare_shares(test_N, None, LEARNT, generator=generator, level=0.95)
    assert shares.differ
    assert round(shares.distance, 3) == 0.45
    alike = compare_shares(np.arange(100) % 4, None, LEARNT, generator=generator, level=0.95)
    assert not alike.differ
    one_group_a_class = np.repeat(np.arange(4), [70, 10, 10, 10])
    few = OutOfFold(label_N=LEARNT.label_N, group_N=np.repeat(np.arange(8), 100), right_N=LEARNT.right_N)
    assert not compare_shares(test_N, one_group_a_class, few, generator=generator, level=0.95).differ
