"""The verdict: the seal, the order of things, and figures that are those of the statistics room."""

import numpy as np
import pytest
import sklearn.metrics
from pydantic import TypeAdapter

from vitrail.core.errors import DataError, SealError, UsageError
from vitrail.data.sealed import SealedTest
from vitrail.evaluation import ClassMetrics, Contestant, Criteria, Decision, JudgedImages, Metrics, Pair, assess, judge
from vitrail.statistics.intervals import wilson

DIGEST = "c0ffee" * 10


def make_run(n=400, classes=8, skills=(3.0, 1.5), seed=0):
    generator = np.random.default_rng(seed)
    label_N = generator.integers(0, classes, n)
    ids = tuple(f"{i:064x}" for i in range(n))
    candidates = []
    for i, skill in enumerate(skills):
        logit_NC = generator.normal(size=(n, classes)) + skill * np.eye(classes)[label_N]
        probability_NC = np.exp(logit_NC)
        probability_NC /= probability_NC.sum(axis=1, keepdims=True)
        candidates.append(Contestant(name=f"m{i}", gmacs=4.0 / (i + 1), licence="mit", probability_NC=probability_NC))
    sealed = SealedTest(dict(zip(ids, label_N.tolist(), strict=True)))
    return candidates, ids, sealed, [f"class {c}" for c in range(classes)], label_N


def judged(ids, classes, **more):
    return JudgedImages(ids=tuple(ids), classes=tuple(classes), **more)


def test_the_verdict_says_for_every_backbone_what_the_definitions_say():
    candidates, ids, sealed, classes, label_N = make_run()
    verdict = judge(candidates, judged(ids, classes), sealed, DIGEST)
    for candidate, backbone in zip(candidates, verdict.backbones, strict=True):
        predicted_N = candidate.probability_NC.argmax(axis=1)
        test = backbone.test
        assert backbone.name == candidate.name
        assert test.top1 == wilson(int((predicted_N == label_N).sum()), 400)
        assert test.top5.value == pytest.approx(
            sklearn.metrics.top_k_accuracy_score(label_N, candidate.probability_NC, k=5)
        )
        assert test.nll.value == pytest.approx(sklearn.metrics.log_loss(label_N, candidate.probability_NC))
        assert test.macro_f1.value == pytest.approx(sklearn.metrics.f1_score(label_N, predicted_N, average="macro"))
        assert 0 < test.ece.null < test.ece.value
        report = sklearn.metrics.classification_report(label_N, predicted_N, output_dict=True)
        for c, of_class in enumerate(backbone.per_class):
            theirs = report[str(c)]
            ours = (of_class.recall.value, of_class.precision, of_class.f1, of_class.n)
            assert ours == pytest.approx((theirs["recall"], theirs["precision"], theirs["f1-score"], theirs["support"]))


def test_pairs_count_the_images_that_one_alone_gets_right():
    candidates, ids, sealed, classes, label_N = make_run(skills=(3.0, 1.5, 2.0))
    verdict = judge(candidates, judged(ids, classes), sealed, DIGEST)
    assert [(p.a, p.b) for p in verdict.pairs] == [("m0", "m1"), ("m0", "m2"), ("m1", "m2")]
    for pair in verdict.pairs:
        right = {c.name: c.probability_NC.argmax(axis=1) == label_N for c in candidates}
        assert pair.only_a == (right[pair.a] & ~right[pair.b]).sum()
        assert pair.only_b == (right[pair.b] & ~right[pair.a]).sum()
        assert pair.difference.value == pytest.approx(right[pair.a].mean() - right[pair.b].mean())
        assert pair.adjusted_p >= pair.mcnemar_p
    assert verdict.decision.choose == "m0"
    assert verdict.decision.sentence.startswith("m0 beats m2 by ")


def test_the_seal_is_opened_once_with_the_digest_of_all_choices():
    candidates, ids, sealed, classes, _ = make_run()
    judge(candidates, judged(ids, classes), sealed, DIGEST)
    assert sealed.opened_with == DIGEST
    with pytest.raises(SealError):
        judge(candidates, judged(ids, classes), sealed, DIGEST)


def broken(candidate, change):
    probability_NC = candidate.probability_NC.copy()
    change(probability_NC)
    return Contestant(name="broken", gmacs=1.0, licence="mit", probability_NC=probability_NC)


