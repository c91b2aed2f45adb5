"""vitrail bench: from labelled images to a decision."""

import dataclasses
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.cli.help import CATALOGUE, COMPARE, DECIDE, HEADS, IMAGES, MACHINES
from vitrail.cli.streams import echo, echo_json
from vitrail.core.errors import UsageError

if TYPE_CHECKING:
    from vitrail.benchmark import PartDone
    from vitrail.candidates.plan import Plan

DATA_HELP = (
    "Images: a folder with one folder for each class, a CSV, or a name of `vitrail datasets`. Without it, "
    "scikit-learn's digits are used. The "
    "folder may have train/, val/ and test/ on top. An archive of it (.zip, .tar, .tar.gz), WebDataset shards, Parquet "
    "with images and the URL of one of these (s3://bucket/images) work too. A CSV or Parquet manifest has the columns "
    "path,label[,split][,group] and further ones such as camera."
)


def bench(
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help=DATA_HELP, show_default=False, rich_help_panel=COMPARE),
    ] = None,
    backbone: options.Backbones = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Without -b: show the candidates, their downloads and the expected time, and stop.",
            rich_help_panel=COMPARE,
        ),
    ] = False,
    candidates: Annotated[
        int | None,
        typer.Option(
            "--candidates",
            metavar="N",
            help="Without -b, or with -b auto: how many backbones of the catalogue take part. They differ in "
            "pretraining, family and size.",
            min=1,
            show_default="12",
            rich_help_panel=CATALOGUE,
        ),
    ] = None,
    licence: options.Licence = None,
    max_params: options.MaxParams = None,
    max_gmacs: Annotated[
        float | None,
        typer.Option(
            "--max-gmacs",
            metavar="N",
            help="Only networks of at most so many 1e9 multiply-adds an image.",
            show_default=False,
            rich_help_panel=CATALOGUE,
        ),
    ] = None,
    max_ms: Annotated[
        float | None,
        typer.Option(
            "--max-ms",
            metavar="MS",
            help="Only networks that take at most so many milliseconds an image on this machine. Each is measured once "
            "for a few seconds, before its weights are fetched, and the cache keeps the figure.",
            show_default=False,
            rich_help_panel=CATALOGUE,
        ),
    ] = None,
    pretrained_on: options.PretrainedOn = None,
    not_pretrained_on: Annotated[
        str | None,
        typer.Option(
            "--not-pretrained-on",
            metavar="NAME",
            help="Only those that are known not to have seen it.",
            show_default=False,
            rich_help_panel=CATALOGUE,
        ),
    ] = None,
    race_budget: Annotated[
        float | None,
        typer.Option(
            "--race-budget",
            metavar="SHARE",
            help="After the first look, end the race of the candidates before it takes more than this share of the "
            "multiply-adds that all of them need for the training images, such as 0.25. The best three go on, whose "
            "pass comes in addition; nothing is known of the others.",
            show_default="the race ends by its own rule",
            rich_help_panel=CATALOGUE,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FOLDER",
            help="Weights that are already on disk; their backbones come first. A file is recognised by its digest, "
            "or by the names and shapes of its tensors, and the output says which.",
            show_default="the hub's cache alone",
            rich_help_panel=CATALOGUE,
        ),
    ] = None,
    out: options.Out = None,
    seed: options.Seed = 0,
    engine: options.Engine = "auto",
    precision: options.Precision = "auto",
    decode: Annotated[
        str,
        typer.Option(
            "--decode",
            metavar="auto|exact|fast",
            help="How JPEGs much larger than a backbone needs are decoded. Whole is exact; at a fraction of their "
            "size, which is several times faster, is fast. The default is fast if that leaves features and answers "
            "as they are.",
            rich_help_panel=IMAGES,
        ),
    ] = "auto",
    margin: options.Margin = "1pt",
    level: Annotated[
        float,
        typer.Option("--level", metavar="FRACTION", help="Confidence level of every interval.", rich_help_panel=DECIDE),
    ] = 0.95,
    decide_by: Annotated[
        str,
        typer.Option(
            "--decide-by",
            metavar="top1|balanced",
            help="The accuracy on the test images that decides. The share of images that are right is top1; the mean "
            "of the classes' accuracies, in which rare classes count as much as frequent ones, is balanced. Heads are "
            "chosen on val by --choose-by.",
            rich_help_panel=DECIDE,
        ),
    ] = "top1",
    max_megapixels: Annotated[
        float,
        typer.Option(
            "--max-megapixels",
            metavar="N",
            help="Larger images are set aside.",
            min=0.01,
            rich_help_panel=IMAGES,
        ),
    ] = 100,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            metavar="default|deck|deck-no-equalise",
            help="What we recommend, or what the slide deck did, with equalised pixels or without. Give several to "
            "compare them; names under all but the first end in its name.",
            show_default="default",
            rich_help_panel=HEADS,
        ),
    ] = None,
    trials: options.Trials = None,
    budget: options.Budget = None,
    choose_by: Annotated[
        str,
        typer.Option(
            "--choose-by",
            metavar="nll|accuracy",
            help="The figure on val that a head is chosen by.",
            rich_help_panel=HEADS,
        ),
    ] = "nll",
    balanced: Annotated[
        bool,
        typer.Option(
            "--balanced",
            help="Every class counts the same in fitting and choosing heads.",
            rich_help_panel=HEADS,
        ),
    ] = False,
    calibration: Annotated[
        float,
        typer.Option(
            "--calibration",
            metavar="FRACTION",
            help="Share of the images, cut from train, on which alone sets of classes and refusals are set: 0.1.",
            show_default="none: on out-of-fold answers",
            rich_help_panel=HEADS,
        ),
    ] = 0.0,
    near_duplicates: Annotated[
        bool,
        typer.Option(
            "--near-duplicates/--no-near-duplicates",
            help="Keep resized, cropped or mirrored copies of an image on one side of the split.",
            rich_help_panel=IMAGES,
        ),
    ] = True,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slices",
            metavar="COLUMN",
            help="Show accuracy for each value of this column, such as camera. Repeatable.",
            show_default="columns with 2 to 20 values",
            rich_help_panel=DECIDE,
        ),
    ] = None,
    leave_out: Annotated[
        str | None,
        typer.Option(
            "--leave-out",
            metavar="COLUMN",
            help="Also judge on values of this column that training never saw. The chosen heads are fitted again "
            "without each value.",
            show_default="none",
            rich_help_panel=DECIDE,
        ),
    ] = None,
    crop_to_boxes: Annotated[
        bool,
        typer.Option(
            "--crop-to-boxes",
            help="Crop each image of a named data set to its box (stanford-dogs, cub-200-2011).",
            rich_help_panel=IMAGES,
        ),
    ] = False,
    data_dir: options.DataDir = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="I/N",
            help="Compute only this part of the features, and stop. They go into the cache that several machines "
            "share.",
            show_default="all of it, to a decision",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="auto|ADDRESS",
            help="Compute the features on a Ray cluster. All of its machines must see DATA and the cache.",
            show_default="this machine alone",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    offline: options.Offline = False,
    threads: options.Threads = None,
    batch: options.Batch = None,
    details: options.Details = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    help_all: options.HelpAll = False,
) -> None:
    """Compare frozen pretrained backbones on your images, with a head tuned on each, and say which to build on.

    Without -b, or with -b auto, candidates come from the catalogue.
    """
    from vitrail.benchmark import bench as run_bench
    from vitrail.benchmark import compute_part, plan_bench
    from vitrail.candidates import make_options
    from vitrail.core.drawing import watch
    from vitrail.core.resources import Resources
    from vitrail.data import crop_to_boxes as name_cropped
    from vitrail.features import parse_part
    from vitrail.runs import results_to_json

    chosen = make_options(
        seed=seed,
        engine=engine,
        precision=precision,
        decode=decode,
        margin=margin,
        level=level,
        decide_by=decide_by,
        max_megapixels=max_megapixels,
        recipe=recipe or "default",
        trials=trials,
        budget=budget,
        choose_by=choose_by,
        balanced=balanced,
        calibration=calibration,
        near_duplicates=near_duplicates,
        slices=slices or (),
        leave_out=leave_out,
        candidates=candidates,
        licence=licence,
        max_params=max_params,
        max_gmacs=max_gmacs,
        pretrained_on=pretrained_on,
        not_pretrained_on=not_pretrained_on,
        max_ms=max_ms,
        race_budget=race_budget,
    )
    data = name_cropped(data) if crop_to_boxes else data
    resources = partial(Resources, data_dir=data_dir, weights_dir=weights, cores=threads, batch=batch, offline=offline)
    if plan:
        with watch(quiet=quiet) as progress:
            planned = plan_bench(
                data, backbone or (), options=chosen, resources=resources(progress=progress), cluster=cluster
            )
        _say_candidates(planned, as_json=as_json)
        return
    if part is not None:
        _refuse_cluster(cluster)
        with watch(quiet=quiet) as progress:
            done = compute_part(
                data, backbone or (), parse_part(part), options=chosen, resources=resources(progress=progress)
            )
        _say_part(done, as_json=as_json)
        return
    with watch(quiet=quiet) as progress:
        run = run_bench(
            data,
            backbone or (),
            out=out,
            options=chosen,
            resources=resources(progress=progress),
            cluster=cluster,
            command=typed_command(),
        )
    if as_json:
        echo_json(results_to_json(run.results).decode())
        return
    from vitrail.cli.closing import print_closing
    from vitrail.core.console import PrintableConsole

    print_closing(run, PrintableConsole(), details=details)


