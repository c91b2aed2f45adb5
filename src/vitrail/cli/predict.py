"""vitrail predict: what a run's head says of new images."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo, echo_json
from vitrail.core.printable import make_strings_printable

if TYPE_CHECKING:
    from vitrail.delivery.predict import Prediction


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGES...", help="Image files, and folders of them.")],
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            "-b",
            metavar="NAME[=FILE]",
            help="Which backbone of the run; with =FILE where its weights are.",
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
    offline: options.Offline = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Predict the class of new images with the head that a run has tuned."""
    from vitrail.core.drawing import watch
    from vitrail.core.errors import DataError
    from vitrail.delivery.predict import Predictor

    with watch(quiet=quiet) as progress:
        predictor = Predictor.open(run, backbone, sets=sets, offline=offline, progress=progress)
        predictions = predictor.predict(images)
    if as_json:
        echo_json(json.dumps([dataclasses.asdict(prediction) for prediction in predictions], indent=2))
    else:
        for prediction in predictions:
            echo(_line(prediction))
    if not any(prediction.label for prediction in predictions):
        raise DataError("No image could be read: each is listed above with its reason. Give image files or folders.")


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
