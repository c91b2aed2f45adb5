"""vitrail reproduce: compute again what the deck and the papers show."""

import dataclasses
import json

import typer

from vitrail.cli import options
from vitrail.cli.help import ShortGroupHelp, ShortHelp
from vitrail.cli.streams import echo_json

reproduce = typer.Typer(
    cls=ShortGroupHelp, no_args_is_help=True, help="Compute again what the deck and the papers show."
)


@reproduce.command(cls=ShortHelp)
def table1(as_json: options.Json = False, debug: options.Debug = False) -> None:
    """The sizes of the Vision Transformer and of the networks that it is compared with."""
    from vitrail.reproduce.table1 import CLASSES, count_sizes

    sizes = count_sizes()
    if as_json:
        echo_json(json.dumps([dataclasses.asdict(size) for size in sizes], indent=2))
        return
    from rich.table import Table

    from vitrail.core.console import PrintableConsole

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("Network", no_wrap=True)
    for heading in ("Layers", "Width", "MLP", "Heads", "Parameters", "Published"):
        table.add_column(heading, justify="right")
    for size in sizes:
        counts = [size.layers, size.width, size.mlp, size.heads]
        table.add_row(
            size.name,
            *("-" if count is None else str(count) for count in counts),
            f"{size.parameters:,}",
            "-" if size.published is None else f"{size.published}M",
        )
    console = PrintableConsole()
    console.print(table)
    console.print(f"Parameters with a classifier of {CLASSES:,} classes; published: arXiv:2010.11929, table 1.")