def _say_candidates(planned: "Plan", *, as_json: bool) -> None:
    if as_json:
        totals = {"download_bytes": planned.download_bytes, "seconds": planned.seconds}
        echo_json(json.dumps(dataclasses.asdict(planned) | totals, indent=2))
        return
    import textwrap

    from vitrail.candidates.plan import say_candidates
    from vitrail.core.console import PrintableConsole

    width = PrintableConsole().width
    for line in say_candidates(planned):
        indent = " " * (line.index(" ") + 1) if line[0].isdigit() and line.split(" ")[0].endswith(".") else ""
        echo(textwrap.fill(line, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False))


def _refuse_cluster(cluster: str | None) -> None:
    """Raise UsageError if a part is asked for and a cluster as well."""
    if cluster is not None:
        raise UsageError("A cluster deals out the parts itself: give --cluster or --part, not both.")


def _say_part(done: "PartDone", *, as_json: bool) -> None:
    if as_json:
        echo_json(json.dumps(dataclasses.asdict(done), indent=2))
        return
    computed = ", ".join(f"{count:,} of {name}" for name, count in done.computed.items())
    unreadable = f" {done.unreadable:,} cannot be read." if done.unreadable else ""
    echo(
        f"Part {done.part} has {done.in_part:,} of the {done.images:,} images; its rows are in the cache "
        f"(computed now: {computed}).{unreadable} When every part is there, the same command without --part decides."
    )


def typed_command() -> str:
    """The command that was typed, as a shell would take it."""
    import shlex

    command = shlex.join(["vitrail", *sys.argv[1:]])
    return command.encode(errors="backslashreplace").decode()  # bytes of a path that are not UTF-8
