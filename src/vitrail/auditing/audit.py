"""The audit: files, copies, labels, balance, in this order. It reads, and changes nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path

from pydantic_core import to_json

from vitrail.auditing.files import FileFacts, FileFinding, look_through
from vitrail.auditing.judge import choose_judge
from vitrail.auditing.suspects import LabelFindings, find_suspects
from vitrail.backbones import Backbone, BackboneSpec, EngineRequest, find_card, open_backbone, parse_spec
from vitrail.backbones.opening import require_fitting_weights
from vitrail.backbones.poolings import widest
from vitrail.backbones.remembered import remember_given
from vitrail.candidates import BenchOptions
from vitrail.core.errors import DataError, UsageError
from vitrail.core.progress import Progress, Silent
from vitrail.core.resources import Resources
from vitrail.data import (
    MAX_PIXELS,
    Dataset,
    NearDuplicates,
    NearPair,
    find_near_duplicates,
    keep_columns,
    keep_together,
    load,
    make_split,
    open_data,
)
from vitrail.delivery.reopen import reopen
from vitrail.features.engine_choice import settle_engine
from vitrail.features.int8_ranges import attach_range_images
from vitrail.runs import RunRecord, load_run
from vitrail.search.memory import measure_need

AUDIT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditOptions:
    """Options of an audit. `labels` is whether labels are judged.

    `backbone` None is the run's; without a run the largest one whose weights are on this machine. `data_dir` is a
    folder with files of named data sets.
    """

    backbone: str | None = None
    run: str | Path | None = None
    labels: bool = True
    max_pixels: int = MAX_PIXELS
    data_dir: str | Path | None = None
    offline: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ExactCopies:
    """Files with the same bytes, under one label."""

    id: str
    paths: tuple[str, ...]
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoLabels:
    """Files with the same bytes under different labels: no benchmark uses them. `detail` says which has which."""

    paths: tuple[str, ...]
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NearCopies:
    """Two files that show the same image; `splits` are the given ones, empty if there are none."""

    paths: tuple[str, str]
    labels: tuple[str, str]
    splits: tuple[str, str]
    pair: NearPair


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """Everything that was found; `balance` is the number of examples of each class."""

    audit_version: int
    vitrail_version: str
    name: str
    fingerprint: str
    examples: int
    files: FileFacts
    findings: tuple[FileFinding, ...]
    exact: tuple[ExactCopies, ...]
    two_labels: tuple[TwoLabels, ...]
    near: tuple[NearCopies, ...]
    labels: LabelFindings
    balance: dict[str, int]
    duplicates: dict[str, int]
    warnings: tuple[str, ...]
    dataset: Dataset

    def __repr__(self) -> str:
        counts = {
            "files with findings": len({finding.path for finding in self.findings}),
            "exact copies": len(self.exact),
            "contents with two labels": len(self.two_labels),
            "near-duplicates": len(self.near),
            "suspect labels": len(self.labels.suspects),
        }
        shown = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        return f"<Audit of {self.name}: {self.examples:,} images; {shown}>"

    @property
    def conflicts(self) -> tuple[NearCopies, ...]:
        """The near-duplicates under two labels."""
        return tuple(copies for copies in self.near if copies.labels[0] != copies.labels[1])

    @property
    def crossing(self) -> tuple[NearCopies, ...]:
        """The near-duplicates in two given splits."""
        return tuple(copies for copies in self.near if copies.splits[0] != copies.splits[1])


def audit(
    data: str | Path | None = None, options: AuditOptions | None = None, progress: Progress | None = None
) -> Audit:
    """Check a data set. Nothing on disk is changed but the cache.

    Raises:
        UsageError: the run is of other images, or it or the catalogue does not have the backbone.
        DataError: there is nothing to audit.
        WeightsError: the weights are not those of the run, or do not fit the backbone.
    """
    options = options or AuditOptions()
    resources = Resources(
        offline=options.offline,
        data_dir=None if options.data_dir is None else Path(options.data_dir),
        progress=progress or Silent(),
    )
    run = load_run(Path(options.run)) if options.run else None
    source = open_data(data, resources)
    if options.labels and options.backbone:
        _check_judge(parse_spec(options.backbone), run)
    dataset = load(source, max_pixels=options.max_pixels, resources=resources)
    findings, facts, broken = look_through(dataset, max_pixels=options.max_pixels, progress=resources.progress)
    near = find_near_duplicates(dataset, max_pixels=options.max_pixels, resources=resources)
    grouped = keep_together(dataset, near)
    together = grouped if run is None else _as_in_run(dataset, near, run.results.options)
    if run and run.results.data.fingerprint != together.fingerprint:
        raise UsageError(
            f"The run {run.folder} has other images or labels than {dataset.name}: give the data of that run, or do "
            "not use --run."
        )
    labels = (
        _judge_labels(together, run, options, resources)
        if options.labels
        else _no_labels("Judging labels was turned off.")
    )
    counted = Counter(dataset.table["label"].to_pylist())
    return Audit(
        audit_version=AUDIT_VERSION,
        vitrail_version=version("vitrail"),
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        examples=dataset.table.num_rows - len(broken),
        files=facts,
        findings=tuple(findings),
        exact=tuple(_exact(dataset)),
        two_labels=_two_labels(dataset),
        near=_name_pairs(dataset, near.pairs),
        labels=labels,
        balance={name: counted[number] for number, name in enumerate(dataset.classes)},
        duplicates=dict(grouped.duplicates),
        warnings=dataset.warnings,
        dataset=grouped,
    )


def audit_to_json(report: Audit) -> bytes:
    """Everything that was found, indented, in UTF-8."""
    document = {member.name: getattr(report, member.name) for member in fields(report) if member.name != "dataset"}
    return to_json(document, indent=2) + b"\n"


def _as_in_run(dataset: Dataset, near: NearDuplicates, options: BenchOptions) -> Dataset:
    """The data set with the groups and further columns that a run with these options has."""
    used = keep_columns(dataset, options.slices, options.search.leave_out)
    return keep_together(used, near) if options.near_duplicates else used


def _judge_labels(
    dataset: Dataset, run: RunRecord | None, options: AuditOptions, resources: Resources
) -> LabelFindings:
    try:
        hidden, split, _ = make_split(dataset, run.results.options.split if run else None)
    except DataError as error:
        return _no_labels(str(error))
    spec = _choose_spec(run, options, resources.progress)
    request = run.results.options.engine_request if run else EngineRequest()
    backbone = _open(run, spec, request, options, resources.progress)
    card = backbone.card
    need = measure_need(split, width=widest(card.feature_width, [card.pooling]), classes=len(dataset.classes))
    if not need.fits:
        return _no_labels(f"The heads that judge them are fitted in memory, and {need}.")
    tested = run.predictions(backbone.name) if run else None
    if tested and not set(tested.ids) <= set(split.test):
        raise UsageError(
            f"The run {options.run} has another split than this audit: repeat the run, or do not use --run."
        )
    # A run on these images has settled their engine, so that its features are found.
    backbone = settle_engine(backbone, request, dataset, resources=resources)
    backbone = attach_range_images(backbone, dataset, split.train, max_pixels=options.max_pixels)
    findings = find_suspects(hidden, split, backbone, tested=tested, max_pixels=options.max_pixels, resources=resources)
    remember_given([spec], [backbone], resources.progress)
    return findings


def _check_judge(spec: BackboneSpec, run: RunRecord | None) -> None:
    """Refuse what cannot judge before any image is read: a name that is not there, weights that do not fit."""
    if run is not None:
        run.backbone(spec.name)
        return
    if not spec.is_adapted:
        find_card(spec.name)
    require_fitting_weights(spec)


def _choose_spec(run: RunRecord | None, options: AuditOptions, progress: Progress) -> BackboneSpec:
    if options.backbone:
        return parse_spec(options.backbone)
    return BackboneSpec(name=run.results.decision.choose) if run else choose_judge(progress)


def _open(
    run: RunRecord | None, spec: BackboneSpec, request: EngineRequest, options: AuditOptions, progress: Progress
) -> Backbone:
    """The backbone that judges labels; with a run it is one of the run's, under its name there."""
    if run is None:
        return open_backbone(spec, offline=options.offline, progress=progress)
    digest = run.backbone(spec.name).weights_sha256
    opened = reopen(
        run,
        spec,
        digest=digest,
        request=request,
        may_download=bool(options.backbone),
        offline=options.offline,
        progress=progress,
    )
    return replace(opened, name=spec.name)


