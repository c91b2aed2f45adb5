"""Exports of finished runs, and of wrong networks, which must be refused: certificates in a table.

    python -m benchmarks.exports RUN [--data DATA]

The wrong networks are written from a classifier that is changed in one thing, and compared with the right one.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.report import Page
from vitrail.backbones.poolings import components_of
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.delivery.export.answers import Reference, answer_with_folder
from vitrail.delivery.export.certificate import Certificate
from vitrail.delivery.export.export import certify, write_model
from vitrail.delivery.export.graphs import FORMATS, Target
from vitrail.delivery.export.network import Classifier
from vitrail.runs import load_run


def change_preprocessing(classifier: Classifier, **changes: Any) -> Classifier:
    """The classifier with a network or a preprocess.py that prepares images in another way."""
    card = classifier.backbone.card
    changed = replace(card, preprocessing=replace(card.preprocessing, **changes))
    return replace(classifier, backbone=replace(classifier.backbone, card=changed))


def change_pooling(classifier: Classifier) -> Classifier:
    """Another pooling of the same width: the other component, or the same ones in another order."""
    parts = components_of(classifier.pooling)
    wrong = "+".join(reversed(parts)) if len(parts) > 1 else {"cls": "mean", "mean": "cls"}[classifier.pooling]
    return replace(classifier, pooling=wrong)


def drop_temperature(classifier: Classifier) -> Classifier:
    """The head without its temperature."""
    return replace(classifier, head=replace(classifier.head, temperature=1.0))


CHANGES: dict[str, Callable[[Classifier], Classifier]] = {
    "BGR": lambda classifier: change_preprocessing(classifier, channels="BGR"),
    "wrong pooling": change_pooling,
    "no temperature": drop_temperature,
    "no antialiasing": lambda classifier: change_preprocessing(classifier, interpolation="bilinear", antialias=False),
}


def certify_folder(reference: Reference, written: Classifier, *, target: Target, folder: Path) -> Certificate:
    """The certificate of a folder that is made from `written`, compared with the classifier of `reference`."""
    write_model(folder, written, target, reference)
    measured = answer_with_folder(folder, reference.test, resources=Resources(offline=True))
    return certify(reference, measured, folder=folder, target=target)


def main(run_folder: Path, data: Annotated[str | None, typer.Option()] = None) -> None:
    """Measure every backbone of a run, and write the table beside this file."""
    run, resources = load_run(run_folder), Resources(offline=True)
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", f"benchmarks.exports {run_folder}")
    page.head("backbone", "format", "made from", "largest difference", "other answers", "reduced", "images/s", "gate")
    for result in run.results.backbones:
        classifier = Classifier.open(run, result.name, offline=True, progress=Silent())
        reference = Reference.answer(run, classifier, data, resources)
        poolings = [] if len(result.card.poolings) > 1 else ["wrong pooling"]
        for export_format in FORMATS:
            for name, change in {"the run": lambda classifier: classifier, **CHANGES}.items():
                if name in poolings:  # it has only one
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    certificate = certify_folder(
                        reference, change(classifier), target=Target(format=export_format), folder=Path(folder)
                    )
                fidelity = certificate.fidelity
                page.row(
                    result.name,
                    export_format,
                    name,
                    f"{fidelity.largest_difference:.1e}",
                    f"{len(fidelity.flips)} of {fidelity.images}",
                    str(fidelity.reduced),
                    f"{certificate.speed.alone.images_per_s:.1f} alone, {certificate.speed.best.images_per_s:.1f} best",
                    "refused" if certificate.faults() else "passed",
                )
    page.write(f"exports_{run_folder.name}")


if __name__ == "__main__":
    typer.run(main)
