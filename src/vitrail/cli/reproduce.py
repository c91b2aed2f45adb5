"""vitrail reproduce: compute again what the deck and the papers show."""

import dataclasses
import json
from typing import Annotated

import typer

from vitrail.cli import options
from vitrail.cli.bench import typed_command
from vitrail.cli.help import COMPARE, ShortGroupHelp, ShortHelp
from vitrail.cli.streams import echo_json

reproduce = typer.Typer(
    cls=ShortGroupHelp, no_args_is_help=True, help="Compute again what the deck and the papers show."
)


@reproduce.command(cls=ShortHelp)
def deck(
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Stanford Dogs, or other images as `vitrail bench` takes them: a folder with one folder for each "
            "class, an archive of it, a manifest.",
            show_default=False,
            rich_help_panel=COMPARE,
        ),
    ] = None,
    backbone: options.Backbones = None,
    out: options.Out = None,
    seed: options.Seed = 0,
    engine: options.Engine = "auto",
    precision: options.Precision = "auto",
    trials: options.Trials = None,
    budget: options.Budget = None,
    offline: options.Offline = False,
    threads: options.Threads = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    help_all: options.HelpAll = False,
) -> None:
    """The experiment of the slide deck: ResNet50 and ViT-S/16 on Stanford Dogs, beside the figures that it printed.

    Without -b the networks are resnet50.tv_in1k and vit_small_patch16_224.augreg_in21k_ft_in1k. The deck's very
    weights are files: -b resnet50.keras_in1k=FILE.h5 and -b vit_small_patch16_224.augreg_in21k_ft_in1k=FILE.npz.
    """
    from vitrail.candidates import make_options
    from vitrail.core.drawing import watch
    from vitrail.core.resources import Resources
    from vitrail.delivery.report.deck import compare_deck
    from vitrail.reproduce.deck import reproduce_deck

    chosen = make_options(seed=seed, engine=engine, precision=precision, trials=trials, budget=budget)
    with watch(quiet=quiet) as progress:
        run = reproduce_deck(
            data,
            backbone or (),
            out=out,
            options=chosen,
            resources=Resources(cores=threads, offline=offline, progress=progress),
            command=typed_command(),
        )
    comparison = compare_deck(run.results)
    assert comparison is not None  # the deck's recipe was run
    if as_json:
        echo_json(json.dumps({"run": str(run.folder)} | dataclasses.asdict(comparison), indent=2))
        return
    from vitrail.cli.deck_closing import print_deck_closing
    from vitrail.core.console import PrintableConsole

    print_deck_closing(run, comparison, PrintableConsole())


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
