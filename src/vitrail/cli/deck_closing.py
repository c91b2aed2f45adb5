"""What `vitrail reproduce deck` prints when it is done: curves and test lines, caveats, and last the deck's table."""

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.rule import Rule

from vitrail.backbones.display_names import display_names, shorten_names
from vitrail.cli.closing import as_typed, print_hanging, print_left_out, print_line, print_names, print_notes
from vitrail.cli.columns import Column, print_columns
from vitrail.cli.details import say_test_line
from vitrail.core.console import PrintableConsole
from vitrail.core.printable import make_strings_printable
from vitrail.delivery.answer import make_answer
from vitrail.delivery.report import words
from vitrail.delivery.report.curves import list_extremes, name_held_out
from vitrail.delivery.report.deck import Deck, DeckNetwork, DeckRow, PublishedRow
from vitrail.delivery.units import NOTHING
from vitrail.evaluation.sentences import say_names
from vitrail.runs import BackboneResult, RunRecord
from vitrail.statistics.intervals import Interval

BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 24  # columns of a curve; of more epochs, the nearest to each column is drawn


def print_deck_closing(run: RunRecord, deck: Deck, console: PrintableConsole) -> None:
    """Everything that the deck showed, in its order; the table comes last, so that it stays on the screen."""
    run, deck = make_strings_printable(run), make_strings_printable(deck)  # before any width is measured
    results, names = run.results, display_names(run.results.backbones)
    answer = make_strings_printable(make_answer(results, as_typed(run.folder)))
    for network in deck.networks:
        _print_curves(run.backbone(network.name), names, name_held_out(results), console)
    console.print()
    print_notes(results, answer, names, console)
    print_names({r.name: names[r.name] for r in results.backbones if r.name == r.card.name}, console)  # no recipe
    print_left_out(results, console, details=True)
    console.print()
    console.print(Rule("[bold]The deck[/]"))
    for network in deck.networks:
        _print_network(network, names, console)
    for network in deck.networks:
        if network.equalise_sentence:
            print_hanging("·", shorten_names(network.equalise_sentence, names), console, width=2)
    print_hanging("!", shorten_names(deck.contamination, names), console, width=2)
    print_line("Report", str(run.folder / "report.html"), console)
    console.print(Rule())


def _print_curves(result: BackboneResult, names: Mapping[str, str], held_out: str, console: PrintableConsole) -> None:
    """Loss and accuracy by epoch with least, greatest and last figure, and the test line, of one backbone."""
    curves = list_extremes(result.search.curve, held_out)
    console.print()
    console.print(f"[bold]{escape(names[result.name])}[/]", highlight=False, soft_wrap=True)
    if curves:
        columns = [
            Column(heading="by epoch", cells=[curve.name for curve in curves], is_figure=False),
            Column(heading="min", cells=[curve.least for curve in curves]),
            Column(heading="max", cells=[curve.greatest for curve in curves]),
            Column(heading="last", cells=[curve.last for curve in curves]),
            Column(
                heading=f"epochs 1 to {len(curves[0].figures)}",
                cells=[draw_bars(curve.figures) for curve in curves],
                is_figure=False,
            ),
        ]
        print_columns(columns, console)
    console.print(escape(say_test_line(result)), highlight=False, soft_wrap=True)


def draw_bars(figures: Sequence[float]) -> str:
    """A curve in one line: a bar for each epoch, from the least figure to the greatest."""
    columns = min(MOST_BARS, len(figures))
    places = [round(column * (len(figures) - 1) / max(1, columns - 1)) for column in range(columns)]
    least, most = min(figures), max(figures)
    scale = (len(BARS) - 1) / (most - least) if most > least else 0.0
    return "".join(BARS[round(scale * (figures[place] - least))] for place in places)


def _print_network(network: DeckNetwork, names: Mapping[str, str], console: PrintableConsole) -> None:
    """The deck's own row, then the backbone under each recipe, and what the deck's recipe departs in."""
    console.print(f"[bold]{escape(_name(network, names))}[/]", highlight=False, soft_wrap=True)
    published = [] if network.published is None else [network.published]
    rows: list[DeckRow | PublishedRow] = [*published, *network.rows]
    columns = [
        Column(
            heading="  Recipe",
            cells=[
                *(f"  the deck's {row.network}" for row in published),
                *(f"  {row.recipe}" for row in network.rows),
            ],
            is_figure=False,
        ),
        Column(heading=f"Accuracy % [{100 * rows[0].top1.level:g}%]", cells=[_percent(row.top1) for row in rows]),
        Column(heading="Right", cells=[f"{row.right:,} of {row.top1.n:,}" for row in rows]),
        Column(heading="User time", cells=[words.duration(row.user_s) for row in rows]),
        Column(
            heading="Loss", cells=[*(NOTHING for _ in published), *(f"{row.loss.value:.4f}" for row in network.rows)]
        ),
    ]
    print_columns(columns, console)
    topics = say_names(network.topics, most=len(network.topics))
    print_hanging("", f"The row `deck` differs from the deck, or may, in {topics}.", console, width=2)
    console.print()


def _name(network: DeckNetwork, names: Mapping[str, str]) -> str:
    """The short name without the recipe."""
    row = next(row for row in network.rows if row.name == network.name)
    return names[row.name].removesuffix(f"+{row.recipe}")


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.2f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
