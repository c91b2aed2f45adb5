"""What a benchmark prints when it is done: caveats, the table, and last the answer, so that it stays on the screen."""

import string
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.rule import Rule

from vitrail.backbones.display_names import display_names
from vitrail.cli.columns import Column, print_columns
from vitrail.cli.details import print_details
from vitrail.core.console import PrintableConsole
from vitrail.core.printable import make_strings_printable
from vitrail.delivery.answer import Answer, make_answer
from vitrail.delivery.cost_front import place_costs, say_front
from vitrail.delivery.report import words
from vitrail.delivery.report.comparison import deciding_rates, sort_best_first
from vitrail.delivery.units import NOTHING, big, milliseconds
from vitrail.evaluation.contamination import mark
from vitrail.evaluation.decision import LEAST_SAID
from vitrail.evaluation.sentences import say_distance, say_names
from vitrail.runs import Results, RunRecord, say_openings
from vitrail.statistics.intervals import Interval

LABEL = 8  # columns of the labels of the answer
LEAST_TEXT = 20  # columns of a sentence, however narrow the terminal is
PICKED = "> "
RULE = 8  # columns of a line on both sides of its title
MARKS = string.ascii_lowercase


def print_closing(run: RunRecord, console: PrintableConsole, *, details: bool = False) -> None:
    """Everything that a person should know, the answer last; with `details` every figure before it."""
    run = make_strings_printable(run)  # before any width is measured
    results, names = run.results, display_names(run.results.backbones)
    answer = make_strings_printable(make_answer(results, as_typed(run.folder)))
    if details:
        print_details(run, names, console)
    console.print()
    print_notes(results, answer, names, console)
    print_names(names, console)
    print_left_out(results, console, details=details)
    console.print()
    _print_table(results, names, console)
    console.print()
    _print_answer(answer, run.folder, console)


