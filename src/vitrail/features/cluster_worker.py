"""What runs on the machines of a cluster: the inspection of a machine, and the pass of `pipeline.py` over blocks.

Nothing here imports Ray, which only calls it. What goes wrong travels back as a sentence, since an error that passes
through Ray arrives as a page.

Letters: N rows.
"""

import json
import platform
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa

from vitrail.backbones import Backbone, BackboneSpec, EngineChoice, EngineRequest, open_backbone
from vitrail.backbones.engines import list_engines
from vitrail.backbones.specs import digest_of
from vitrail.core.bounded import is_folder, is_there
from vitrail.core.errors import ClusterError, UsageError, VitrailError
from vitrail.core.hashing import sha256_bytes
from vitrail.core.machine import describe_machine
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import Dataset, Source, open_data
from vitrail.features.by_id import Paths
from vitrail.features.engine_choice import KnownEngine, recall_or_try
from vitrail.features.int8_ranges import attach_range_images
from vitrail.features.pipeline import fill, open_extractor

DEATHS = 4  # of workers over one block, before it is given up


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What every worker needs to know: `data`, `cache` and `data_dir` are places that all machines see.

    `folder` is in the cache and is deleted with the job. `range_images` has the examples that int8 takes its ranges
    from.
    """

    folder: Path
    data: str | None
    cache: Path
    data_dir: Path | None
    max_pixels: int
    batch: int | None
    offline: bool
    range_images: pa.Table

    def open_source(self) -> Source:
        """The images, as this machine sees them."""
        return open_data(self.data, Resources(cache=self.cache, data_dir=self.data_dir, offline=self.offline))


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineReport:
    """What a machine has; `engines` are the requested choices, its default first."""

    engines: tuple[EngineChoice, ...]
    processor: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockResult:
    """What became of a block: the progress of each task, why examples cannot be read; or what went wrong."""

    advanced: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    decode_s: float = 0.0
    kind: str = ""
    trouble: str = ""

    def to_table(self) -> pa.Table:
        """As Ray Data carries it."""
        return pa.table({"done": [json.dumps(asdict(self))]})


def inspect_machine(job: Job, *, example: str, path: str, request: EngineRequest, vitrail: str) -> MachineReport | str:
    """Check whether this machine can do the work.

    Args:
        job: the work.
        example: the id of an example of the data set, which must be at `path`.
        path: one of that example's paths.
        request: which engines and precisions may be used.
        vitrail: the version that the other machines have.

    Returns:
        A report of what it has, or a sentence that says what it lacks.
    """
    here = platform.node()
    if version("vitrail") != vitrail:
        return (
            f"{here} has Vitrail {version('vitrail')} instead of {vitrail}: install the same version on every machine."
        )
    if not is_folder(job.folder):
        return (
            f"{here} cannot reach the cache {job.cache}, where every machine writes its features: set VITRAIL_CACHE "
            "to a folder that all of them share."
        )
    try:
        same = sha256_bytes(job.open_source().read(path)) == example
        reason = "" if same else f"{path} has other content there"
    except (VitrailError, OSError, KeyError) as error:
        reason = str(error).rstrip(".")
    if reason:
        return (
            f"{here} cannot read the images of {job.data} ({reason}): give a folder that all machines share at the "
            "same path, or a URL such as s3://bucket/images."
        )
    try:
        return MachineReport(engines=list_engines(request), processor=describe_machine().cpu)
    except UsageError as error:
        return f"{here} cannot run this: {error}"


def try_on_worker(job: Job, backbone: Backbone, choices: Sequence[EngineChoice], threads: int) -> KnownEngine | str:
    """The engine with which a worker's machine runs a network fastest, or a sentence that says what went wrong."""
    try:
        local = _with_local_weights(backbone, job, job.open_source())
        resources = Resources(cache=job.cache, cores=threads, offline=job.offline)
        return recall_or_try(local, choices, resources=resources)
    except VitrailError as error:
        return f"{platform.node()}: {error}"


