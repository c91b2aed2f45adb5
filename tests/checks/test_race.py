from dataclasses import replace

import pytest

from tests.delivery.examples import make_run
from tests.held_races import OUT, add_race
from vitrail.candidates.race_claims import say_claims
from vitrail.candidates.shortlist import ShortlistOptions
from vitrail.checks import race
from vitrail.checks.differences import Comparison
from vitrail.checks.race import check_race
from vitrail.runs import Results


def find_differences(results: Results) -> list[str]:
    comparison = Comparison()
    check_race(results, comparison)
    return [difference.where for difference in comparison.differences]


def change(results: Results, **changes: object) -> Results:
    return replace(results, race=replace(results.race, **changes))


def change_departure(results: Results, **changes: float) -> Results:
    outcome = results.race.outcome
    first, second, third = outcome.looks
    departures = (replace(second.departures[0], **changes),)
    return change(results, outcome=replace(outcome, looks=(first, replace(second, departures=departures), third)))


@pytest.fixture
def raced() -> Results:
    return add_race(make_run(["a", "b", "c"])[0])


def test_a_race_as_it_was_held_and_a_run_without_one_show_no_difference(raced):
    assert find_differences(raced) == []
    assert find_differences(replace(raced, race=None)) == []


def test_a_candidate_that_left_against_the_rule_is_found(raced):
    gain = "race: claims[3]"  # counts from the difference to bound and allowance
    by_rule, difference = (f"race: {OUT} on 200 images: {what}" for what in ("left by the rule", "difference"))
    assert find_differences(change_departure(raced, bound=0.5)) == [by_rule, gain]
    assert find_differences(change_departure(raced, difference=-0.2)) == [difference, gain]


def test_other_sentences_savings_and_finalists_are_found(raced):
    claims = (*raced.race.claims[:-1], "The pick is the best of all.")
    assert find_differences(change(raced, claims=claims)) == [f"race: claims[{len(claims) - 1}]"]
    assert find_differences(change(raced, saved_gmacs=1.0)) == ["race: saved_gmacs"]
    outcome = replace(raced.race.outcome, finalists=raced.race.outcome.finalists[:-1])
    assert "race: candidates that are out" in find_differences(change(raced, outcome=outcome))


def test_only_a_budget_drops_candidates_and_only_those_behind_the_best_few(raced, monkeypatch):
    monkeypatch.setattr(race, "BEST_FEW", len(raced.race.outcome.finalists))
    first, *_ = raced.race.outcome.looks

    def drop_at(accuracy: float) -> Results:
        look = replace(first, accuracy=first.accuracy | {OUT: accuracy})
        outcome = replace(raced.race.outcome, dropped=(OUT,), looks=(look,))
        return change(raced, outcome=outcome, claims=say_claims(outcome))

    behind = drop_at(0.5)
    assert find_differences(behind) == ["race: it had a budget"]
    budget = replace(raced.options, shortlist=ShortlistOptions(race_budget=0.2))
    assert find_differences(replace(behind, options=budget)) == []
    assert find_differences(replace(drop_at(1.0), options=budget)) == [
        f"race: {OUT} was behind the best {race.BEST_FEW}"
    ]
