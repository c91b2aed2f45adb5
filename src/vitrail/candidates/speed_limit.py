"""Leaves networks out of an automatic choice that take longer than `--max-ms` on this machine.

Only what would be chosen is measured: the first candidates, then those that take the places of the slow ones, and so
on. The outcome is the same as if every network had been measured first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vitrail.backbones import Card
from vitrail.candidates.shortlist import Shortlist
from vitrail.core.errors import UsageError
from vitrail.core.progress import Progress, running
from vitrail.features.network_speed import NetworkSpeed

TASK = "Measuring networks"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What was measured, by the names of the cards, for a limit in milliseconds an image."""

    limit: float
    speeds: dict[str, NetworkSpeed] = field(default_factory=dict)

    @property
    def too_slow(self) -> dict[str, float]:
        """Milliseconds of those over the limit."""
        return {name: speed.ms for name, speed in self.speeds.items() if speed.ms > self.limit}


def choose_within(
    limit: float,
    cards: Sequence[Card],
    choose: Callable[[Sequence[Card]], Shortlist],
    measure: Callable[[Card], NetworkSpeed],
    progress: Progress,
) -> tuple[Shortlist, Measured]:
    """Choose candidates that keep a limit.

    Args:
        limit: milliseconds an image.
        cards: the catalogue.
        choose: makes a shortlist of those cards that are left.
        measure: says how long an image takes.
        progress: of the command.

    Returns:
        The shortlist, and what was measured for it.

    Raises:
        UsageError: no candidate keeps the limit.
    """
    measured = Measured(limit=limit)
    while True:
        try:
            shortlist = choose([card for card in cards if card.name not in measured.too_slow])
        except UsageError:
            if measured.speeds:
                raise UsageError(_say_all_slow(measured)) from None
            raise
        new = [card for card in shortlist.cards if card.name not in measured.speeds]
        if not new:
            return shortlist, measured
        with running(progress, TASK, total=len(new), unit="networks"):
            for card in new:
                measured.speeds[card.name] = measure(card)
                progress.advance(TASK, 1)


def say_limit(measured: Measured) -> str:
    """The limit and how it was measured, in a sentence."""
    return (
        f"Each takes at most {measured.limit:g} ms an image in its network on this machine, as measured with random "
        f"weights ({_say_how(measured)})."
    )


def _say_all_slow(measured: Measured) -> str:
    fastest = min(measured.speeds, key=lambda name: measured.speeds[name].ms)
    count = len(measured.speeds)
    return (
        f"No candidate takes at most {measured.limit:g} ms an image on this machine ({_say_how(measured)}). The "
        f"fastest of {count} that {'were' if count > 1 else 'was'} measured is {fastest} with "
        f"{measured.speeds[fastest].ms:.3g} ms: raise --max-ms."
    )


def _say_how(measured: Measured) -> str:
    return "; ".join(dict.fromkeys(speed.how for speed in measured.speeds.values()))
