"""Help in plain columns that fits on a screen: options in groups, each with the first sentence of its help.

Groups that few people need are named and folded away; `--help-all` shows them, and every sentence.
"""

import re
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMPARE = "What to compare"
CATALOGUE = "Candidates from the catalogue"
DECIDE = "How to decide"
LIMITS = "Limits"
OUTPUT = "Output"
HEADS = "Heads and thresholds"
IMAGES = "Reading images"
ENGINES = "Running backbones"
MACHINES = "Several machines"
FOLDED = (CATALOGUE, HEADS, IMAGES, ENGINES, MACHINES)
ORDER = (COMPARE, DECIDE, LIMITS, *FOLDED, OUTPUT)

NAMES = 27  # columns; a longer name has a line of its own
WIDEST = 100  # columns; longer lines are hard to read
FIRST_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z])")
FACTS = re.compile(r"\s*\[([^\[\]]*)\]$")  # what typer adds to the help of an option: its default, its range
DEFAULT = re.compile(r"default: \(?(.*?)\)?(?:;|$)")
TYPE = re.compile(r" <[^<>]*(<.*>)?>$")  # of an argument without a metavar of its own


class ShortHelp(TyperCommand):
    """A command with such a help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the command."""
        formatter.write(make_help(self, ctx))


class ShortGroupHelp(TyperGroup):
    """A command that has others; its help lists them in the same columns."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Print the help where a command is missing: on stdout, since nobody did anything wrong."""
        if not args and self.no_args_is_help:
            typer.echo(ctx.get_help())  # noqa: TID251 - styled, and all of it is ours
            raise typer.Exit(2)
        return list(super().parse_args(ctx, args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the command and the list of the others."""
        formatter.write(make_help(self, ctx))


def show_all(context: typer.Context, requested: bool) -> None:
    """Print the whole help and leave: the callback of `--help-all`."""
    if requested:
        typer.echo(make_help(context.command, context, everything=True))  # noqa: TID251 - likewise
        raise typer.Exit


def make_help(command: Any, context: Any, *, everything: bool = False) -> str:
    """The help of a command; with `everything` the folded groups too, and all sentences."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    parameters = [each for each in command.get_params(context) if not getattr(each, "hidden", False)]
    arguments = [each.metavar for each in parameters if each.param_type_name == "argument"]
    usage = ["[OPTIONS]", *arguments] + (["COMMAND [ARGS]..."] if isinstance(command, TyperGroup) else [])
    lines = [f"Usage: {context.command_path} {' '.join(usage)}", ""]
    lines += textwrap.wrap(" ".join(command.help.split()), width)
    folds = any(_group_of(each) in FOLDED for each in parameters)
    shown = [each for each in parameters if everything or _group_of(each) not in FOLDED]
    for group in ORDER if folds else ("Options",):
        of_group = [each for each in shown if not folds or _group_of(each) == group]
        if of_group:
            rows = [_row(each, context, everything=everything or not folds) for each in of_group]
            lines += ["", typer.style(group, bold=True), *_columns(rows, width)]
    if isinstance(command, TyperGroup):
        rows = [(name, other.get_short_help_str(limit=1000)) for name, other in command.commands.items()]
        lines += ["", typer.style("Commands", bold=True), *_columns(rows, width)]
    if len(shown) < len(parameters):
        there = {_group_of(each) for each in parameters}
        names = ", ".join(name[:1].lower() + name[1:] for name in FOLDED if name in there)
        lines += ["", *textwrap.wrap(f"--help-all also shows {names}, and more on each option.", width)]
    return "\n".join(lines)


def _group_of(parameter: Any) -> str:
    return getattr(parameter, "rich_help_panel", None) or OUTPUT


def _row(parameter: Any, context: Any, *, everything: bool) -> tuple[str, str]:
    """The names of a parameter, and what it does with its default."""
    names, text = parameter.get_help_record(context)
    facts = FACTS.search(text)
    sentences = text[: facts.start()] if facts else text
    default = DEFAULT.search(facts[1]) if facts else None
    if not everything:
        sentences = FIRST_SENTENCE.split(sentences)[0]
    return TYPE.sub("", names), sentences + (f" [default: {default[1]}]" if default else "")


def _columns(rows: list[tuple[str, str]], width: int) -> Iterator[str]:
    """Rows of names and texts in two columns."""
    indent = 2 + min(NAMES, max(len(name) for name, _ in rows)) + 2
    for name, text in rows:
        lines = textwrap.wrap(text, max(width - indent, 20), break_on_hyphens=False) or [""]
        if len(name) > indent - 4:
            yield f"  {name}"
        else:
            lines[0] = f"  {name:<{indent - 4}}  {lines[0]}"
            yield lines.pop(0)
        yield from (" " * indent + line for line in lines)
