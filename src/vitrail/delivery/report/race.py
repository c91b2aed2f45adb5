"""The race of the candidates: who left on how many training images, how far behind, and what that saved."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrail.candidates.held_race import HeldRace
from vitrail.delivery.report.numbered import Place, number_places
from vitrail.delivery.report.svg import Axis, draw_grid, drawing, element, fit, say_percent
from vitrail.runs import Results

WIDTH, HEIGHT = 640.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 28.0, 12.0, 32.0
RADIUS = 3.5  # of the end of a line
# Of a number beside the end of its line; lines come from the left.
OFFSETS = tuple((right, down) for down in (4.0, -6.0, 14.0, -16.0, 24.0) for right in (8.0, -8.0))
LEAST_APART = 44.0  # between two figures on the axis


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceRow:
    """One candidate. Figures of its departure are fractions, and None if it did not leave by the rule."""

    name: str
    known: bool
    end: str
    images: int
    accuracy: float | None
    difference: float | None
    bound: float | None
    gain: float | None
    allowance: float | None
    leader: str
    gmacs: float
    saved_gmacs: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceSection:
    """What the page shows of a race: a row for each candidate, and the accuracies look by look."""

    held: HeldRace
    rows: tuple[RaceRow, ...]
    chart: Markup
    saved_share: float


def describe_race(results: Results, colours: Mapping[str, int]) -> RaceSection | None:
    """The section of a run whose candidates raced; None for any other, or if there was no look.

    `colours` are those of the finalists on the page.
    """
    held = results.race
    if held is None or not held.outcome.looks:
        return None
    everything = held.images * math.fsum(runner.gmacs for runner in held.candidates)
    rows = tuple(sorted(_list_rows(held), key=lambda row: (row.accuracy is None, row.end != "finalist", -row.images)))
    return RaceSection(
        held=held,
        rows=rows,
        chart=_draw([row.name for row in rows if row.accuracy is not None], held, colours),
        saved_share=held.saved_gmacs / everything if everything else 0.0,
    )


def _list_rows(held: HeldRace) -> list[RaceRow]:
    departures = {departure.name: departure for departure in held.outcome.departures}
    rows = []
    for runner in held.candidates:
        left = departures.get(runner.name)
        end = "left" if left else "finalist" if runner.name in held.outcome.finalists else "dropped by the budget"
        seen = [look.accuracy[runner.name] for look in held.outcome.looks if runner.name in look.accuracy]
        rows.append(
            RaceRow(
                name=runner.name,
                known=runner.known,
                end=end,
                images=runner.images,
                accuracy=seen[-1] if seen else None,
                difference=left.difference if left else None,
                bound=left.bound if left else None,
                gain=left.gain if left else None,
                allowance=left.allowance if left else None,
                leader=left.leader if left else "",
                gmacs=runner.gmacs,
                saved_gmacs=(held.images - runner.images) * runner.gmacs,
            )
        )
    return rows


def _draw(names: Sequence[str], held: HeldRace, colours: Mapping[str, int]) -> Markup:
    """Accuracy against images of the look, a numbered line for each candidate, dashed for those that are out."""
    looks = held.outcome.looks
    images = [max(1, look.images) for look in looks]
    rates = [rate for look in looks for rate in look.accuracy.values()]
    low = math.log2(min(images))
    x = Axis(low=low, high=max(math.log2(max(images)), low + 1), step=1, start=LEFT + 8, end=WIDTH - RIGHT)
    y = fit(rates, start=HEIGHT - BOTTOM, end=TOP, ticks=5, most=1.0)
    ends, lines = [], []
    for name in names:
        places = [
            (x.at(math.log2(max(1, look.images))), y.at(look.accuracy[name])) for look in looks if name in look.accuracy
        ]
        ends.append(places[-1])
        colour = {"class_": f"s{colours[name]}"} if name in colours else {}
        lines.append(element("g", *_draw_line(name, held, places), **colour))
    label = "Left-out accuracy of each candidate by training images of the look"
    grid = [*draw_grid(y, LEFT, WIDTH - RIGHT, say_percent), *_mark_looks(images, x)]
    numbers = number_places(ends, OFFSETS, radius=RADIUS, bounds=(0.0, 0.0, WIDTH, HEIGHT - BOTTOM))
    return drawing(*grid, *lines, *numbers, width=WIDTH, height=HEIGHT, class_="chart wide", label=label)


def _mark_looks(images: Sequence[int], x: Axis) -> list[Markup]:
    shown: list[int] = []
    for count in reversed(images):
        if not shown or x.at(math.log2(shown[-1])) - x.at(math.log2(count)) >= LEAST_APART:
            shown.append(count)
    return [
        element("text", f"{count:,}", x=x.at(math.log2(count)), y=HEIGHT - BOTTOM + 18, text_anchor="middle")
        for count in shown
    ]


def _draw_line(name: str, held: HeldRace, places: Sequence[Place]) -> list[Markup]:
    last = next(look for look in reversed(held.outcome.looks) if name in look.accuracy)
    style = "val" if name in held.outcome.finalists else "train"
    title = f"{name}: {100 * last.accuracy[name]:.1f}% on {last.images:,} images"
    line = element("polyline", class_=style, points=" ".join(f"{place:.1f},{height:.1f}" for place, height in places))
    end = element(
        "circle", element("title", title), class_=f"{style}-end", cx=places[-1][0], cy=places[-1][1], r=RADIUS
    )
    return [line, end]
