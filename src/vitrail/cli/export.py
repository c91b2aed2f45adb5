"""vitrail export: a run's backbone and head as a model folder that does not need Vitrail."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo, echo_json
from vitrail.core.printable import make_printable

if TYPE_CHECKING:
    from vitrail.delivery.export.certificate import Certificate, WholeImage


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="The model folder to make.")],
    export_format: Annotated[
        str, typer.Option("--format", metavar="onnx|openvino|torch", help="Which runtime the model is for.")
    ] = "onnx",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="auto|fp32|bf16|fp16|int8",
            help="Arithmetic of the model; fp16 stores weights in half the space. Any but fp32 is refused unless the "
            "test images exclude a loss of more than 0.3 points. auto tries bf16 if this processor is faster in it, "
            "and then fp32.",
        ),
    ] = "fp32",
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
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="The images of the run: the model is checked on its test images.",
            show_default="as the run's command has it",
        ),
    ] = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Export in a reduced precision even if it may lose accuracy.")
    ] = False,
    whole_image: Annotated[
        bool,
        typer.Option(
            "--whole-image",
            help="Also write a model that takes a whole image of any size, and resizes and crops as Pillow does.",
        ),
    ] = False,
    offline: options.Offline = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Export a backbone with its head, checked on the run's test images."""
    from vitrail.core.drawing import watch
    from vitrail.core.resources import Resources
    from vitrail.delivery.export.export import ExportOptions, export_run

    with watch(quiet=quiet) as progress:
        finished = export_run(
            run,
            out,
            ExportOptions(format=export_format, precision=precision, accept_loss=accept_loss, whole_image=whole_image),
            backbone=backbone,
            data=data,
            resources=Resources(offline=offline, progress=progress),
        )
    if as_json:
        echo_json(json.dumps(dataclasses.asdict(finished.certificate), indent=2))
    else:
        for line in _lines(finished.certificate, out):
            echo(make_printable(line))


def _lines(certificate: "Certificate", out: Path) -> list[str]:
    fidelity, shift, loss, speed = certificate.fidelity, certificate.shift, certificate.loss, certificate.speed
    limit = f"{fidelity.allowed_difference:g} is allowed" if loss is None else f"no limit in {certificate.precision}"
    conclusion = shift.conclusion if loss is None else loss.conclusion
    accepted = " (accepted with --accept-loss)" if loss and loss.outcome != "excluded" else ""
    whole = [_whole_line(certificate.whole_image)] if certificate.whole_image else []
    return [
        f"Model     {out}: {certificate.backbone}, {certificate.format} {certificate.precision}, "
        f"{certificate.bytes / 1e6:.1f} MB",
        f"Fidelity  on {_count(fidelity.images, 'test image')} no probability differs by more than "
        f"{fidelity.largest_difference:.1e} from the same network on torch in fp32 "
        f"({limit}); {_count(len(fidelity.flips), 'other answer')}",
        f"Run       ({shift.engine} {shift.precision}) {conclusion}{accepted}; "
        f"{_count(len(shift.flips), 'other answer')}",
        f"Speed     {speed.alone.images_per_s:.0f} images/s one at a time, {speed.best.images_per_s:.0f} in batches of "
        f"{speed.best.batch}, without decoding, on {_count(speed.threads, 'thread')}",
        *whole,
        f"Next      python {out / 'classify.py'} IMAGE",
    ]


def _whole_line(checked: "WholeImage") -> str:
    beyond = f"; {_count(checked.beyond, 'test image')} beyond its limits" if checked.beyond else ""
    return (
        f"Whole     image in, no probability or distance differs by more than {checked.largest_difference:.1e} "
        f"({checked.allowed_difference:g} is allowed); {1e3 * checked.seconds:.0f} ms an image, "
        f"{checked.bytes / 1e6:.1f} MB{beyond}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
