"""vitrail reproduce vit-table2 and probes: published figures beside measured ones."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vitrail.cli import options
from vitrail.cli.bench import typed_command
from vitrail.cli.help import COMPARE, LIMITS
from vitrail.cli.streams import echo_json

if TYPE_CHECKING:
    from vitrail.candidates import BenchOptions
    from vitrail.core.resources import Resources

WHAT_RUNS = "Runs what needs no download; --cells also fetches. Finished cells are not computed again."
HELP = {
    "vit-table2": "The ViT paper's table 2: its fine-tuned figures beside measured ones of frozen features.\n\n"
    + WHAT_RUNS,
    "probes": f"Published figures of frozen features beside measured ones.\n\n{WHAT_RUNS}",
}
Cells = Annotated[
    list[str] | None,
    typer.Option(
        "--cells",
        metavar="NETWORK|IMAGES|NETWORK/IMAGES",
        help="Only these figures, and fetch the weights and images that they lack. Repeatable.",
        show_default="all, without fetching anything",
        rich_help_panel=COMPARE,
    ),
]
Plan = Annotated[
    bool,
    typer.Option(
        "--plan",
        help="Run nothing: say what can be run, where weights and images are, multiply-adds, estimated time.",
        rich_help_panel=LIMITS,
    ),
]
LocalImages = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="NAME=DATA",
        help="Images that stand for a data set, as `vitrail bench` takes them: oxford-pets=FOLDER. Repeatable.",
        show_default=False,
        rich_help_panel=COMPARE,
    ),
]
LocalWeights = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone",
        "-b",
        metavar="NAME=FILE",
        help="A file with the weights of a backbone. Repeatable.",
        show_default=False,
        rich_help_panel=COMPARE,
    ),
]
CellsOut = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FOLDER",
        help="The folder of the run folders, one for each backbone and data set.",
        show_default="runs/<command>",
        rich_help_panel=COMPARE,
    ),
]


def compare_published(
    context: typer.Context,
    cells: Cells = None,
    plan: Plan = False,
    backbone: LocalWeights = None,
    data: LocalImages = None,
    data_dir: options.DataDir = None,
    out: CellsOut = None,
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
    """Compare the figures that the command is named after; its help is one of HELP."""
    from vitrail.candidates import make_options
    from vitrail.core.resources import Resources

    flags = _Flags(
        figures="probes" if context.info_name == "probes" else "vit-table2",
        cells=cells or [],
        weights=backbone or [],
        images=data or [],
        out=out,
        only_plan=plan,
        as_json=as_json,
        quiet=quiet,
    )
    chosen = make_options(seed=seed, engine=engine, precision=precision, trials=trials, budget=budget)
    _show(flags, chosen, Resources(data_dir=data_dir, cores=threads, offline=offline))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Flags:
    """Which figures are compared, with which local files; and what is printed."""

    figures: Literal["vit-table2", "probes"]
    cells: list[str]
    weights: list[str]
    images: list[str]
    out: Path | None
    only_plan: bool
    as_json: bool
    quiet: bool


def _show(flags: _Flags, chosen: "BenchOptions", resources: "Resources") -> None:
    """Plan or compare, and print."""
    from vitrail.cli.cells_closing import print_comparisons, print_plan
    from vitrail.core.console import PrintableConsole
    from vitrail.core.drawing import watch
    from vitrail.reproduce.cells import compare_cells, describe_comparison, describe_plan
    from vitrail.reproduce.plan import CellRequest, estimate_times, plan_cells, read_given
    from vitrail.reproduce.published import list_cells, load_published
    from vitrail.runs.folder import RUNS

    cells = list_cells(load_published(flags.figures), flags.cells)
    weights, images = read_given(cells, flags.weights, flags.images, resources)
    request = CellRequest(
        out=flags.out or RUNS / flags.figures,
        options=chosen,
        resources=resources,
        command=typed_command(),
        fetch=bool(flags.cells) and not resources.offline,
        weights=weights,
        images=images,
    )
    planned = plan_cells(cells, request)
    if flags.only_plan:
        planned, speeds = estimate_times(planned, resources)
        if flags.as_json:
            speed = {kind: asdict(measured) for kind, measured in speeds.items()}
            echo_json(json.dumps({"speeds": speed, "cells": [describe_plan(each) for each in planned]}, indent=2))
        else:
            print_plan(planned, speeds, request, PrintableConsole())
        return
    with watch(quiet=flags.quiet) as progress:
        watched = replace(request, resources=replace(resources, progress=progress))
        comparisons = compare_cells(planned, watched)
    if flags.as_json:
        echo_json(json.dumps([describe_comparison(each) for each in comparisons], indent=2))
    else:
        print_comparisons(comparisons, PrintableConsole())
