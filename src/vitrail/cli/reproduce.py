"""vitrail reproduce: compute again what the deck and the papers show."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.cli.bench import typed_command
from vitrail.cli.help import COMPARE, ShortGroupHelp, ShortHelp
from vitrail.cli.reproduce_cells import HELP, compare_published
from vitrail.cli.streams import echo, echo_json

if TYPE_CHECKING:
    from vitrail.statistics.intervals import Interval

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
            help="Images as `vitrail bench` takes them: a name, a folder with one folder for each class, an archive of "
            "it, a manifest.",
            show_default="stanford-dogs, 794 MB to fetch",
            rich_help_panel=COMPARE,
        ),
    ] = None,
    backbone: options.Backbones = None,
    data_dir: options.DataDir = None,
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
            resources=Resources(data_dir=data_dir, cores=threads, offline=offline, progress=progress),
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


for figures, text in HELP.items():
    reproduce.command(figures, cls=ShortHelp, help=text)(compare_published)


@reproduce.command(cls=ShortHelp)
def real(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run on imagenet-1k.")],
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """The accuracy of a run on ImageNet by its reassessed labels (ReaL), where an image may have several right ones."""
    from vitrail.core.drawing import watch
    from vitrail.core.resources import Resources
    from vitrail.reproduce.real import fetch_real_labels, find_val_images, score_real
    from vitrail.runs.run import load_run

    record = load_run(run)
    images = find_val_images(record)
    with watch(quiet=as_json) as progress:
        labels = fetch_real_labels(Resources(data_dir=data_dir, progress=progress))
    scores = score_real(record, images, labels)
    if as_json:
        echo_json(json.dumps([dataclasses.asdict(score) for score in scores], indent=2))
        return
    for score in scores:
        echo(
            f"{score.backbone}: ReaL {_rate(score.real.any_label)} on {score.real.any_label.n:,} images; by one label "
            f"{_rate(score.real.single_label)} on the same images, {_rate(score.top1)} on all {score.top1.n:,}."
        )
    echo(f"{scores[0].real.left_out:,} test images have no reassessed label and are left out (arXiv:2006.07159).")


@reproduce.command(cls=ShortHelp)
def vtab(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs on VTAB's tasks, one a task.")],
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Both means of VTAB over runs on its tasks: of the 19 tasks, and of the three groups."""
    from vitrail.reproduce.vtab import summarise_vtab
    from vitrail.runs.run import load_run

    means = summarise_vtab([load_run(run) for run in runs])
    if as_json:
        echo_json(json.dumps({name: dataclasses.asdict(mean) for name, mean in means.items()}, indent=2))
        return
    for name, mean in means.items():
        echo(name)
        rows = {
            **mean.accuracy,
            **{f"mean of {group}": rate for group, rate in mean.groups.items()},
            f"mean of tasks ({len(mean.accuracy)})": mean.mean_of_tasks,
            f"mean of groups ({len(mean.groups)})": mean.mean_of_groups,
        }
        for title, rate in rows.items():
            echo(f"  {title:<26} {_rate(rate)}")
    of_any = next(iter(means.values()))  # all backbones of a run are scored on the same images
    for task, official in of_any.other_tests.items():
        echo(f"{task} was scored on {of_any.accuracy[task].n:,} test images; the benchmark has {official:,}.")
    if of_any.missing:
        echo(f"These are not VTAB's means: there is no run of {', '.join(of_any.missing)}.")
    echo("Intervals are over draws of test images; other training images move the figures too.")


def _rate(rate: "Interval") -> str:
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"
