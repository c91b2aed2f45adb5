"""From a finished run to a model folder whose answers on the test images were checked before it got its name."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from vitrail.core.errors import RunError, UsageError
from vitrail.core.machine import describe_machine
from vitrail.core.resources import Resources
from vitrail.delivery.export.answers import Measured, Reference, answer_with_folder
from vitrail.delivery.export.certificate import (
    CERTIFICATE_VERSION,
    Certificate,
    Judged,
    Speed,
    TimedBatch,
    compare_exactly,
    compare_with_run,
)
from vitrail.delivery.export.certificate_page import render_certificate
from vitrail.delivery.export.folder_files import (
    count_bytes,
    describe_model,
    digest_model,
    filled_folder,
    require_new_folder,
    write_files,
    write_receipt,
    write_text,
)
from vitrail.delivery.export.graphs import Target, list_targets, write_graph
from vitrail.delivery.export.int8 import write_int8
from vitrail.delivery.export.layout import CARD, CERTIFICATE, CERTIFICATE_PAGE, MODEL_FILE, RUNTIME
from vitrail.delivery.export.loss import check_loss
from vitrail.delivery.export.model_card import render_card
from vitrail.delivery.export.network import Classifier, join_network
from vitrail.delivery.export.whole_image import (
    check_whole_image,
    describe_whole_image,
    require_whole_image,
    write_whole_image,
)
from vitrail.evaluation.deciding_metric import WORD
from vitrail.evaluation.pairs import number_groups
from vitrail.features.int8_ranges import attach_ranges
from vitrail.runs import load_run, make_criteria

_CERTIFICATE = TypeAdapter(Certificate)


class ExportRefusedError(RunError):
    """A model does not answer the test images as it has to; `faults` says why in clauses."""

    def __init__(self, message: str, faults: str) -> None:
        super().__init__(message)
        self.faults = faults


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOptions:
    """Which model is made of a backbone.

    `format` is one of `graphs.FORMATS`; `precision` one of `graphs.PRECISIONS`, or "auto": the fastest on this machine,
    or fp32 if that is refused. With `accept_loss` a reduced precision may lose accuracy, and the certificate records
    it. `whole_image` adds a model that takes whole images of any size.
    """

    format: str = "onnx"
    precision: str = "fp32"
    accept_loss: bool = False
    whole_image: bool = False

    def targets(self) -> tuple[Target, ...]:
        """What to try, in this order.

        Raises:
            UsageError: format or precision do not exist or do not go together, a package or the processor's arithmetic
                is missing, or a loss is accepted for fp32.
        """
        targets = list_targets(self.format, self.precision)
        if self.accept_loss and self.precision == "fp32":
            raise UsageError("fp32 has no loss to accept: leave out --accept-loss, or choose another --precision.")
        return targets


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """A finished model folder."""

    folder: Path
    certificate: Certificate


def export_run(
    run_folder: Path,
    out: Path,
    options: ExportOptions | None = None,
    *,
    backbone: str | None = None,
    data: str | None = None,
    resources: Resources | None = None,
) -> Export:
    """Write the model folder of a run's backbone.

    Args:
        run_folder: of a finished run; it does not change.
        out: the folder to make.
        options: which model; None for ONNX in fp32.
        backbone: "NAME" or "NAME=FILE"; None for the one that the run picked.
        data: the images of the run; None for those that its command names.
        resources: what may be used; None for the defaults.

    Raises:
        UsageError: the options do not fit (`ExportOptions.targets`), backbone or images do not exist, `out` is there
            already, or there cannot be a model of whole images.
        RunError: the run was changed, or its export does not answer as the run did: then no folder is left.
        DataError: an image has changed or cannot be read.
    """
    options, resources = options or ExportOptions(), resources or Resources()
    *reduced, last = options.targets()
    require_new_folder(out)
    run = load_run(run_folder)
    classifier = Classifier.open(run, backbone, offline=resources.offline, progress=resources.progress)
    if options.whole_image:
        require_whole_image(classifier, reduced[0] if reduced else last)
    reference = Reference.answer(run, classifier, data, resources)
    for target in reduced:
        try:
            return make_folder(out, reference, target, options, resources)
        except ExportRefusedError as error:
            resources.progress.note(f"Not in {target.precision}: {error.faults}. Exporting in {last.precision}.")
    return make_folder(out, reference, last, options, resources)


def make_folder(
    out: Path, reference: Reference, target: Target, options: ExportOptions, resources: Resources
) -> Export:
    """Write a model folder, check what it answers, and give it its name.

    Raises:
        ExportRefusedError: it does not answer as it has to; no folder is left.
    """
    with filled_folder(out) as folder:
        facts = write_model(folder, reference.classifier, target, reference, whole_image=options.whole_image)
        measured = answer_with_folder(folder, reference.test, resources=resources)
        certificate = certify(reference, measured, folder=folder, target=target, accept_loss=options.accept_loss)
        if options.whole_image:
            checked = check_whole_image(folder, facts["whole_image"], reference, resources=resources)
            certificate = replace(certificate, whole_image=checked)
        require_passed(certificate, out)
        (folder / CERTIFICATE).write_bytes(_CERTIFICATE.dump_json(certificate, indent=2) + b"\n")
        write_text(folder / CERTIFICATE_PAGE, render_certificate(certificate, reference.run.paths()))
        write_text(folder / CARD, render_card(reference.run.results, facts, certificate))
        write_receipt(folder, reference.digest)
    return Export(folder=out, certificate=certificate)


def write_model(
    folder: Path, classifier: Classifier, target: Target, reference: Reference, *, whole_image: bool = False
) -> dict[str, Any]:
    """Write everything that can be written before the model has answered.

    Args:
        folder: where.
        classifier: what is written: that of the reference, or a wrong one, which must be refused.
        target: the format and the precision.
        reference: its run; its train images are read for int8 alone.
        whole_image: whether there is also a model of whole images.

    Returns:
        The facts of model.json.
    """
    facts = describe_model(classifier, reference.digest, target, max_pixels=reference.max_pixels)
    if whole_image:
        facts["whole_image"] = describe_whole_image(classifier, target)
        write_whole_image(folder, classifier, target, facts)
    if target.precision == "int8":
        train = reference.train
        backbone = attach_ranges(classifier.backbone, train.ids, train.read, max_pixels=reference.max_pixels)
        write_int8(target, classifier, backbone, facts=facts, folder=folder)
    else:
        crop = classifier.backbone.card.preprocessing.crop
        write_graph(target, join_network(classifier), crop=crop, facts=facts, folder=folder)
    write_files(folder, classifier, facts)
    return facts


def certify(
    reference: Reference, measured: Measured, *, folder: Path, target: Target, accept_loss: bool = False
) -> Certificate:
    """Compare the answers of a model folder with those of torch and with those that the run stored."""
    run, classifier, result = reference.run, reference.classifier, reference.classifier.result
    stored, examples = run.predictions(result.name), run.examples()
    groups = {example: group for example, group in zip(examples.ids, examples.groups, strict=True) if group is not None}
    images = Judged(
        ids=stored.ids,
        label_N=stored.label_N,
        group_N=number_groups(groups, stored.ids),
        classes=classifier.head.classes,
    )
    criteria, model = make_criteria(run.results.options), digest_model(folder, MODEL_FILE[target.format])
    shift = compare_with_run(
        images,
        stored.probability_NC,
        measured.answers,
        classifier.refusal,
        criteria,
        engine=result.engine,
        precision=result.precision,
    )
    may_lose = target.precision != "fp32"
    return Certificate(
        certificate_version=CERTIFICATE_VERSION,
        run=reference.digest,
        backbone=result.name,
        format=target.format,
        precision=target.precision,
        model=model,
        bytes=count_bytes(folder, model),
        runtime={name: version(name) for name in ("numpy", "pillow", RUNTIME[target.format])},
        imported=tuple(measured.facts["imported"]),
        fidelity=compare_exactly(
            images, reference.torch, measured.answers, classifier.refusal, reduced=measured.facts["reduced"]
        ),
        shift=shift,
        loss=check_loss(shift.pair, WORD[criteria.decide_by], accepted=accept_loss) if may_lose else None,
        speed=read_speed(measured),
    )


def read_speed(measured: Measured) -> Speed:
    """How fast a model answered on this machine."""
    timed = [TimedBatch(**speed) for speed in measured.facts["speeds"]]
    return Speed(
        processor=describe_machine().cpu,
        threads=measured.facts["threads"],
        alone=timed[0],
        best=timed[int(np.argmax([batch.images_per_s for batch in timed]))],
    )


def require_passed(certificate: Certificate, out: Path) -> None:
    """Raise ExportRefusedError with every reason to refuse an export, if there is one."""
    faults = certificate.faults()
    if not faults:
        return
    loss, whole = certificate.loss, certificate.whole_image
    problem, advice = "does not answer the test images as the run did", "Choose another --format."
    if loss is not None and faults == (loss.fault(),):
        problem, advice = "may be worse than the run", "Choose another --precision, or give --accept-loss."
    elif loss is not None:
        advice = "Choose another --precision or --format."
    elif whole is not None and faults == (whole.fault(),):
        advice = "Leave out --whole-image, or choose another --format."
    raise ExportRefusedError(
        f"The {certificate.format} export of {certificate.backbone} in {certificate.precision} {problem}, so {out} was "
        f"not made: {'; '.join(faults)}. {advice}",
        "; ".join(faults),
    )