def set_nan(p):
    p[3, 2] = np.nan


def set_negative(p):
    p[3, :2] = -0.5, 1.5


def scale(p):
    p[3] *= 2


@pytest.mark.parametrize("change", [set_nan, set_negative, scale])
def test_probabilities_that_are_none_are_refused_before_the_seal_is_broken(change):
    candidates, ids, sealed, classes, _ = make_run()
    with pytest.raises(DataError, match="broken has probabilities"):
        judge([candidates[0], broken(candidates[0], change)], judged(ids, classes), sealed, DIGEST)
    assert sealed.opened_with is None


def test_what_does_not_fit_together_is_refused_before_the_seal_is_broken():
    candidates, ids, sealed, classes, _ = make_run()
    with pytest.raises(DataError, match=r"shape \(400, 8\), not \(399, 8\)"):
        judge(candidates, judged(ids[1:], classes), sealed, DIGEST)
    with pytest.raises(DataError, match="no backbone"):
        judge([], judged(ids, classes), sealed, DIGEST)
    with pytest.raises(DataError, match="no test image"):
        judge(candidates, judged((), classes), sealed, DIGEST)
    with pytest.raises(DataError, match="same name"):
        judge([candidates[0], candidates[0]], judged(ids, classes), sealed, DIGEST)
    with pytest.raises(DataError, match="twice"):
        judge(candidates, judged((*ids[1:], ids[1]), classes), sealed, DIGEST)
    with pytest.raises(UsageError, match="fractions between 0 and 1"):
        Criteria(margin=1.0)
    assert sealed.opened_with is None


def test_an_example_without_a_sealed_label_or_with_a_foreign_one_is_an_error():
    candidates, ids, _, classes, label_N = make_run()
    labels = dict(zip(ids, label_N.tolist(), strict=True))
    with pytest.raises(DataError, match="1 test examples have no sealed label"):
        judge(candidates, judged(ids, classes), SealedTest({i: labels[i] for i in ids[1:]}), DIGEST)
    with pytest.raises(DataError, match="not one of the 8 classes"):
        judge(candidates, judged(ids, classes), SealedTest(labels | {ids[0]: 8}), DIGEST)


def test_labels_that_are_open_already_must_fit_too():
    candidates, ids, _, classes, label_N = make_run()
    criteria, known = Criteria(), {"contamination": {}}
    with pytest.raises(DataError, match="399 labels for 400 test images"):
        assess(candidates, judged(ids, classes), label_N[1:], criteria, **known)
    for foreign in (8, -1):
        label_N[3] = foreign
        with pytest.raises(DataError, match="not one of the 8 classes"):
            assess(candidates, judged(ids, classes), label_N, criteria, **known)
    with pytest.raises(DataError, match=r"shape \(400, 8\), not \(399, 8\)"):
        assess(candidates, judged(ids[1:], classes), label_N[1:], criteria, **known)


def test_sealed_labels_of_images_found_unreadable_later_are_ignored():
    candidates, ids, sealed, classes, _ = make_run()
    fewer = [
        Contestant(name=c.name, gmacs=c.gmacs, licence=c.licence, probability_NC=c.probability_NC[5:])
        for c in candidates
    ]
    verdict = judge(fewer, judged(ids[5:], classes), sealed, DIGEST)
    assert verdict.backbones[0].test.top1.n == 395


def test_predictions_come_back_row_by_row_for_the_run_to_write():
    candidates, ids, sealed, classes, label_N = make_run()
    for candidate, predictions in zip(
        candidates, judge(candidates, judged(ids, classes), sealed, DIGEST).predictions, strict=True
    ):
        assert predictions.name == candidate.name
        assert predictions.ids == ids
        assert predictions.label_N.tolist() == label_N.tolist()
        assert predictions.probability_NC is candidate.probability_NC


def test_the_same_data_and_choices_give_the_same_verdict():
    first, again = (
        judge(c, judged(i, names), s, DIGEST, Criteria(seed=3)) for c, i, s, names, _ in (make_run(), make_run())
    )
    assert first.backbones == again.backbones
    assert first.pairs == again.pairs
    assert first.decision == again.decision