def as_typed(folder: Path) -> str:
    """The folder as it is shortest in a command that is typed here."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def print_notes(results: Results, answer: Answer, names: Mapping[str, str], console: PrintableConsole) -> None:
    """What the answer leaves out: caveats, steps not done in a search, the value of labels, accuracy against time."""
    notes = [("!", caveat) for caveat in answer.caveats]
    for note in dict.fromkeys(note for result in results.backbones for note in result.search.notes):
        about = [names[result.name] for result in results.backbones if note in result.search.notes]
        of = "" if len(about) == len(results.backbones) else f"{say_names(about, most=len(about))}: "
        notes.append(("!", of + note))
    pick = next(result for result in results.backbones if result.name == answer.full_name)
    notes += [("·", curve.sentence) for curve in pick.search.label_curves]
    if front := say_front(place_costs(results), results.pairs, names):
        notes.append(("·", front))
    if results.race is not None:
        notes.append(("·", " ".join(results.race.claims)))
    if notes:
        console.print("[bold]Also worth knowing[/]")
    for sign, note in notes:
        print_hanging(sign, note, console, width=2)


def print_names(names: Mapping[str, str], console: PrintableConsole) -> None:
    """The full name of each backbone, once."""
    shortened = {name: short for name, short in names.items() if short != name}
    if not shortened:
        return
    console.print("[bold]Names[/]")
    width = max(map(len, shortened.values()))
    in_one_line = width + 2 + max(map(len, shortened)) <= console.width
    for name, short in shortened.items():
        text = f"{short:<{width}}  {name}" if in_one_line else f"{short}\n  {name}"
        console.print(escape(text), highlight=False, soft_wrap=True)


def print_left_out(results: Results, console: PrintableConsole, *, details: bool) -> None:
    """How long the run took, and what is not shown."""
    aside = len(results.data.set_aside)
    took = f"Took {words.duration(results.cost.wall_s)}."
    counted = f" {words.plural(aside, 'file')} set aside." if aside else ""
    more = "" if details else " The same command with --details shows all figures, reasons, files and times."
    print_hanging("", f"{took}{counted}{more}", console, width=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Marks:
    """The letters beside figures that do not mean what they seem to, and what each letter stands for."""

    of: Mapping[str, str]
    heading: str
    legend: Mapping[str, str]


def _mark_figures(results: Results) -> _Marks:
    """The marks of all figures of the table."""
    meanings: list[str] = []

    def letter(meaning: str) -> str:
        if meaning not in meanings:
            meanings.append(meaning)
        return MARKS[meanings.index(meaning)]

    openings = results.split.test_openings
    heading = letter(say_openings(openings, results.split.first_opened)) if openings > 1 else ""
    of = {
        result.name: letter(f"{saw}: on new images expect less") if (saw := mark(result.contamination)) else ""
        for result in results.backbones
    }
    pick = next(result for result in results.backbones if result.name == results.decision.choose)
    if pick.top1_without_leaked:
        copies = words.plural(len(results.data.leaked), "test image has a copy", "test images have copies")
        heading += letter(f"{copies} in train or val; pick without: {_percent(pick.top1_without_leaked)}")
    return _Marks(of=of, heading=heading, legend=dict(zip(MARKS, meanings, strict=False)))


def _print_table(results: Results, names: Mapping[str, str], console: PrintableConsole) -> None:
    """The backbones, the best first, the pick marked."""
    order, rates, marks = sort_best_first(results), deciding_rates(results), _mark_figures(results)
    picked = [result.name == results.decision.choose for result in order]
    metric = "Accuracy" if results.options.decide_by == "top1" else "Balanced"
    heading = f"{metric} % [{100 * rates[order[0].name].level:g}%] {marks.heading}".rstrip()
    columns = [
        Column(
            heading="  Backbone",
            cells=[(PICKED if pick else "  ") + names[r.name] for r, pick in zip(order, picked, strict=True)],
            is_figure=False,
        ),
        Column(
            heading=heading,
            cells=[f"{_percent(rates[r.name])} {marks.of[r.name]}".rstrip() for r in order],
            is_figure=False,
        ),
        Column(heading="Behind best", cells=[_say_loss(results.decision.losses.get(r.name)) for r in order]),
        Column(heading="ms/image", cells=[milliseconds(r.cost.images_per_s) for r in order]),
        Column(heading="GMACs", cells=[f"{r.card.gmacs:.3g}" for r in order]),
        Column(heading="Params", cells=[big(r.card.parameters) for r in order]),
    ]
    print_columns(columns, console, bold=[row for row, pick in enumerate(picked) if pick])
    for letter, meaning in marks.legend.items():
        print_hanging(letter, meaning, console, width=2)


def _say_loss(loss: float | None) -> str:
    """The largest plausible loss in points, rounded up; none for a backbone that beats all others."""
    if loss is None:
        return NOTHING
    return f"≤ {say_distance(max(LEAST_SAID, loss)).split()[0]} pt" if loss else "none"


def _print_answer(answer: Answer, folder: Path, console: PrintableConsole) -> None:
    """The box: between two lines, and without sides, so that commands can be copied from it."""
    with_name = f"{answer.headline} ({answer.full_name})"
    is_named = answer.full_name != answer.name and len(with_name) <= console.width - RULE
    console.print(Rule(f"[bold]{escape(with_name if is_named else answer.headline)}[/]"))
    if answer.full_name != answer.name and not is_named:
        print_line("Name", answer.full_name, console)
    for label, text in answer.rows():
        print_hanging(label, text, console, width=LABEL)
    for place, step in enumerate(answer.next_steps):
        print_line("" if place else "Next", step.command, console)
    print_line("Report", str(folder / "report.html"), console)
    console.print(Rule())


def print_hanging(label: str, text: str, console: PrintableConsole, *, width: int) -> None:
    """A sentence whose further lines begin below its first word, `width` columns from the left."""
    lines = textwrap.wrap(text, max(console.width - width, LEAST_TEXT), break_on_hyphens=False) or [""]
    console.print(f"[dim]{escape(label):<{width}}[/]{escape(lines[0])}", highlight=False, soft_wrap=True)
    for line in lines[1:]:
        console.print(f"{'':<{width}}{escape(line)}", highlight=False, soft_wrap=True)


def print_line(label: str, text: str, console: PrintableConsole) -> None:
    """One line that the terminal breaks itself, so that it can be copied whole."""
    console.print(f"[dim]{label:<{LABEL}}[/]{escape(text)}", highlight=False, soft_wrap=True)


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
