"""Numbers as people read them. Percentages, thousands and units exist only here and in the terminal."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from vitrail.backbones.cards import NOT_STATED
from vitrail.backbones.engine_trial import trial_in_words
from vitrail.candidates.decoding import decoding_in_words
from vitrail.candidates.parity import parity_in_words
from vitrail.core.progress import Phase
from vitrail.delivery.units import NOTHING, big, milliseconds
from vitrail.evaluation.contamination import mark
from vitrail.runs import RunCost
from vitrail.statistics.intervals import Interval

MINUS = "\N{MINUS SIGN}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
LEAST_P = 1e-4


def percent(value: float) -> str:
    """0.8084 as 80.8%."""
    return f"{100 * value:.1f}%"


def chance(probability: float) -> str:
    """The probability of one answer: neither certain nor impossible by rounding alone."""
    if 0.9995 <= probability < 1:
        return f">{NARROW}99.9%"
    return f"<{NARROW}0.1%" if 0 < probability < 0.0005 else percent(probability)


def rate_bounds(interval: Interval) -> str:
    """The interval of a rate in percent: [79.1, 82.4]."""
    return f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def figure(value: float) -> str:
    """A figure that is not a rate, to three decimals."""
    return _signed(f"{value:.3f}")


def figure_bounds(interval: Interval) -> str:
    """The interval of a figure that is not a rate: [0.612, 0.701]."""
    return f"[{_signed(f'{interval.low:.3f}')}, {_signed(f'{interval.high:.3f}')}]"


def points(value: float) -> str:
    """A difference of two rates in percentage points, with its sign: +10.3."""
    return _signed(f"{100 * value:+.1f}")


def points_bounds(interval: Interval) -> str:
    """The interval of a difference of rates: [+8.1, +12.4]."""
    return f"[{points(interval.low)}, {points(interval.high)}]"


def p_value(p: float) -> str:
    """A p value to two digits, or that it is under a ten-thousandth."""
    if p < LEAST_P:
        return f"<{NARROW}0.0001"
    return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def count(number: int) -> str:
    """12345 as 12,345."""
    return f"{number:,}"


def plural(number: int, singular: str, many: str | None = None) -> str:
    """1 image, 2,040 images."""
    return f"{number:,} {singular if number == 1 else many or singular + 's'}"


def memory(amount: int) -> str:
    """Bytes in gigabytes, or in megabytes below one."""
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """Seconds as 0.42 s, 38 s, 12 min 5 s or 3 h 20 min."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


PHASES: dict[Phase, str] = {
    "reading": "reading and hashing the files",
    "near-duplicates": "near-duplicates",
    "race": "race of the candidates",
    "starting networks": "weights read, networks started",
    "features": "images decoded and run through the networks, at the same time",
    "search": "heads searched",
    "refits": "the chosen heads fitted again: out of fold, on other splits, with fewer images",
    "checks": "thresholds, traces of contamination, comparison with float32",
    "verdict": "verdict on the test images",
    "page": "the page",
}


def parts_of(cost: RunCost) -> list[tuple[str, float]]:
    """Where the time of a run went, in words and seconds."""
    return [*((PHASES[phase], seconds) for phase, seconds in cost.parts.items()), ("all else", cost.other_s)]


def pace(images_per_s: float) -> str:
    """Images a second, in whole ones from a hundred up: 4.03, 38.2, 1,230."""
    return f"{images_per_s:,.0f}" if images_per_s >= 100 else f"{images_per_s:.3g}"


def setting(values: Mapping[str, Any]) -> str:
    """What a search chose: C 0.01, dropout 0.2."""
    return ", ".join(f"{key.replace('_', ' ')} {plain(value)}" for key, value in values.items())


def plain(value: Any) -> str:
    """An option or a setting in short: numbers to three digits, lists with commas, nothing as a dash."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    if isinstance(value, Mapping):
        return setting(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    return str(value)


def stated(fact: str | Sequence[str]) -> str:
    """A fact of a card, or several; an empty one is not confirmed by any source."""
    return (fact if isinstance(fact, str) else ", ".join(fact)) or NOT_STATED


def breakable(name: str) -> Markup:
    """A name that may be broken after an underscore, a dot, a slash or a dash, so that it fits a phone."""
    return Markup("<wbr>").join(escape(part) for part in _parts(name))


def _signed(text: str) -> str:
    # What rounds to nothing has no sign.
    if not re.search("[1-9]", text):
        return text.lstrip("+-")
    return text.replace("-", MINUS)


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"(?<=[_./\\-])", name) if part]


FILTERS = {
    "big": big,
    "breakable": breakable,
    "chance": chance,
    "count": count,
    "duration": duration,
    "figure": figure,
    "figure_bounds": figure_bounds,
    "mark": mark,
    "memory": memory,
    "milliseconds": milliseconds,
    "p_value": p_value,
    "pace": pace,
    "parity": parity_in_words,
    "decoding": decoding_in_words,
    "percent": percent,
    "plain": plain,
    "plural": plural,
    "points": points,
    "points_bounds": points_bounds,
    "rate_bounds": rate_bounds,
    "setting": setting,
    "stated": stated,
    "trial": trial_in_words,
}
