"""Every branch of the decision, on cases made for it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.decision import Contender, decide, say_strength
from vitrail.evaluation.more_images import images_to_settle
from vitrail.evaluation.pairs import Family, conclude, judge_pair, turn
from vitrail.statistics.intervals import wilson
from vitrail.statistics.paired import paired_difference
from vitrail.statistics.weighted import Leads

MARGIN = 0.01
LICENCE = "apache-2.0"


def contender(name, correct, n, gmacs=4.0, licence=LICENCE):
    return Contender(name=name, accuracy=wilson(correct, n), gmacs=gmacs, licence=licence)


def make_pairs(contenders, discordances, margin=MARGIN):
    """Pairs from {(a, b): (only_a, only_b)}."""
    n = contenders[0].accuracy.n
    names = {name for places in discordances for name in places}
    family = Family(pairs=len(discordances), backbones=len(names), criteria=Criteria(margin=margin))
    return [
        judge_pair(a, b, Leads.of(np.repeat([1, -1, 0], [only_a, only_b, n - only_a - only_b])), family)
        for (a, b), (only_a, only_b) in discordances.items()
    ]


def decide_on(contenders, discordances, margin=MARGIN, **known):
    return decide(contenders, make_pairs(contenders, discordances, margin), margin=margin, **known)


def test_the_sentence_for_one_backbone_states_its_rate():
    decision = decide([contender("vit", 847, 1000)], [], margin=MARGIN)
    assert decision.sentence == "vit reaches 84.7% [82.3, 86.8] on 1,000 test images."
    assert (decision.choose, decision.strength, decision.losses) == ("vit", None, {})
    assert say_strength(decision) == "the only backbone"


def test_the_clearly_better_of_two_is_picked_whatever_it_costs():
    contenders = [contender("resnet", 746, 1000, 1.0), contender("vit", 847, 1000, 9.0)]
    decision = decide_on(contenders, {("resnet", "vit"): (40, 141)})
    assert decision.sentence == "vit beats resnet by 10.1 points [7.6, 12.7]: take vit."
    assert decision.choose == "vit"
    assert (
        "vit minus resnet: 10.1 points [7.6, 12.7]; only vit is right on 141 images, only resnet on 40"
        in decision.because[-1]
    )


@pytest.mark.parametrize(
    ("count", "limits", "others"), [(1, "7.4, 12.9", ", and c0 too"), (2, "7.1, 13.2", ", and 2 others too")]
)
def test_of_many_the_closest_is_named_and_the_rest_counted(count, limits, others):
    """Its interval is that of all pairs together, so it is wider the more there are."""
    contenders = [contender("a", 900, 1000), contender("b", 800, 1000)]
    contenders += [contender(f"c{i}", 700 - i, 1000) for i in range(count)]
    discordances = {}
    for one, other in itertools.combinations(contenders, 2):
        lead = round(1000 * (one.accuracy.value - other.accuracy.value))
        discordances[one.name, other.name] = (lead + 20, 20)
    decision = decide_on(contenders, discordances)
    assert decision.sentence == f"a beats b by 10.0 points [{limits}]{others}: take a."
    assert decision.strength == "proven"


def test_equivalent_backbones_are_decided_by_cost():
    contenders = [contender("a", 8500, 10_000, 16.0), contender("c", 8495, 10_000, 4.0)]
    decision = decide_on(contenders, {("a", "c"): (105, 100)})
    assert decision.sentence == "a and c are equivalent within 1 point; c costs a quarter of a's multiply-adds: take c."
    assert (decision.choose, decision.strength) == ("c", "equivalent")
    assert decision.losses["c"] == pytest.approx(0.00288, abs=1e-4)
    assert say_strength(decision) == "equivalent: at most 0.3 points less accurate than the best"


def test_with_one_group_every_pick_is_practical_and_the_sentence_claims_nothing_about_other_groups():
    contenders = [contender("a", 8500, 10_000, 16.0), contender("c", 8495, 10_000, 4.0)]
    decision = decide_on(contenders, {("a", "c"): (105, 100)}, one_group=True)
    assert (decision.choose, decision.strength) == ("c", "practical")
    assert decision.sentence == (
        "c costs a quarter of a's multiply-adds, and it is at most 0.3 points less accurate than a: take c. All test "
        "images belong to one group, so nothing is known about other groups."
    )
    beaten = [contender("a", 8540, 10_000, 16.0), contender("c", 8500, 10_000, 4.0)]
    decision = decide_on(beaten, {("a", "c"): (80, 40)}, one_group=True)
    assert (decision.choose, decision.strength) == ("c", "practical")
    open_ = [contender("a", 860, 1000, 16.0), contender("c", 855, 1000, 4.0)]
    decision = decide_on(open_, {("a", "c"): (65, 60)}, one_group=True)
    assert decision.sentence == (
        "a leads c by 0.5 points [-1.7, 2.7], too close to call. Take a, the most accurate here: it is at most 1.5 "
        "points less accurate than c. All test images belong to one group, so nothing is known about other groups."
    )
    better = [contender("a", 8600, 10_000, 16.0), contender("c", 8400, 10_000, 4.0)]
    decision = decide_on(better, {("a", "c"): (400, 200)}, one_group=True)
    assert (decision.choose, decision.strength) == ("a", "practical")
    assert decision.sentence == (
        "a beats c by 2.0 points [1.5, 2.5]: take a. All test images belong to one group, so nothing is known "
        "about other groups."
    )
    assert decide_on(better[:1], {}, one_group=True).choose == "a"


def test_three_equivalent_backbones_are_named_together():
    contenders = [
        contender("a", 8500, 10_000, 16.0),
        contender("d", 8490, 10_000, 8.0),
        contender("c", 8495, 10_000, 4.0),
    ]
    decision = decide_on(contenders, {("a", "d"): (105, 95), ("a", "c"): (105, 100), ("d", "c"): (100, 105)})
    assert decision.sentence.startswith("a, c and d are equivalent within 1 point; c costs a quarter of a's")


def test_a_real_lead_within_the_margin_is_decided_by_cost():
    contenders = [contender("a", 8540, 10_000, 16.0), contender("c", 8500, 10_000, 4.0)]
    decision = decide_on(contenders, {("a", "c"): (80, 40)})
    assert "take c" in decision.sentence
    assert "a minus c: 0.4 points [0.2, 0.6]" in decision.because[-1]


def test_a_lead_that_may_be_more_than_the_margin_is_not_given_up_for_cost():
    contenders = [contender("a", 8580, 10_000, 16.0), contender("c", 8500, 10_000, 4.0)]
    assert decide_on(contenders, {("a", "c"): (130, 50)}).choose == "a"


def test_equal_costs_are_decided_by_a_stated_licence_then_by_accuracy():
    counts = {("a", "c"): (105, 100)}
    unknown = contender("a", 8500, 10_000, licence="not stated (local file, sha256 0123)")
    decision = decide_on([unknown, contender("c", 8495, 10_000)], counts)
    assert decision.choose == "c"
    assert decision.sentence == "a and c are equivalent within 1 point; c costs the same: take c."
    assert decide_on([contender("a", 8500, 10_000), contender("c", 8495, 10_000)], counts).choose == "a"


def test_the_cheaper_is_taken_where_its_loss_is_bounded_though_equivalence_is_not_shown():
    contenders = [contender("a", 2535, 3000, 2.0), contender("b", 2536, 3000, 8.0)]
    decision = decide_on(contenders, {("a", "b"): (110, 111)})
    assert (decision.choose, decision.strength) == ("a", "equivalent")
    assert decision.sentence == (
        "a costs a quarter of b's multiply-adds, and it is at most 0.9 points less accurate than b: take a."
    )


def test_a_leader_that_is_the_cheapest_is_simply_taken():
    contenders = [contender("a", 86, 100, 2.0), contender("b", 85, 100, 8.0), contender("c", 80, 100, 4.0)]
    decision = decide_on(contenders, {("a", "b"): (9, 8), ("a", "c"): (11, 5), ("b", "c"): (10, 5)})
    assert (decision.choose, decision.strength) == ("a", "practical")
    assert "Take a, the most accurate here and the cheapest: it is at most" in decision.sentence


def test_a_cheaper_backbone_that_may_lose_more_than_the_margin_is_not_picked_and_becomes_a_caveat():
    contenders = [contender("a", 850, 1000, 16.0), contender("c", 846, 1000, 4.0)]
    decision = decide_on(contenders, {("a", "c"): (34, 30)})
    assert (decision.choose, decision.strength) == ("a", "equivalent")
    assert decision.sentence == (
        "a leads c by 0.4 points [-1.2, 2.0]; it is at most 1 point less accurate than c: take a."
    )
    assert decision.caveats == (
        "c costs less, but may be up to 1.8 points less accurate than the best: between a few and 20,000 more test "
        "images would settle it.",
    )


def test_if_no_loss_is_within_the_margin_the_smallest_possible_loss_decides():
    """a and b are level and differ on many images; c, in between on both, differs on few."""
    contenders = [contender("a", 850, 1000, 2.0), contender("b", 850, 1000, 4.0), contender("c", 849, 1000, 1.0)]
    decision = decide_on(contenders, {("a", "b"): (90, 90), ("a", "c"): (31, 30), ("b", "c"): (31, 30)}, margin=0.005)
    assert (decision.choose, decision.strength) == ("c", "practical")
    assert min(decision.losses.values()) == decision.losses["c"]
    assert decision.sentence.startswith(
        "a leads b by 0.0 points [-3.2, 3.2] and c by 0.1 points [-1.8, 2.0], too close to call. "
        "Take c, the cheapest: it is at most 1.8 points less accurate than the best of them. "
    )


def test_one_that_is_beaten_is_not_taken_because_it_differs_from_the_others_on_few_images():
    contenders = [contender("a", 382, 700, 2.0), contender("b", 382, 700, 4.0), contender("c", 375, 700, 1.0)]
    decision = decide_on(contenders, {("a", "b"): (26, 26), ("a", "c"): (7, 0), ("b", "c"): (7, 0)})
    assert decision.losses["c"] < decision.losses["a"]
    assert decision.choose == "a"


def test_equally_accurate_backbones_are_called_tied():
    contenders = [contender("a", 85, 100), contender("b", 85, 100)]
    decision = decide_on(contenders, {("a", "b"): (6, 6)})
    assert decision.sentence == (
        "a and b are tied at 85.0% [76.7, 90.7], too close to call. Take a: it is at most 6.4 points less accurate "
        "than b. Between 15 and 40,000 more test images would settle it, depending on how "
        "large the difference really is."
    )


def test_no_discordance_in_few_images_is_not_equivalence():
    contenders = [contender("a", 27, 30), contender("b", 27, 30)]
    decision = decide_on(contenders, {("a", "b"): (0, 0)})
    assert decision.strength == "practical"
    assert decision.losses == pytest.approx({"a": 0.0874, "b": 0.0874}, abs=1e-3)


@pytest.mark.parametrize("right", [0, 1])
def test_one_image_tells_next_to_nothing_and_still_a_pick_is_made(right):
    contenders = [contender("a", right, 1, 4.0), contender("b", right, 1, 2.0)]
    decision = decide_on(contenders, {("a", "b"): (0, 0)})
    assert (decision.choose, decision.strength) == ("b", "practical")
    assert decision.losses["b"] > 0.7


def test_the_images_that_would_settle_it_are_a_range_over_the_differences_that_are_possible():
    """Fewest if the other is far ahead, most if it is about half the margin ahead; none if it is behind."""

    def settle(only_a, only_b, n=1000):
        pair = make_pairs([contender("a", n // 2, n)], {("a", "c"): (only_a, only_b)})[0]
        return images_to_settle([pair], margin=MARGIN, tests=1, backbones=2)

    assert settle(70, 50) == (0.0, 0.0)  # at most 0.2 points behind
    least, most = settle(50, 90)
    assert 0 <= least < 1000 < most
    assert settle(500, 900, 10_000)[1] < 0.95 * most  # the count that remains: 9,000 more are there already
    # Near half the margin behind both tests need as many: the wide interval of few images does not step over it.
    assert settle(0, 0, 30)[1] == pytest.approx(2 / 32 * ((1.96 + 0.84 + 1.645 + 0.84) / MARGIN) ** 2, rel=0.03)


def test_many_undecided_backbones_are_named_or_counted():
    contenders = [contender(f"m{i}", 850 - i, 1000, 10.0 - i) for i in range(6)]
    discordances = {(a.name, b.name): (31, 30) for a, b in itertools.combinations(contenders, 2)}
    decision = decide_on(contenders, discordances)
    assert decision.sentence.startswith("m0 leads m1 by 0.1 points [")
    assert "2 more, too close to call. Take m0, the most accurate here: it is" in decision.sentence
    cheap = {(a, b): (61, 60) if "m5" not in (a, b) else (31, 30) for a, b in discordances}
    decision = decide_on(contenders, cheap)
    assert decision.choose == "m5"
    assert ", m2 by 0.1 points [-3.2, 3.4], m5 by 0.1 points [-2.3, 2.5] and 2 more" in decision.sentence


def test_a_safe_choice_may_leave_a_still_cheaper_backbone_open():
    contenders = [
        contender("a", 8500, 10_000, 16.0),
        contender("b", 8495, 10_000, 4.0),
        contender("c", 8470, 10_000, 1.0),
    ]
    decision = decide_on(contenders, {("a", "b"): (105, 100), ("a", "c"): (830, 800), ("b", "c"): (825, 800)})
    assert decision.choose == "b"
    assert decision.sentence == (
        "b costs a quarter of a's multiply-adds, and it is at most 0.6 points less accurate than the best of them: "
        "take b."
    )
    assert decision.caveats[0].startswith("c costs less, but may be up to 1.2 points less accurate than the best: ")


def test_an_unstated_licence_of_the_chosen_one_is_a_caveat():
    for licence in ("", "unknown", "not stated (local file, sha256 0123)"):
        decision = decide([contender("vit", 847, 1000, licence=licence)], [], margin=MARGIN)
        assert "The licence of vit is not stated: check whether you may use it." in decision.caveats
    assert not decide([contender("vit", 847, 1000)], [], margin=MARGIN).caveats


def test_warnings_come_before_what_the_decision_adds():
    decision = decide([contender("vit", 847, 1000, licence="")], [], margin=MARGIN, caveats=["Groups cross."])
    assert decision.caveats[0] == "Groups cross."


def test_what_one_test_alone_would_say_is_not_said_of_a_pair_among_many():
    contenders = [contender("a", 860, 1000), contender("b", 842, 1000), contender("c", 841, 1000)]
    counts = {("a", "b"): (48, 30), ("a", "c"): (49, 30), ("b", "c"): (30, 29)}
    pairs = make_pairs(contenders, counts)
    assert pairs[1].mcnemar_p < 0.05 < pairs[1].adjusted_p
    assert pairs[1].difference.low <= 0 < conclude_alone(49, 30)
    decision = decide(contenders, pairs, margin=MARGIN)
    assert (decision.choose, decision.strength) == ("a", "equivalent")


def conclude_alone(only_a, only_b):
    return paired_difference(only_a, only_b, 1000).low


def test_one_of_many_that_looks_safe_alone_is_not_where_it_was_chosen_from_many():
    def run(size):
        contenders = [contender("a", 2550, 3000, 16.0), contender("c", 2550, 3000, 1.5)]
        contenders += [contender(f"m{i}", 2551, 3000, 1.0 if i == 0 else 20.0 + i) for i in range(size - 2)]
        counts = dict.fromkeys([(a.name, b.name) for a, b in itertools.combinations(contenders, 2)], (110, 110))
        counts |= {pair: (106, 106) for pair in counts if "c" in pair}
        return decide_on(contenders, counts)

    assert (run(2).choose, run(2).strength) == ("c", "equivalent")
    assert run(8).strength == "practical"
    assert run(8).losses["c"] > MARGIN > run(2).losses["c"]


@pytest.mark.parametrize(
    ("only_a", "only_b", "pairs", "expected"),
    [
        (60, 20, 1, "a is better"),
        (20, 60, 1, "b is better"),
        (40, 20, 45, "undecided"),
        (5, 5, 1, "equivalent"),
        (5, 0, 1, "equivalent"),  # Tango's interval leaves out 0, McNemar's exact test does not reject
    ],
)
def test_a_pair_is_concluded_from_its_interval_and_the_test_agrees(only_a, only_b, pairs, expected):
    family = Family(pairs=pairs, backbones=2, criteria=Criteria(margin=MARGIN))
    pair = judge_pair("a", "b", Leads.of(np.repeat([1, -1, 0], [only_a, only_b, 2000 - only_a - only_b])), family)
    assert pair.conclusion == expected == conclude(pair.difference, MARGIN)
    assert (pair.adjusted_p < 0.05) == ("better" in expected)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([1, 6, 45, 780]), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=300, deadline=None)
def test_an_interval_leaves_out_zero_exactly_where_the_test_of_all_pairs_rejects(only_a, only_b, pairs, level):
    family = Family(pairs=pairs, backbones=4, criteria=Criteria(level=level))
    pair = judge_pair("a", "b", Leads.of(np.repeat([1, -1, 0], [only_a, only_b, 300])), family)
    left_out = pair.difference.low > 0 or pair.difference.high < 0
    assert left_out == (pair.adjusted_p < 1 - level)
    assert pair.difference.low <= pair.difference.value <= pair.difference.high
    assert pair.loss_a >= 0.0 - pair.difference.value


def test_a_pair_turned_twice_is_itself():
    contenders = [contender("a", 850, 1000), contender("b", 800, 1000)]
    pair = make_pairs(contenders, {("a", "b"): (70, 20)})[0]
    turned = turn(pair)
    assert (turned.a, turned.only_a, turned.conclusion) == ("b", 20, "b is better")
    assert turned.difference.low == -pair.difference.high
    assert turn(turned) == pair


@st.composite
def runs(draw):
    n = draw(st.sampled_from([60, 700, 9000]))
    size = draw(st.integers(2, 4))
    contenders = [
        contender(
            f"m{i}",
            draw(st.integers(n // 2, n)),
            n,
            draw(st.sampled_from([0.0, 1.0, 4.0, 16.0])),
            draw(st.sampled_from([LICENCE, ""])),
        )
        for i in range(size)
    ]
    discordances = {}
    for a, b in itertools.combinations(contenders, 2):
        lead = round(n * (a.accuracy.value - b.accuracy.value))
        both = draw(st.integers(0, (n - abs(lead)) // 2))
        discordances[a.name, b.name] = (max(lead, 0) + both, max(-lead, 0) + both)
    return contenders, discordances


@given(runs(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_a_choice_is_never_beaten_and_no_order_changes_it(run, random):
    contenders, discordances = run
    pairs = make_pairs(contenders, discordances)
    decision = decide(contenders, pairs, margin=MARGIN)
    for pair in pairs:
        seen = pair if pair.a == decision.choose else turn(pair)
        if seen.a == decision.choose and seen.conclusion == "b is better":
            assert decision.losses[decision.choose] < MARGIN  # given up for the cost, by less than the margin
    assert f"take {decision.choose.lower()}" in decision.sentence.lower()
    if decision.strength == "equivalent":
        assert decision.losses[decision.choose] < MARGIN
    if decision.strength == "proven":
        assert decision.losses[decision.choose] == 0
    random.shuffle(contenders)
    shuffled = [turn(p) if random.random() < 0.5 else p for p in pairs]
    other = decide(contenders, shuffled, margin=MARGIN)
    assert (other.sentence, other.choose, other.losses) == (decision.sentence, decision.choose, decision.losses)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 5])
def test_a_backbone_worse_by_the_margin_is_rarely_taken_for_its_cost(size):
    """All are as good but for the cheap ones, which lose just the margin: the case in which cost misleads most."""
    generator = np.random.default_rng(0)
    n, margin, wrong = 1500, 0.03, 0
    for _ in range(800):
        hard_N = generator.random(n)
        # A model is right below a threshold, up to noise of its own; half of the models are cheap and worse.
        right = [(hard_N < 0.85 - margin * (i >= size / 2)) ^ (generator.random(n) < 0.03) for i in range(size)]
        contenders = [contender(f"m{i}", int(r.sum()), n, 10.0 - i) for i, r in enumerate(right)]
        counts = {
            (f"m{i}", f"m{j}"): (int((right[i] & ~right[j]).sum()), int((right[j] & ~right[i]).sum()))
            for i in range(size)
            for j in range(i + 1, size)
        }
        decision = decide(contenders, make_pairs(contenders, counts, margin * 0.94), margin=margin * 0.94)
        wrong += decision.strength != "practical" and int(decision.choose[1:]) >= size / 2
    assert wrong / 800 <= 0.05 + 0.016
