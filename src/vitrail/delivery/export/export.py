"""From a finished run to a model folder whose answers on the test images were checked before it got its name."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from vitrail.core.bounded import read_json
from vitrail.core.errors import RunError, UsageError
from vitrail.core.machine import describe_machine
from vitrail.core.resources import Resources
from vitrail.delivery.export.answers import (
    ImageFiles,
    Measured,
    answer_with_folder,
    answer_with_torch,
    open_test_files,
)
from vitrail.delivery.export.certificate import (
    CERTIFICATE_VERSION,
    Answers,
    Certificate,
    Judged,
    Speed,
    TimedBatch,
    compare_exactly,
    compare_with_run,
)
from vitrail.delivery.export.certificate_page import render_certificate
from vitrail.delivery.export.folder_files import (
    describe_model,
    digest_model,
    filled_folder,
    require_new_folder,
    write_files,
    write_receipt,
    write_text,
)
from vitrail.delivery.export.graphs import Target, require_target, write_graph
from vitrail.delivery.export.int8 import write_int8
from vitrail.delivery.export.layout import CARD, CERTIFICATE, CERTIFICATE_PAGE, FACTS, RUNTIME
from vitrail.delivery.export.loss import check_loss
from vitrail.delivery.export.model_card import render_card
from vitrail.delivery.export.network import Classifier, join_network
from vitrail.evaluation.deciding_metric import WORD
from vitrail.evaluation.pairs import number_groups
from vitrail.features.int8_ranges import attach_ranges
from vitrail.runs import RunRecord, load_run, make_criteria
from vitrail.runs.receipt import read_receipt

_CERTIFICATE = TypeAdapter(Certificate)


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """A finished model folder."""

    folder: Path
    certificate: Certificate


def export_run(
    run_folder: Path,
    out: Path,
    *,
    export_format: str = "onnx",
    precision: str = "fp32",
    backbone: str | None = None,
    data: str | None = None,
    accept_loss: bool = False,
    resources: Resources | None = None,
) -> Export:
    """Write the model folder of a run's backbone.

    Args:
        run_folder: of a finished run; it does not change.
        out: the folder to make.
        export_format: one of `graphs.FORMATS`.
        precision: one of `graphs.PRECISIONS`.
        backbone: "NAME" or "NAME=FILE"; None for the one that the run picked.
        data: the images of the run; None for those that its command names.
        accept_loss: whether a reduced precision may lose accuracy; the certificate records it.
        resources: what may be used; None for the defaults.

    Raises:
        UsageError: format, precision, backbone or images do not exist, a package or the processor's arithmetic is
            missing, a loss is accepted for fp32, or `out` is there already.
        RunError: the run was changed, or its export does not answer as the run did: then no folder is left.
        DataError: an image has changed or cannot be read.
    """
    resources = resources or Resources()
    target = require_target(export_format, precision)
    if accept_loss and target.precision == "fp32":
        raise UsageError("fp32 has no loss to accept: leave out --accept-loss, or choose another --precision.")
    require_new_folder(out)
    run = load_run(run_folder)
    digest = read_receipt(run_folder).digest
    classifier = Classifier.open(run, backbone, offline=resources.offline, progress=resources.progress)
    test = open_test_files(run, run.predictions(classifier.result.name).ids, data, resources)
    max_pixels = run.results.options.max_pixels
    torch = answer_with_torch(classifier, test, max_pixels=max_pixels, resources=resources)
    with filled_folder(out) as folder:
        write_model(folder, classifier, digest, target, train=find_train_files(run, test), max_pixels=max_pixels)
        measured = answer_with_folder(folder, test, resources=resources)
        certificate = certify(run, classifier, torch, measured, folder=folder, target=target, accept_loss=accept_loss)
        require_passed(certificate, out)
        (folder / CERTIFICATE).write_bytes(_CERTIFICATE.dump_json(certificate, indent=2) + b"\n")
        write_text(folder / CERTIFICATE_PAGE, render_certificate(certificate, run.paths()))
        write_text(folder / CARD, render_card(run.results, read_json(folder / FACTS), certificate))
        write_receipt(folder, digest)
    return Export(folder=out, certificate=certificate)


def find_train_files(run: RunRecord, test: ImageFiles) -> ImageFiles:
    """The train images of a run, which lie where its test images do."""
    examples = run.examples()
    return replace(
        test, ids=[example for example, split in zip(examples.ids, examples.splits, strict=True) if split == "train"]
    )


def write_model(
    folder: Path, classifier: Classifier, run_digest: str, target: Target, *, train: ImageFiles, max_pixels: int
) -> None:
    """Write everything that can be written before the model has answered; `train` is read for int8 alone."""
    facts = describe_model(classifier, run_digest, target, max_pixels=max_pixels)
    if target.precision == "int8":
        backbone = attach_ranges(classifier.backbone, train.ids, train.read, max_pixels=max_pixels)
        write_int8(target, classifier, backbone, facts=facts, folder=folder)
    else:
        crop = classifier.backbone.card.preprocessing.crop
        write_graph(target, join_network(classifier), crop=crop, facts=facts, folder=folder)
    write_files(folder, classifier, facts)


def certify(
    run: RunRecord,
    classifier: Classifier,
    torch: Answers,
    measured: Measured,
    *,
    folder: Path,
    target: Target,
    accept_loss: bool = False,
) -> Certificate:
    """Compare the answers of a model folder with those of torch and with those that the run stored."""
    stored, examples, machine = run.predictions(classifier.result.name), run.examples(), describe_machine()
    groups = {example: group for example, group in zip(examples.ids, examples.groups, strict=True) if group is not None}
    images = Judged(
        ids=stored.ids,
        label_N=stored.label_N,
        group_N=number_groups(groups, stored.ids),
        classes=classifier.head.classes,
    )
    timed = [TimedBatch(**speed) for speed in measured.facts["speeds"]]
    criteria, model = make_criteria(run.results.options), digest_model(folder, target.format)
    shift = compare_with_run(
        images,
        stored.probability_NC,
        measured.answers,
        classifier.refusal,
        criteria,
        engine=classifier.result.engine,
        precision=classifier.result.precision,
    )
    may_lose = target.precision != "fp32"
    return Certificate(
        certificate_version=CERTIFICATE_VERSION,
        run=read_receipt(run.folder).digest,
        backbone=classifier.result.name,
        format=target.format,
        precision=target.precision,
        model=model,
        bytes=sum((folder / name).stat().st_size for name in model),
        runtime={name: version(name) for name in ("numpy", "pillow", RUNTIME[target.format])},
        imported=tuple(measured.facts["imported"]),
        fidelity=compare_exactly(
            images, torch, measured.answers, classifier.refusal, reduced=measured.facts["reduced"]
        ),
        shift=shift,
        loss=check_loss(shift.pair, WORD[criteria.decide_by], accepted=accept_loss) if may_lose else None,
        speed=Speed(
            processor=machine.cpu,
            threads=measured.facts["threads"],
            alone=timed[0],
            best=timed[int(np.argmax([batch.images_per_s for batch in timed]))],
        ),
    )


def require_passed(certificate: Certificate, out: Path) -> None:
    """Raise RunError with every reason to refuse an export, if there is one."""
    faults = "; ".join(certificate.faults())
    if faults and certificate.loss is None:
        raise RunError(
            f"The {certificate.format} export of {certificate.backbone} does not answer the test images as the run "
            f"did, so {out} was not made: {faults}. Choose another --format."
        )
    if faults:
        raise RunError(
            f"The {certificate.format} export of {certificate.backbone} in {certificate.precision} may be worse than "
            f"the run, so {out} was not made: {faults}. Choose another --precision, or give --accept-loss."
        )
