"""vitrail pretrain: make the embedded backbones again, from images that a formula draws."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo, echo_json


def pretrain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="vit_mini or resnet_mini.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where <NAME>.safetensors goes.")] = Path(),
    classes: Annotated[
        int | None, typer.Option(metavar="N", help="How many formulas.", show_default="as shipped")
    ] = None,
    images_per_class: Annotated[
        int | None, typer.Option(metavar="N", help="Drawings of each.", show_default="as shipped")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Passes over all of them.", show_default="as shipped")
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Pretrain a small backbone on labelled images that a formula draws: no download, no licence."""
    from vitrail.core.drawing import watch
    from vitrail.core.machine import usable_cores
    from vitrail.training.pretrain import default_options
    from vitrail.training.pretrain import pretrain as make

    given: dict[str, Any] = {"classes": classes, "images_per_class": images_per_class, "epochs": epochs, "seed": seed}
    chosen = dataclasses.replace(
        default_options(name), **{key: value for key, value in given.items() if value is not None}
    )
    with watch(quiet=quiet) as progress:
        report = make(name, chosen, out=out, threads=usable_cores(), progress=progress)
    if as_json:
        echo_json(json.dumps(dataclasses.asdict(report), indent=2, default=str))
        return
    echo(
        f"{report.path}: {report.bytes / 1e6:.1f} MB, {100 * report.held_out_accuracy:.1f}% of new drawings "
        f"recognised, {report.seconds:.0f} s"
    )
