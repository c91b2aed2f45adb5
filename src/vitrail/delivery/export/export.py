"""From a finished run to a model folder whose answers on the test images were checked before it got its name."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from vitrail.core.errors import RunError
from vitrail.core.machine import describe_machine
from vitrail.core.resources import Resources
from vitrail.delivery.export.answers import Measured, answer_with_folder, answer_with_torch, open_test_files
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
from vitrail.delivery.export.folder_files import (
    describe_model,
    digest_model,
    filled_folder,
    require_new_folder,
    write_files,
    write_receipt,
)
from vitrail.delivery.export.graphs import ExportFormat, require_format, write_graph
from vitrail.delivery.export.layout import CERTIFICATE, RUNTIME
from vitrail.delivery.export.network import Classifier, join_network
from vitrail.delivery.export.whole_image import check_whole_image, require_plain, write_whole_image
from vitrail.evaluation.pairs import number_groups
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
    backbone: str | None = None,
    data: str | None = None,
    whole_image: bool = False,
    resources: Resources | None = None,
) -> Export:
    """Write the model folder of a run's backbone, in float32.

    Args:
        run_folder: of a finished run; it does not change.
        out: the folder to make.
        export_format: one of `graphs.FORMATS`.
        backbone: "NAME" or "NAME=FILE"; None for the one that the run picked.
        data: the images of the run; None for those that its command names.
        whole_image: also write a model that takes whole images of any size.
        resources: what may be used; None for the defaults.

    Raises:
        UsageError: format, backbone or images do not exist, a package is missing, `out` is there already, or there
            cannot be a model of whole images.
        RunError: the run was changed, or its export does not answer as the run did: then no folder is left.
        DataError: a test image has changed or cannot be read.
    """
    resources = resources or Resources()
    chosen_format = require_format(export_format)
    require_new_folder(out)
    run = load_run(run_folder)
    digest = read_receipt(run_folder).digest
    classifier = Classifier.open(run, backbone, offline=resources.offline, progress=resources.progress)
    if whole_image:
        require_plain(classifier)
    test = open_test_files(run, run.predictions(classifier.result.name).ids, data, resources)
    torch = answer_with_torch(classifier, test, max_pixels=run.results.options.max_pixels, resources=resources)
    with filled_folder(out) as folder:
        write_model(folder, classifier, digest, chosen_format, max_pixels=run.results.options.max_pixels)
        measured = answer_with_folder(folder, test, resources=resources)
        certificate = certify(run, classifier, torch, measured, folder=folder, export_format=chosen_format)
        if whole_image:
            write_whole_image(folder, classifier)
            checked = check_whole_image(folder, test, torch, resources=resources)
            certificate = replace(certificate, whole_image=checked)
        require_passed(certificate, out)
        (folder / CERTIFICATE).write_bytes(_CERTIFICATE.dump_json(certificate, indent=2) + b"\n")
        write_receipt(folder, digest)
    return Export(folder=out, certificate=certificate)


def write_model(
    folder: Path, classifier: Classifier, run_digest: str, export_format: ExportFormat, *, max_pixels: int
) -> None:
    """Write everything that can be written before the model has answered."""
    facts = describe_model(classifier, run_digest, export_format, max_pixels=max_pixels)
    crop = classifier.backbone.card.preprocessing.crop
    write_graph(export_format, join_network(classifier), crop=crop, facts=facts, folder=folder)
    write_files(folder, classifier, facts)


def certify(
    run: RunRecord,
    classifier: Classifier,
    torch: Answers,
    measured: Measured,
    *,
    folder: Path,
    export_format: ExportFormat,
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
    model = digest_model(folder, export_format)
    return Certificate(
        certificate_version=CERTIFICATE_VERSION,
        run=read_receipt(run.folder).digest,
        backbone=classifier.result.name,
        format=export_format,
        precision="fp32",
        model=model,
        bytes=sum((folder / name).stat().st_size for name in model),
        runtime={name: version(name) for name in ("numpy", "pillow", RUNTIME[export_format])},
        imported=tuple(measured.facts["imported"]),
        fidelity=compare_exactly(
            images, torch, measured.answers, classifier.refusal, reduced=measured.facts["reduced"]
        ),
        shift=compare_with_run(
            images,
            stored.probability_NC,
            measured.answers,
            classifier.refusal,
            make_criteria(run.results.options),
            engine=classifier.result.engine,
            precision=classifier.result.precision,
        ),
        speed=Speed(
            processor=machine.cpu,
            threads=measured.facts["threads"],
            alone=timed[0],
            best=timed[int(np.argmax([batch.images_per_s for batch in timed]))],
        ),
    )


def require_passed(certificate: Certificate, out: Path) -> None:
    """Raise RunError with every reason to refuse an export, if there is one."""
    faults = certificate.faults()
    if faults:
        raise RunError(
            f"The {certificate.format} export of {certificate.backbone} does not answer the test images as the run "
            f"did, so {out} was not made: {'; '.join(faults)}. Choose another --format."
        )
