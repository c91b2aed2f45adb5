"""Whether a stored race follows its own rule, and whether its sentences are those of its figures."""

import math

from vitrail.candidates.race import RaceDeparture
from vitrail.candidates.race_claims import say_claims
from vitrail.checks.differences import Comparison
from vitrail.runs.results import Results


def check_race(results: Results, comparison: Comparison) -> None:
    """Compare what a race says of itself: who was tested, the rule of departures, the claims, the savings."""
    if results.race is None:
        return
    race, outcome = results.race, results.race.outcome
    comparison.compare("race: finalists", sorted(outcome.finalists), sorted(each.name for each in results.backbones))
    comparison.compare("race: candidates", list(outcome.candidates), [runner.name for runner in race.candidates])
    gone = {departure.name for departure in outcome.departures} | set(outcome.dropped)
    comparison.compare("race: candidates that are out", sorted(race.out), sorted(gone))
    if outcome.dropped:
        shortlist = results.options.shortlist
        comparison.compare("race: it had a budget", True, shortlist is not None and shortlist.race_budget < 1)
    comparison.compare("race: margin", outcome.margin, results.options.margin)
    comparison.compare("race: level", outcome.level, results.options.level)
    for look in outcome.looks:
        for departure in look.departures:
            lead = look.accuracy.get(departure.name, math.nan) - look.accuracy.get(departure.leader, math.nan)
            where = f"race: {departure.name} on {look.images} images"
            comparison.compare(f"{where}: difference", departure.difference, lead)
            comparison.compare(f"{where}: left by the rule", True, _may_leave(departure, outcome.margin))
    if outcome.looks:
        comparison.compare("race: claims", list(race.claims), list(say_claims(outcome)))
    saved = math.fsum((race.images - runner.images) * runner.gmacs for runner in race.candidates)
    comparison.compare("race: saved_gmacs", race.saved_gmacs, saved)


def _may_leave(departure: RaceDeparture, margin: float) -> bool:
    return departure.difference <= departure.bound and departure.bound + departure.allowance < margin
