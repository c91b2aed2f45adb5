"""Exports of a finished run in every precision: what each changes, how fast it is, and what the rule says of it.

    python -m benchmarks.export_precisions RUN NAME[=FILE]... [--data DATA]

Speed is that of the model alone, one image at a time and in its fastest batch, and how many times fp32's in the same
format. The outcome is that of `vitrail.delivery.export.loss`; for fp32 that of its fidelity and the paired test.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.exports import certify_folder
from benchmarks.report import Page
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.delivery.export.answers import Reference
from vitrail.delivery.export.certificate import Certificate
from vitrail.delivery.export.graphs import FORMATS, PRECISIONS, REFUSED, Target
from vitrail.delivery.export.loss import say_interval
from vitrail.delivery.export.network import Classifier
from vitrail.runs import load_run

TARGETS = tuple(
    Target(format=export_format, precision=precision)
    for export_format in FORMATS
    for precision in PRECISIONS
    if (export_format, precision) not in REFUSED
)


def main(run_folder: Path, backbones: list[str], data: Annotated[str | None, typer.Option()] = None) -> None:
    """Measure these backbones of a run, and write the table beside this file."""
    run, resources = load_run(run_folder), Resources(offline=True)
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", f"benchmarks.export_precisions {run_folder.name}")
    page.head("backbone", "model", "MB", "other answers", "paired difference", "alone", "best batch", "outcome")
    for backbone in backbones:
        classifier = Classifier.open(run, backbone, offline=True, progress=Silent())
        reference = Reference.answer(run, classifier, data, resources)
        exact: dict[str, Certificate] = {}
        for target in TARGETS:
            with tempfile.TemporaryDirectory() as folder:
                certificate = certify_folder(reference, classifier, target=target, folder=Path(folder))
            fp32 = exact.setdefault(target.format, certificate)
            page.row(*describe(certificate, fp32))
    page.write(f"export_precisions_{run_folder.name}")


def describe(certificate: Certificate, fp32: Certificate) -> list[str]:
    """The cells of an export, beside the same format's in fp32."""
    shift, speed, loss = certificate.shift, certificate.speed, certificate.loss
    return [
        certificate.backbone,
        f"{certificate.format} {certificate.precision}",
        f"{certificate.bytes / 1e6:.1f}",
        f"{len(shift.flips)} of {shift.pair.difference.n}",
        say_interval(shift.pair.difference),
        f"{speed.alone.images_per_s:.1f}/s, x{speed.alone.images_per_s / fp32.speed.alone.images_per_s:.2f}",
        f"{speed.best.images_per_s:.1f}/s, x{speed.best.images_per_s / fp32.speed.best.images_per_s:.2f}",
        ("refused" if certificate.faults() else "passed") if loss is None else f"loss {loss.outcome}",
    ]


if __name__ == "__main__":
    typer.run(main)
