"""What may be said of candidates that left a race: these sentences, in the terminal, the report and results.json."""

import math

from vitrail.candidates.race import Race

WORDS = ("None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def say_claims(race: Race) -> tuple[str, ...]:
    """What is known of the candidates that left, and what is not; less if the budget ended the race."""
    return (*_say_departures(race), *_say_dropped(race), _say_tested(race))


def _say_departures(race: Race) -> tuple[str, ...]:
    count, total = len(race.departures), len(race.candidates)
    left = f"{WORDS[count] if count < len(WORDS) else count} of {total} candidates left."
    if count == 0:
        return (left,)
    sizes = [look.images for look in race.looks if look.departures]
    images = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    # From what was measured at the look to the most that is forecast with all images.
    gain = max(each.bound + each.allowance - each.difference for each in race.departures)
    return (
        left,
        f"When {'it' if count == 1 else 'each'} left, on {images} training images, its "
        f"leave-one-{'group-' if race.by_group else ''}out ridge head was at most {_say_points(race.margin)} better "
        f"than the leader's at that look (joint {100 * race.level:g}% bound).",
        "The bound is approximate: on simulated features limits of such heads held in 93 to 99% of the draws where "
        "97.5% was promised.",
        "This does not bound heads trained on all images: the forecast further gain is at most "
        f"{_say_points(gain)}, and {'it does not make' if count == 1 else 'none of these gains makes'} a lead of "
        f"{_say_points(race.margin)} (a forecast).",
    )


def _say_dropped(race: Race) -> tuple[str, ...]:
    count = len(race.dropped)
    if count == 0:
        return ()
    return (
        f"The budget ended the race on {race.looks[-1].images:,} training images. {count:,} "
        f"{'candidate that was' if count == 1 else 'candidates that were'} still racing did not go on: "
        f"nothing is claimed about {'it' if count == 1 else 'them'}.",
    )


def _say_tested(race: Race) -> str:
    if len(race.finalists) == len(race.candidates):
        return "The test compared all candidates."
    return "The test compared only the finalists."


def _say_points(fraction: float) -> str:
    """A bound, rounded up to a tenth of a point: "1 point", "0.5 points"."""
    points = f"{math.ceil(1000 * fraction - 1e-9) / 10:.1f}".removesuffix(".0")
    return f"{points} point" if points == "1" else f"{points} points"
