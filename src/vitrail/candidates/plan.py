"""What candidates from the catalogue will cost, before any work: downloads and time in the networks, as estimates.

The time follows from multiply-adds and from a speed that is measured on this machine (`backbones/speed.py`), or from
what `--max-ms` measured of each network. It is shown and changes no choice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vitrail.backbones.cards import Card
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.speed import Kind, Speed, kind_of, measure_speed
from vitrail.candidates.automatic import AutomaticChoice, ChosenBackbone, list_left_out
from vitrail.core.resources import Resources

BYTES_PER_PARAMETER = 4  # of published float32 weights
BEHIND_URL = "the images are behind a URL, and a plan lists nothing there"
LIST_NOT_HERE = "the list of the images is not on this machine, and a plan downloads nothing"
MOST_FITS = 3  # further cards of a file, in a sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedBackbone:
    """What a candidate costs: about so many bytes to download, and seconds of its network, None if nobody counted."""

    chosen: ChosenBackbone
    download_bytes: int
    gmacs: float
    seconds: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The candidates of a run and their estimated costs.

    `images` is None if nobody can count them yet, and `uncounted` says why not. `race` says whether they race.
    """

    choice: AutomaticChoice
    images: int | None
    uncounted: str
    backbones: tuple[PlannedBackbone, ...]
    speeds: dict[Kind, Speed]
    race: str

    @property
    def download_bytes(self) -> int:
        """About how much there is to download."""
        return sum(each.download_bytes for each in self.backbones)

    @property
    def seconds(self) -> float | None:
        """About how long all networks take; None if images were not counted."""
        return None if self.images is None else sum(each.seconds or 0.0 for each in self.backbones)


def make_plan(choice: AutomaticChoice, images: int | str, resources: Resources, *, race: str) -> Plan:
    """Estimate the costs of candidates; measures the speed of this machine.

    Args:
        choice: the candidates.
        images: their number, or why it is not known yet.
        resources: of the command.
        race: whether the candidates race, as a sentence.

    Returns:
        The estimates; without a number of images only those of downloads.
    """
    uncounted, count = (images, None) if isinstance(images, str) else ("", images)
    cards = [find_card(each.name) for each in choice.backbones]
    unmeasured = [card for each, card in zip(choice.backbones, cards, strict=True) if each.ms is None]
    kinds = dict.fromkeys(map(kind_of, unmeasured)) if count is not None else {}
    speeds = {kind: measure_speed(kind, threads=resources.threads.compute) for kind in kinds}
    return Plan(
        choice=choice,
        images=count,
        uncounted=uncounted,
        backbones=tuple(
            PlannedBackbone(
                chosen=each,
                download_bytes=BYTES_PER_PARAMETER * card.parameters if each.weights == "hub" else 0,
                gmacs=card.gmacs,
                seconds=None if count is None else count * _seconds_an_image(each, card, speeds),
            )
            for each, card in zip(choice.backbones, cards, strict=True)
        ),
        speeds=speeds,
        race=race,
    )


def _seconds_an_image(chosen: ChosenBackbone, card: Card, speeds: Mapping[Kind, Speed]) -> float:
    """What `--max-ms` measured, else an estimate."""
    return card.gmacs / speeds[kind_of(card)].gmacs_per_s if chosen.ms is None else chosen.ms / 1000


def say_candidates(plan: Plan) -> Iterator[str]:
    """The rule, each candidate with its reason and costs, what was left out, and the whole cost: a line each."""
    yield plan.choice.rule
    for number, each in enumerate(plan.backbones, start=1):
        yield f"{number}. {each.chosen.name}: {each.chosen.reason}; {_say_weights(each)}{_say_time(each.seconds)}"
    if any(each.recognised == "names and shapes" for each in plan.choice.backbones):
        yield (
            "Names and shapes of tensors are no proof of what a file is: -b NAME=FILE says it. Nobody states origin "
            "and licence of such a file."
        )
    for reason, names in list_left_out(plan.choice):
        yield f"Left out ({reason}): {', '.join(names)}."
    yield _say_cost(plan)
    yield plan.race


def _say_weights(planned: PlannedBackbone) -> str:
    chosen = planned.chosen
    if chosen.weights == "hub":
        return f"about {say_bytes(planned.download_bytes)} to download"
    if chosen.recognised != "names and shapes":
        return "a given file" if chosen.weights == "given folder" else "in the hub's cache"
    more = len(chosen.fits) - MOST_FITS
    fits = ", ".join(chosen.fits[:MOST_FITS]) + (f" and {more} more" if more > 0 else "")
    return "a given file, by names and shapes" + (f" (as well for {fits})" if fits else "")


def _say_time(seconds: float | None) -> str:
    return "" if seconds is None else f"; about {say_seconds(seconds)}"


def _say_cost(plan: Plan) -> str:
    download = f"about {say_bytes(plan.download_bytes)} to download" if plan.download_bytes else "nothing to download"
    if plan.seconds is None:
        return f"Estimate: {download}. There is no estimate of the time: {plan.uncounted}."
    speeds = "; ".join(f"{speed.network} with {speed.how}" for speed in plan.speeds.values())
    how = f"multiply-adds and the speed of {speeds}, measured here now" if speeds else "the times measured for --max-ms"
    return (
        f"Estimate: {download}, and about {say_seconds(plan.seconds)} in the networks for {plan.images:,} images, from "
        f"{how}. The fastest engine may take less; reading images and searching heads come in addition."
    )


def say_bytes(count: float) -> str:
    """344000000 as 344 MB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6)):,} MB"


def say_seconds(seconds: float) -> str:
    """A time to the accuracy of an estimate: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