def test_the_order_of_images_changes_no_figure():
    candidates, ids, sealed, classes, _ = make_run()
    first = judge(candidates, judged(ids, classes), sealed, DIGEST)
    turned = [
        Contestant(name=c.name, gmacs=c.gmacs, licence=c.licence, probability_NC=c.probability_NC[::-1])
        for c in candidates
    ]
    other = judge(turned, judged(ids[::-1], classes), make_run()[2], DIGEST)
    assert first.decision == other.decision
    for one, two in zip(first.backbones, other.backbones, strict=True):
        assert one.test.nll.value == pytest.approx(two.test.nll.value, abs=1e-12)
        assert one.test.ece.low == pytest.approx(two.test.ece.low, abs=1e-9)
        assert one.per_class == two.per_class


def test_warnings_of_the_data_become_caveats():
    candidates, ids, sealed, classes, _ = make_run()
    verdict = judge(candidates, judged(ids, classes, warnings=("3 images cross the split.",)), sealed, DIGEST)
    assert verdict.decision.caveats[0] == "3 images cross the split."


def test_grouped_images_give_a_caveat():
    candidates, ids, sealed, classes, _ = make_run()
    groups = {id_: str(i // 2) for i, id_ in enumerate(ids)}
    caveats = judge(candidates, judged(ids, classes, groups=groups), sealed, DIGEST).decision.caveats
    assert any("come from 200 groups" in c for c in caveats)


def test_a_test_of_one_group_gives_a_caveat_and_a_practical_pick():
    (strong, _), ids, sealed, classes, label_N = make_run(n=2_000)
    twin = Contestant(name="twin", gmacs=1.0, licence="mit", probability_NC=strong.probability_NC)
    other = SealedTest(dict(zip(ids, label_N.tolist(), strict=True)))
    assert judge([strong, twin], judged(ids, classes), sealed, DIGEST).decision.choose == "twin"
    decision = judge([strong, twin], judged(ids, classes, groups=dict.fromkeys(ids, "film")), other, DIGEST).decision
    assert (decision.choose, decision.strength) == ("twin", "practical")
    assert "equivalent" not in decision.sentence
    assert decision.sentence.endswith("nothing is known about other groups.")
    (said,) = [caveat for caveat in decision.caveats if "group" in caveat]
    assert said.startswith("All 2,000 test images belong to one group")


def test_one_image_and_two_classes_still_get_a_verdict():
    sealed = SealedTest({"a": 1})
    candidate = Contestant(name="m", gmacs=1.0, licence="mit", probability_NC=np.array([[0.3, 0.7]]))
    verdict = judge([candidate], judged(("a",), ["cat", "dog"]), sealed, DIGEST)
    test = verdict.backbones[0].test
    assert test.top5 is None
    assert (test.top1.low, test.top1.high) == (pytest.approx(0.2065, abs=1e-4), 1.0)
    cat, dog = verdict.backbones[0].per_class
    assert (cat.n, cat.recall, cat.precision, cat.f1) == (0, None, None, None)
    assert dog.recall.value == dog.precision == dog.f1 == 1.0


def test_a_verdict_survives_json():
    candidates, ids, sealed, classes, _ = make_run()
    verdict = judge(candidates, judged(ids, classes), sealed, DIGEST)
    things = {
        Metrics: verdict.backbones[0].test,
        tuple[ClassMetrics, ...]: verdict.backbones[0].per_class,
        tuple[Pair, ...]: verdict.pairs,
        Decision: verdict.decision,
    }
    for kind, thing in things.items():
        adapter = TypeAdapter(kind)
        assert adapter.validate_json(adapter.dump_json(thing)) == thing


def test_a_hundred_and_twenty_classes_of_ten_thousand_images_are_judged():
    candidates, ids, sealed, classes, _ = make_run(n=10_000, classes=120)
    verdict = judge(candidates, judged(ids, classes), sealed, DIGEST)
    assert len(verdict.backbones[0].per_class) == 120


def test_the_meaning_of_balanced_probabilities_is_stated_once():
    candidates, ids, sealed, classes, label_N = make_run()
    judgement = judge(candidates, judged(ids, classes), sealed, DIGEST, Criteria(balanced=True))
    (said,) = [caveat for caveat in judgement.decision.caveats if "equally frequent" in caveat]
    assert "ECE" in said
    plain = assess(candidates, judged(ids, classes), label_N, Criteria(), contamination={})
    assert not any("equally frequent" in caveat for caveat in plain.decision.caveats)
