"""A race for a run that a test has made: its backbones are the finalists, and one more candidate left."""

from dataclasses import replace

from vitrail.candidates.held_race import HeldRace, Runner
from vitrail.candidates.race import Look, Race, RaceDeparture
from vitrail.candidates.race_claims import say_claims
from vitrail.runs import Results

OUT = "gone<b>"


def add_race(results: Results) -> Results:
    """The results with a race in which OUT left at the second look, behind the first backbone."""
    finalists = tuple(result.name for result in results.backbones)
    first = dict.fromkeys(finalists, 0.75)
    left = RaceDeparture(name=OUT, leader=finalists[0], difference=-0.25, bound=-0.125, gain=0.05, allowance=0.125)
    outcome = Race(
        candidates=(*finalists, OUT),
        images=1_000,
        margin=results.options.margin,
        level=results.options.level,
        by_group=False,
        looks=(
            Look(images=100, accuracy=first | {OUT: 0.5}, departures=()),
            Look(images=200, accuracy=first | {OUT: 0.5}, departures=(left,)),
            Look(images=400, accuracy=first, departures=()),
        ),
        finalists=finalists,
        dropped=(),
    )
    runners = [Runner(name=name, known=False, gmacs=1.0, images=1_500, seconds=40.0) for name in finalists]
    held = HeldRace(
        outcome=outcome,
        candidates=(*runners, Runner(name=OUT, known=False, gmacs=2.0, images=200, seconds=20.0)),
        images=1_500,
        saved_gmacs=2_600.0,
        saved_seconds=130.0,
        unreadable=0,
        decode_s=30.0,
        claims=say_claims(outcome),
    )
    return replace(results, race=held)
