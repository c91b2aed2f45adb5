"""Whether a stored race follows its own rule, and whether its sentences are those of its figures."""

import math

from vitrail.candidates.held_race import HeldRace
from vitrail.candidates.race import BEST_FEW, RaceDeparture
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
    for name in outcome.dropped:
        comparison.compare(f"race: {name} was behind the best {BEST_FEW}", True, _is_behind(name, race))
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
    least = max(0.0, departure.gain, -departure.bound)
    return (
        departure.difference <= departure.bound
        and departure.allowance >= least
        and departure.bound + departure.allowance < margin
    )


def _is_behind(name: str, race: HeldRace) -> bool:
    """Whether the best few of a dropped candidate's heat were at least as accurate at the last look."""
    accuracy, outcome = race.outcome.looks[-1].accuracy, race.outcome
    known = {runner.name: runner.known for runner in race.candidates}
    better = [
        other
        for other in outcome.finalists
        if known[other] == known[name] and accuracy.get(other, math.nan) >= accuracy.get(name, math.nan)
    ]
    return len(better) >= BEST_FEW
