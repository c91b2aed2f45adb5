"""What `import vitrail` offers: in Python what the verbs are on the command line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitrail.auditing import Audit as Audit
from vitrail.auditing import AuditOptions as AuditOptions
from vitrail.auditing import audit as run_audit
from vitrail.backbones import open_backbone, parse_spec
from vitrail.backbones.remembered import remember_given
from vitrail.benchmark import bench as run_bench
from vitrail.candidates.decoding import decode_as
from vitrail.candidates.options import BenchOptions as BenchOptions
from vitrail.core.errors import DataError
from vitrail.core.machine import share_threads, usable_cores
from vitrail.core.progress import Progress, Silent
from vitrail.core.resources import Resources
from vitrail.data import MAX_PIXELS, ImageRejected
from vitrail.delivery.predict import Predictor as Predictor
from vitrail.evaluation import Decision
from vitrail.features.stream import ImageInput, Images, LeastSides, Network, Stream, name_image, open_image, own_image
from vitrail.runs import Results, RunRecord
from vitrail.runs import load_run as load_record


@dataclass(frozen=True, slots=True)
class Run:
    """A finished benchmark: what it decided, every number, its page, and predictions with what it tuned."""

    record: RunRecord

    @property
    def folder(self) -> Path:
        """Where it is on disk."""
        return self.record.folder

    @property
    def results(self) -> Results:
        """Everything that results.json holds."""
        return self.record.results

    @property
    def decision(self) -> Decision:
        """The decision in words."""
        return self.record.results.decision

    def report(self) -> Path:
        """The page, report.html."""
        return self.record.report

    def predictor(self, backbone: str | None = None) -> Predictor:
        """Predict with what the run tuned.

        Args:
            backbone: "NAME", or "NAME=FILE" if the weights are elsewhere; None for the one of the decision.

        Returns:
            An open predictor: `.predict(paths)`.
        """
        return Predictor.open(self.folder, backbone)


def bench(
    data: str | Path | None = None,
    backbones: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    options: BenchOptions | None = None,
    offline: bool = False,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Compare frozen backbones on labelled images and say which to build on.

    Args:
        data: a folder with one folder of images a class, a manifest (CSV, Parquet), an archive, shards, Parquet with
            images, or the URL of one of these; None for scikit-learn's digits.
        backbones: "NAME" of the catalogue or "NAME=FILE"; may be left out for the digits.
        out: the run folder; None for runs/<data>-<8 digits>.
        options: what may change the answer; None for the defaults.
        offline: never use the network.
        cluster: a Ray cluster whose machines compute the features, "auto" or host:port; None for this machine.
        progress: receives progress updates.

    Returns:
        The finished run.
    """
    folder = None if out is None else Path(out)
    resources = Resources(offline=offline, progress=progress or Silent())
    return Run(run_bench(data, backbones, out=folder, options=options, resources=resources, cluster=cluster))


def audit(
    data: str | Path | None = None, options: AuditOptions | None = None, progress: Progress | None = None
) -> Audit:
    """Look a data set through for what would spoil a benchmark.

    Args:
        data: as for `bench`.
        options: the backbone that judges labels, a run whose test labels are judged too; None for the defaults.
        progress: receives progress updates.

    Returns:
        What was found; `vitrail.auditing.write_page` and `write_manifest` put it on disk.
    """
    return run_audit(data, options, progress)


def load_run(folder: str | Path) -> Run:
    """The run in a folder; raises RunError if there is no finished one."""
    return Run(load_record(Path(folder)))


def extract_features(
    images: Iterable[ImageInput],
    backbone: str,
    *,
    engine: str = "auto",
    precision: str = "auto",
    decode: Literal["exact", "fast"] = "exact",
    offline: bool = False,
) -> NDArray[np.float32]:
    """The frozen features of some images.

    Args:
        images: paths, the bytes of a file, images of Pillow, or arrays H x W x 3 in uint8. With an exact decode an
            image has the same row in each of these forms.
        backbone: "NAME" of the catalogue or "NAME=FILE".
        engine: "auto", "torch", "torch-compile" or "openvino". Auto follows a rule and tries nothing, so that an image
            has the same row in every call; results.json says what a benchmark used.
        precision: "auto", "fp32", "bf16" or "fp16"; int8 needs the images of a benchmark.
        decode: "fast" decodes large JPEGs, given as paths or bytes, at a fraction of their size. Take the one that
            the run took, whose `card.preprocessing.decode` says it, where features go with those of a run.
        offline: never use the network.

    Returns:
        N x D, one row for each image, in their order.

    Raises:
        DataError: an image cannot be read; the message names it.
    """
    spec, silent = parse_spec(backbone), Silent()
    opened = open_backbone(spec, engine=engine, precision=precision, offline=offline, progress=silent)
    opened = decode_as(opened, decode)
    threads = share_threads(usable_cores())
    network = Network(opened.start(threads=threads.compute), opened.card.preprocessing)
    remember_given([spec], [opened], silent)
    stream = Stream(
        (((name_image(image, place), own_image(image)), [network]) for place, image in enumerate(images)),
        [network],
        lambda named, least_sides: _open_named(*named, least_sides),
        decode_threads=threads.decode,
    )
    return np.concatenate([np.empty((0, opened.card.feature_width), np.float32), *(b.feature_BD for b in stream)])


def _open_named(name: str, image: ImageInput, least_sides: LeastSides) -> Images:
    try:
        return open_image(image, least_sides, max_pixels=MAX_PIXELS)
    except ImageRejected as rejection:
        raise DataError(f"{name} has no features: {rejection.reason}. Leave it out, or mend it.") from rejection