def _no_labels(why_not: str) -> LabelFindings:
    return LabelFindings(backbone="", judged=0, accuracy=None, test_included=False, suspects=(), why_not=why_not)


def _exact(dataset: Dataset) -> list[ExactCopies]:
    columns = (dataset.table.column(name).to_pylist() for name in ("id", "paths", "label"))
    return [
        ExactCopies(id=id_, paths=tuple(paths), label=dataset.classes[label])
        for id_, paths, label in zip(*columns, strict=True)
        if len(paths) > 1
    ]


def _two_labels(dataset: Dataset) -> tuple[TwoLabels, ...]:
    """What was set aside for its labels; the reason, which names the places, is that of one content."""
    paths: dict[str, list[str]] = {}
    for aside in dataset.set_aside:
        if aside.kind == "two labels":
            paths.setdefault(aside.reason, []).append(aside.path)
    return tuple(TwoLabels(paths=tuple(same), detail=reason) for reason, same in paths.items())


def _name_pairs(dataset: Dataset, pairs: tuple[NearPair, ...]) -> tuple[NearCopies, ...]:
    columns = (dataset.table.column(name).to_pylist() for name in ("id", "paths", "label", "given_split"))
    known: Mapping[str, tuple[str, str, str]] = {
        id_: (paths[0], dataset.classes[label], split or "") for id_, paths, label, split in zip(*columns, strict=True)
    }
    named = [(known[pair.a], known[pair.b], pair) for pair in pairs]
    near = [NearCopies(paths=(a[0], b[0]), labels=(a[1], b[1]), splits=(a[2], b[2]), pair=pair) for a, b, pair in named]
    return tuple(
        sorted(near, key=lambda copies: (copies.labels[0] == copies.labels[1], copies.splits[0] == copies.splits[1]))
    )
