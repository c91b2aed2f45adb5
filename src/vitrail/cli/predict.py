"""vitrail predict: what a run or a model folder says of new images."""

import json
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo, echo_json
from vitrail.core.printable import make_strings_printable

if TYPE_CHECKING:
    from vitrail.core.resources import Resources
    from vitrail.delivery.predict import Predictor
    from vitrail.delivery.predict_folder import FolderPredictor
    from vitrail.delivery.prediction import Prediction

STDIN = "-"


def predict(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|MODEL",
            help="The folder of a finished run, or a model folder that `vitrail export` wrote, which needs no torch.",
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES...",
            help="Image files and folders of them, patterns, and all data that `vitrail bench` takes. With - a list of "
            "paths is read from stdin, one a line or as `find -print0` writes them.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write a table, in the format of its ending: .csv, .xlsx, .parquet or .jsonl.",
            show_default="lines on stdout",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            "-b",
            metavar="NAME[=FILE]",
            help="Which backbone of the run; with =FILE where its weights are. A model folder has one.",
            show_default="the one the run picked",
        ),
    ] = None,
    sets: Annotated[
        str,
        typer.Option(
            "--sets",
            metavar="lac|adaptive[-by-class]",
            help="How sets of classes are made: small on average, or growing with doubt; the same for each class.",
        ),
    ] = "lac",
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Predict the class of new images with the head that a run has tuned, or with an exported model."""
    from vitrail.core.drawing import watch
    from vitrail.core.errors import DataError
    from vitrail.core.resources import Resources
    from vitrail.delivery.new_images import read_list
    from vitrail.delivery.prediction_files import require_format, write_predictions
    from vitrail.delivery.prediction_summary import PredictionCounter, say_summary

    if out is not None:
        require_format(out)
        _require_other_file(out, images)
    given = [read_list(_stdin()) if image == STDIN else [image] for image in images]
    with watch(quiet=quiet) as progress:
        resources = Resources(data_dir=data_dir, offline=offline, progress=progress)
        predictor = _open(run, backbone, sets=sets, resources=resources)
    counter = PredictionCounter(predictor.classes, knows_run=predictor.knows_run)
    # On a terminal, lines of predictions show the progress themselves, and bars would be drawn between them.
    with watch(quiet=quiet or (out is None and sys.stdout.isatty())) as progress:
        predictor = replace(predictor, resources=replace(resources, progress=progress))
        with closing(predictor.stream(chain.from_iterable(given))) as stream:
            predictions = counter.watch(stream)
            if out is not None:
                write_predictions(out, predictions)
            elif as_json:
                _print_json(predictions)
            else:
                for prediction in predictions:
                    echo(_line(prediction))
    summary = counter.summary()
    if out is not None and as_json:
        echo_json(json.dumps(asdict(summary), indent=2))
    elif out is not None:
        echo("\n".join([*say_summary(summary), f"Written to {out}"]))
    elif not quiet:
        for sentence in say_summary(summary):
            echo(sentence, err=True)
    if summary.images == summary.unreadable:
        where = f"in {out}" if out is not None else "above"
        raise DataError(f"No image could be read: each is listed {where} with its reason. Give image files or folders.")


def _open(folder: Path, backbone: str | None, *, sets: str, resources: "Resources") -> "Predictor | FolderPredictor":
    """Open a run or a model folder, by its files; torch is imported for a run only."""
    from vitrail.core.errors import UsageError
    from vitrail.delivery.folder_checks import is_model_folder

    if not is_model_folder(folder):
        from vitrail.delivery.predict import Predictor

        return Predictor.open(folder, backbone, sets=sets, resources=resources)
    from vitrail.delivery.predict_folder import FolderPredictor

    if backbone is not None:
        raise UsageError(
            f"--backbone chooses one of a run, and {folder} is a model folder, which has one: leave it out."
        )
    return FolderPredictor.open(folder, sets=sets, resources=resources)


def _stdin() -> BinaryIO:
    from vitrail.core.errors import UsageError

    if sys.stdin is None:
        raise UsageError("There is no list to read: stdin is closed. Pipe one into the command, or give files.")
    return sys.stdin.buffer


def _require_other_file(out: Path, images: Iterable[str]) -> None:
    """Refuse to replace what is to be read; a list that is given by mistake, such as `*.csv`, may name it."""
    from vitrail.core.bounded import is_regular_file
    from vitrail.core.errors import UsageError

    if is_regular_file(out) and any(is_regular_file(image) and out.samefile(image) for image in images):
        raise UsageError(f"--out {out} is one of the files to read, and would be replaced: give another name.")


def _print_json(predictions: Iterable["Prediction"]) -> None:
    """An array, printed as the predictions come."""
    echo_json("[")
    before = None
    for prediction in predictions:
        if before is not None:
            echo_json(f"{before},")
        before = indent(json.dumps(asdict(prediction), indent=2), "  ")
    if before is not None:
        echo_json(before)
    echo_json("]")


def _line(prediction: "Prediction") -> str:
    prediction = make_strings_printable(prediction)  # a tab or a new line in a name would make a column or a row
    if prediction.error is not None:
        return f"{prediction.path}\t-\t{prediction.error}"
    best = f"{prediction.label}\t{prediction.probability:.1%}"
    answer = (
        f"I do not know\t({prediction.doubt}; nearest {prediction.label} {prediction.probability:.1%})"
        if prediction.doubt
        else best
    )
    return f"{prediction.path}\t{answer}" + (f"\t{{{', '.join(prediction.set)}}}" if prediction.set else "")
