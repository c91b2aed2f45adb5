"""vitrail bench: from labelled images to a decision."""

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.core.errors import UsageError

if TYPE_CHECKING:
    from vitrail.benchmark import PartDone

DATA_HELP = (
    "A folder with one folder of images a class (train/, val/, test/ on top are honoured), an archive of one (.zip, "
    ".tar, .tar.gz), WebDataset shards, Parquet with images, the URL of one of these (s3://bucket/images), "
    "or a CSV or Parquet manifest with path,label[,split][,group] and further columns such as camera. Without it: "
    "scikit-learn's digits."
)


def bench(
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help=DATA_HELP, show_default=False)] = None,
    backbone: options.Backbones = None,
    out: options.Out = None,
    seed: options.Seed = 0,
    engine: options.Engine = "auto",
    precision: options.Precision = "auto",
    decode: Annotated[
        str,
        typer.Option(
            "--decode",
            metavar="auto|exact|fast",
            help="JPEGs much larger than a backbone needs: whole (exact), or at a fraction of their size, which is "
            "several times faster (fast). auto is fast where that leaves features and answers as they are.",
        ),
    ] = "auto",
    margin: options.Margin = "1pt",
    level: Annotated[float, typer.Option("--level", help="Confidence level of every interval.")] = 0.95,
    decide_by: Annotated[
        str,
        typer.Option(
            "--decide-by",
            metavar="top1|balanced",
            help="The accuracy on the test images that decides between backbones: of all images alike, or the mean of "
            "the classes' accuracies, in which rare classes count as much as frequent ones. Heads are chosen on val "
            "by --choose-by.",
        ),
    ] = "top1",
    max_megapixels: Annotated[
        float, typer.Option("--max-megapixels", help="Larger images are set aside.", min=0.01)
    ] = 100,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            metavar="default|deck",
            help="What we recommend, or what the deck did; give both to see both. The first has the plain names.",
            show_default="default",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            help="Settings drawn for heads trained step by step, for each backbone.",
            min=1,
            show_default="16, or as --budget allows",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="TIME",
            help="Seconds, or 2m, 1h30m: no step of a backbone's search begins after.",
            show_default="none",
        ),
    ] = None,
    choose_by: Annotated[
        str, typer.Option("--choose-by", metavar="nll|accuracy", help="The figure on val that a head is chosen by.")
    ] = "nll",
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Every class counts the same in fitting and choosing heads.")
    ] = False,
    calibration: Annotated[
        float,
        typer.Option(
            "--calibration",
            metavar="FRACTION",
            help="Share of the images, cut from train, on which alone sets of classes and refusals are set: 0.1.",
            show_default="none: on out-of-fold answers",
        ),
    ] = 0.0,
    near_duplicates: Annotated[
        bool,
        typer.Option(
            "--near-duplicates/--no-near-duplicates",
            help="Find resized, cropped, mirrored copies of images and keep them on one side of the split.",
        ),
    ] = True,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slices",
            metavar="COLUMN",
            help="Show accuracy for each value of this column of the manifest, such as camera. Repeatable.",
            show_default="further columns with 2 to 20 values",
        ),
    ] = None,
    leave_out: Annotated[
        str | None,
        typer.Option(
            "--leave-out",
            metavar="COLUMN",
            help="Also judge on values of this column that training never saw: fits the chosen heads again without "
            "each value.",
            show_default="none",
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="I/N",
            help="Compute only this part of the features, into the cache that several machines share, and stop.",
            show_default="all of it, to a decision",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="auto|ADDRESS",
            help="Compute the features on the machines of a Ray cluster, which must all see DATA and the cache.",
            show_default="this machine alone",
        ),
    ] = None,
    offline: options.Offline = False,
    threads: options.Threads = None,
    batch: options.Batch = None,
    details: options.Details = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Run every backbone frozen over the images, tune a head on each, open the test split once, say which to take."""
    from vitrail.benchmark import bench as run_bench
    from vitrail.benchmark import compute_part
    from vitrail.candidates import BenchOptions
    from vitrail.candidates.recipes import DEFAULT
    from vitrail.cli.drawing import watch
    from vitrail.core.resources import Resources
    from vitrail.data import SplitOptions
    from vitrail.features import parse_part
    from vitrail.runs import results_to_json
    from vitrail.search import TuneOptions

    chosen = BenchOptions(
        split=SplitOptions(calibration=calibration, seed=seed),
        search=TuneOptions(
            trials=trials,
            budget_s=None if budget is None else options.read_seconds(budget),
            metric=choose_by,  # type: ignore[arg-type]  # its own check names what is possible
            balanced=balanced,
            leave_out=leave_out,
            seed=seed,
        ),
        engine=engine,
        precision=precision,
        decode=decode,
        margin=options.read_margin(margin),
        level=level,
        decide_by=decide_by,  # type: ignore[arg-type]  # its own check names what is possible
        max_pixels=round(max_megapixels * 1e6),
        near_duplicates=near_duplicates,
        recipes=tuple(recipe or (DEFAULT,)),
        slices=tuple(slices or ()),
        seed=seed,
    )
    if part is not None:
        if cluster is not None:
            raise UsageError("A cluster deals out the parts itself: give --cluster or --part, not both.")
        with watch(quiet=quiet) as progress:
            resources = Resources(cores=threads, batch=batch, offline=offline, progress=progress)
            done = compute_part(data, backbone or (), parse_part(part), options=chosen, resources=resources)
        _say_part(done, as_json=as_json)
        return
    with watch(quiet=quiet) as progress:
        run = run_bench(
            data,
            backbone or (),
            out=out,
            options=chosen,
            resources=Resources(cores=threads, batch=batch, offline=offline, progress=progress),
            cluster=cluster,
            command=_command(),
        )
    if as_json:
        typer.echo(results_to_json(run.results).decode(), nl=False)
        return
    from rich.console import Console

    from vitrail.cli.closing import print_closing

    print_closing(run, Console(), details=details)


def _say_part(done: "PartDone", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(done), indent=2))
        return
    computed = ", ".join(f"{count:,} of {name}" for name, count in done.computed.items())
    unreadable = f" {done.unreadable:,} cannot be read." if done.unreadable else ""
    typer.echo(
        f"Part {done.part} has {done.in_part:,} of the {done.images:,} images; its rows are in the cache "
        f"(computed now: {computed}).{unreadable} When every part is there, the same command without --part decides."
    )


def _command() -> str:
    import shlex

    return shlex.join(["vitrail", *sys.argv[1:]])
