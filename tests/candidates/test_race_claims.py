from vitrail.candidates.race import Look, Race, RaceDeparture
from vitrail.candidates.race_claims import say_claims


def race(*departed, dropped=0, sizes=(156, 625), by_group=False):
    """A race of 12, with so many departures at each look."""
    names = [f"m{k}" for k in range(12)]
    left, looks = 0, []
    for images, count in zip(sizes, departed, strict=True):
        departures = tuple(
            RaceDeparture(name=name, leader="m11", difference=-0.05, bound=0.001, gain=0.002, allowance=0.0061)
            for name in names[left : left + count]
        )
        looks.append(Look(images=images, accuracy=dict.fromkeys(names[left:], 0.5), departures=departures))
        left += count
    return Race(
        candidates=tuple(names),
        images=5_000,
        margin=0.01,
        level=0.95,
        by_group=by_group,
        looks=tuple(looks),
        finalists=tuple(names[left + dropped :]),
        dropped=tuple(names[left : left + dropped]),
    )


def test_the_claims_are_said_word_for_word():
    assert " ".join(say_claims(race(4, 5))) == (
        "Nine of 12 candidates left. When each left, on 156 to 625 training images, its leave-one-out ridge head was "
        "at most 1 point better than the leader's at that look (joint 95% bound). The bound is approximate: on "
        "simulated features limits of such heads held in 93 to 99% of the draws where 97.5% was promised. This does "
        "not bound heads trained on all images: the forecast further gain is at most 5.8 points, and "
        "none of these gains makes a lead of 1 point (a forecast). The test compared only the finalists."
    )


def test_one_look_and_one_departure_are_said_of_one():
    assert say_claims(race(0, 1))[:2] == (
        "One of 12 candidates left.",
        "When it left, on 625 training images, its leave-one-out ridge head was at most 1 point better than the "
        "leader's at that look (joint 95% bound).",
    )


def test_groups_are_left_out_whole():
    assert "its leave-one-group-out ridge head" in say_claims(race(4, 6, by_group=True))[1]
    assert say_claims(race(4, 6))[0] == "10 of 12 candidates left."


def test_nothing_is_claimed_where_nobody_left():
    assert say_claims(race(0, 0)) == ("None of 12 candidates left.", "The test compared all candidates.")


def test_nothing_is_claimed_about_candidates_that_the_budget_dropped():
    assert say_claims(race(2, 0, dropped=7))[4] == (
        "The budget ended the race on 625 training images. 7 candidates that were still racing did not go on: nothing "
        "is claimed about them."
    )
    assert (
        "1 candidate that was still racing did not go on: nothing is claimed about it."
        in (say_claims(race(2, 0, dropped=1))[4])
    )