class CountingProgress(Silent):
    """Progress that is reported at the end of a block."""

    def __init__(self) -> None:
        self.advanced: Counter[str] = Counter()
        self._lock = threading.Lock()

    def advance(self, task: str, amount: int = 1) -> None:
        """Count it."""
        with self._lock:
            self.advanced[task] += amount


class Worker:
    """One process with its networks, which stay loaded from block to block."""

    def __init__(self, job: Job, backbones: Sequence[Backbone], images: int, threads: int) -> None:
        """Open everything; what goes wrong is reported with every block. `images` are those of all blocks together."""
        self._job = job
        self._resources = Resources(cache=job.cache, cores=threads, batch=job.batch, offline=job.offline)
        self._failure: BlockResult | None = None
        try:
            self._source = job.open_source()
            self._extractors = [
                open_extractor(_with_local_weights(backbone, job, self._source), job.cache) for backbone in backbones
            ]
            for extractor in self._extractors:
                extractor.start(images=images, resources=self._resources)
        except VitrailError as error:
            self._failure = _report_failure(error)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Compute the rows of a block, a table of `id` and `paths` sorted by id, and report what became of it."""
        if self._failure is None:
            paths = Paths(block)
            mark = self._job.folder / f"{paths.ids[0].as_py()}.{uuid.uuid4().hex}"
            try:
                self._require_few_deaths(paths)
                mark.touch()
                return self._compute(paths).to_table()
            except VitrailError as error:
                self._failure = _report_failure(error)
            finally:
                mark.unlink(missing_ok=True)
        return self._failure.to_table()

    def _require_few_deaths(self, paths: Paths) -> None:
        """Ray retries a block for ever, so each worker that dies on a block leaves a mark."""
        first = paths.ids[0].as_py()
        deaths = len(list(self._job.folder.glob(f"{first}.*")))
        if deaths >= DEATHS:
            raise ClusterError(
                f"{deaths} workers died on the same {len(paths)} images (such as {paths[first][0]}): one of "
                "them may need more memory than a worker has. What was computed is kept."
            )

    def _compute(self, paths: Paths) -> BlockResult:
        progress = CountingProgress()
        rejected, decode_s = fill(
            self._extractors,
            paths,
            np.ones(len(paths), np.bool_),
            source=self._source,
            max_pixels=self._job.max_pixels,
            resources=replace(self._resources, progress=progress),
        )
        return BlockResult(advanced=dict(progress.advanced), rejected=rejected, decode_s=decode_s)


def _report_failure(error: VitrailError) -> BlockResult:
    return BlockResult(kind=type(error).__name__, trouble=f"{platform.node()}: {error}")


def _with_local_weights(backbone: Backbone, job: Job, source: Source) -> Backbone:
    """The backbone with the weights at the same path on this machine, otherwise those published under its name."""
    given = backbone.hashed_path
    if not is_there(given):
        backbone = _published(backbone, given, job)
    elif digest_of(given) != backbone.digest:
        raise UsageError(
            f"{given} does not hold the weights of {backbone.name} on this machine: put them where all machines see "
            "them."
        )
    examples = Dataset(
        name="",
        table=job.range_images,
        classes=(),
        set_aside=(),
        warnings=(),
        fingerprint="",
        source=source,
    )
    return attach_range_images(backbone, examples, job.range_images["id"].to_pylist(), max_pixels=job.max_pixels)


def _published(backbone: Backbone, given: Path, job: Job) -> Backbone:
    trouble = "the weights published under its name are different"
    try:
        opened = open_backbone(BackboneSpec(name=backbone.card.name), offline=job.offline, progress=Silent())
        if opened.digest == backbone.digest:
            return replace(opened, name=backbone.name, card=backbone.card, engine=backbone.engine)
    except VitrailError as error:
        trouble = str(error)
    raise UsageError(
        f"The weights of {backbone.name} are not at {given} ({trouble}): give -b {backbone.card.name}=FILE with a file "
        "that all machines see."
    )
