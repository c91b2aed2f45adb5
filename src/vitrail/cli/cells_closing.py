"""What `vitrail reproduce vit-table2` and `probes` print: published figures beside measured ones, or the plan."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

from rich.markup import escape

from vitrail.backbones.speed import Kind, Speed
from vitrail.cli.closing import print_hanging
from vitrail.cli.columns import Column, print_columns
from vitrail.core.console import PrintableConsole
from vitrail.core.printable import make_strings_printable
from vitrail.delivery.units import NOTHING
from vitrail.reproduce.cells import Comparison
from vitrail.reproduce.plan import CellRequest, PlannedCell, say_missing
from vitrail.reproduce.published import Cell, PublishedNetwork, PublishedTable
from vitrail.statistics.intervals import Interval

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)
HOUR = 3600
UNIT_GMACS = 1e3  # the plan counts in 1e12 multiply-adds


def print_comparisons(comparisons: Sequence[Comparison], console: PrintableConsole) -> None:
    """Each network with its measured figures, and the published ones that were not measured, with the reason."""
    comparisons = make_strings_printable(comparisons)
    for table, network, of_network in _group(comparisons, lambda comparison: comparison.planned.cell):
        _print_headings(table, network, console)
        _print_measured([each for each in of_network if each.measured is not None], network, console)
        missing = [each for each in of_network if each.measured is None]
        for reason, figures in _collect((each.not_run, _say_figure(each.planned.cell)) for each in missing):
            print_hanging("  ·", f"Not measured, {reason}: {', '.join(figures)}.", console, width=4)
    measured = [comparison.measured for comparison in comparisons if comparison.measured is not None]
    console.print()
    if measured:
        text = (
            f"Intervals are {100 * measured[0].level:g}%, over draws of test images alone. Within: whether the "
            "published figure lies in the measured interval. Points: measured minus published."
        )
        print_hanging("", text, console, width=0)
    text = f"{len(measured)} of {len(comparisons)} figures measured. --plan says what the others need."
    print_hanging("", text, console, width=0)


def _print_measured(measured: Sequence[Comparison], network: PublishedNetwork, console: PrintableConsole) -> None:
    """The measured figures of a network, and in what they differ from the published ones."""
    if not measured:
        return
    columns = [
        _name_images([each.planned.cell for each in measured]),
        Column(heading="Published %", cells=[_say_published(each.planned.cell) for each in measured]),
        Column(heading="Measured %", cells=[_say_rate(each.measured) for each in measured]),
        Column(heading="Points", cells=[f"{each.difference:+.2f}" for each in measured]),
        Column(heading="Within", cells=["yes" if each.within else "no" for each in measured], is_figure=False),
    ]
    print_columns(columns, console)
    for departure, titles in _collect(
        (departure, each.planned.cell.images.title) for each in measured for departure in each.departures
    ):
        if departure != network.weights:  # which the heading says
            print_hanging("  ·", f"{', '.join(titles)}: {departure}", console, width=4)


def print_plan(
    planned: Sequence[PlannedCell], speeds: Mapping[Kind, Speed], request: CellRequest, console: PrintableConsole
) -> None:
    """What each cell needs, network by network, and what the estimates are made from."""
    planned = make_strings_printable(planned)
    for table, network, of_network in _group(planned, lambda each: each.cell):
        _print_headings(table, network, console)
        for place, figures in _collect((each.weights, _say_figure(each.cell)) for each in of_network):
            text = ", ".join(figures) if place.state == "unknown" else place.where
            print_hanging("  ", f"Weights {place.state}: {text}", console, width=2)
        if not network.backbone:
            continue
        print_columns(
            [
                _name_images([each.cell for each in of_network]),
                Column(heading="Published %", cells=[_say_published(each.cell) for each in of_network]),
                Column(heading="Images", cells=[_say_count(each.images) for each in of_network]),
                Column(heading="T multiply-adds", cells=[_say_tera(each.gmacs) for each in of_network]),
                Column(heading="Hours", cells=[_say_hours(each) for each in of_network]),
                Column(heading="Data", cells=[each.data.state for each in of_network], is_figure=False),
            ],
            console,
        )
    console.print()
    for place, titles in _collect((each.data, each.cell.images.title) for each in planned):
        if place.state != "unknown":
            print_hanging("·", f"{', '.join(titles)}, {place.state}: {place.where}", console, width=2)
    _print_estimate(speeds, console)
    ready = {tuple(each.runs.values()): each.seconds for each in planned if not say_missing(each, request)}
    count = sum(not say_missing(each, request) for each in planned)
    hours = sum(seconds or 0 for seconds in ready.values()) / HOUR
    time = f", in an estimated {hours:,.1f} h" if hours else ""
    more = "" if request.fetch else " --cells NETWORK/IMAGES fetches what is missing for a figure."
    print_hanging("", f"{count} of {len(planned)} figures can be measured now{time}.{more}", console, width=0)


def _print_estimate(speeds: Mapping[Kind, Speed], console: PrintableConsole) -> None:
    """What the hours are made from."""
    if not speeds:
        return
    measured = " and ".join(
        f"{speed.gmacs_per_s:,.0f} G multiply-adds a second ({kind}: {speed.network}, random weights, {speed.how})"
        for kind, speed in speeds.items()
    )
    text = (
        f"Hours are an estimate of the forward pass alone, from the speed of this machine just now: {measured}. "
        "Decoding and heads come on top; another engine may be faster."
    )
    print_hanging("", text, console, width=0)


def _group(
    rows: Sequence[Row], cell_of: Callable[[Row], Cell]
) -> Iterator[tuple[PublishedTable | None, PublishedNetwork, list[Row]]]:
    """The rows of each network; with the table before its first network."""
    for _, of_table in groupby(rows, lambda row: cell_of(row).table.title):
        in_table, first = list(of_table), True
        for _, of_network in groupby(in_table, lambda row: cell_of(row).network.name):
            members = list(of_network)
            cell = cell_of(members[0])
            yield cell.table if first else None, cell.network, members
            first = False


def _print_headings(table: PublishedTable | None, network: PublishedNetwork, console: PrintableConsole) -> None:
    """The table with its source, before its first network, and the network."""
    console.print()
    if table is not None:
        console.print(f"[bold]{escape(table.title)}[/]", highlight=False, soft_wrap=True)
        read_in = "the primary source" if table.read_in == "primary source" else "a second-hand copy"
        text = f"Source: {table.source}; figures read in {read_in}. {table.method}"
        print_hanging("", text, console, width=0)
        if table.spread:
            print_hanging("", table.spread, console, width=0)
        console.print()
    days = "" if network.core_days is None else f", {network.core_days / 1000:g}k TPUv3-core-days"
    console.print(f"[bold]{escape(network.title)}[/] ({network.name}){days}", highlight=False, soft_wrap=True)
    if network.weights:
        print_hanging("  ", network.weights, console, width=2)


def _name_images(cells: Sequence[Cell]) -> Column:
    return Column(heading="  Tested on", cells=[f"  {cell.images.title}" for cell in cells], is_figure=False)


def _say_published(cell: Cell) -> str:
    spread = "" if cell.plus_minus is None else f" ± {cell.plus_minus:.2f}"
    return f"{cell.percent:.2f}{spread}"


def _say_figure(cell: Cell) -> str:
    return f"{cell.images.title} {_say_published(cell)}"


def _say_rate(rate: Interval | None) -> str:
    assert rate is not None  # only measured figures are drawn
    return f"{100 * rate.value:.2f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def _say_count(images: int | None) -> str:
    return NOTHING if images is None else f"{images:,}"


def _say_tera(gmacs: float | None) -> str:
    return NOTHING if gmacs is None else f"{gmacs / UNIT_GMACS:,.0f}" if gmacs >= 1e4 else f"{gmacs / UNIT_GMACS:.2g}"


def _say_hours(planned: PlannedCell) -> str:
    if planned.is_done:
        return "done"
    if planned.seconds is None:
        return NOTHING
    hours = planned.seconds / HOUR
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 0.1 else f"{hours:.3f}"


def _collect(rows: Iterable[tuple[Key, str]]) -> Iterable[tuple[Key, list[str]]]:
    """The different texts of each key, in their order."""
    texts: dict[Key, list[str]] = {}
    for key, text in rows:
        if text not in texts.setdefault(key, []):
            texts[key].append(text)
    return texts.items()
