"""A race that was held, with what it cost: a part of results.json."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from vitrail.backbones import BackboneSpec
from vitrail.candidates.race import Race


@dataclass(frozen=True, kw_only=True, slots=True)
class Runner:
    """A candidate of a race.

    `known` says that it is known to have seen the data: such candidates race among themselves. `images` is the number
    of images that it is run on, of all splits for a finalist. `seconds` is the time of its network in the race.
    """

    name: str
    known: bool
    gmacs: float
    images: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldRace:
    """A race, its candidates, and the sentences that say what may be claimed.

    `images` counts the images of all splits, on which every candidate would be run without a race. `saved_gmacs` are
    the multiply-adds of images on which candidates were not run, and `saved_seconds` the time of their networks for
    these images at their pace in the race: an estimate. Images of the race that could not be decoded are `unreadable`.
    `decode_s` is the CPU time of reading and resizing for the looks, without rows that an earlier start left.
    """

    outcome: Race
    candidates: tuple[Runner, ...]
    images: int
    saved_gmacs: float
    saved_seconds: float
    unreadable: int
    decode_s: float = field(compare=False)
    claims: tuple[str, ...]

    def choose(self, specs: Sequence[BackboneSpec]) -> tuple[BackboneSpec, ...]:
        """The finalists among the candidates."""
        return tuple(spec for spec in specs if spec.name in self.outcome.finalists)

    @property
    def out(self) -> tuple[str, ...]:
        """The candidates that do not take part in the test."""
        return tuple(name for name in self.outcome.candidates if name not in self.outcome.finalists)
