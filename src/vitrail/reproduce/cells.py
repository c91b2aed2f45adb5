"""Published accuracies beside measured ones. Each cell is a benchmark of one frozen backbone with a run folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from vitrail.backbones import find_card
from vitrail.backbones.cards import is_unknown_file
from vitrail.benchmark import bench
from vitrail.data.named.cards import DatasetCard, load_dataset_cards
from vitrail.data.named.real_labels import CARD as REAL_LABELS
from vitrail.evaluation.contamination import mark
from vitrail.reproduce.plan import CellRequest, PlannedCell, say_missing
from vitrail.reproduce.published import Metric
from vitrail.reproduce.real import fetch_real_labels, find_val_images, score_real
from vitrail.reproduce.vtab import task_accuracy, vtab_means
from vitrail.runs import RunRecord, is_finished, load_run
from vitrail.statistics.intervals import Interval

METRICS: Mapping[Metric, str] = {
    "mean per class": "Both figures are the mean of the classes' accuracies.",
    "any right label": "Both figures count an answer as right if it is any of the reassessed labels.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A published figure beside the measured one.

    `measured` is None if the cell was not run, for the reason `not_run`. `departures` say how the measured figure
    differs from the published one in more than its value.
    """

    planned: PlannedCell
    measured: Interval | None = None
    departures: tuple[str, ...] = ()
    not_run: str = ""

    @property
    def difference(self) -> float | None:
        """Measured minus published, in points."""
        return None if self.measured is None else 100 * self.measured.value - self.planned.cell.percent

    @property
    def within(self) -> bool | None:
        """Whether the published figure lies within the measured interval."""
        if self.measured is None:
            return None
        return 100 * self.measured.low <= self.planned.cell.percent <= 100 * self.measured.high


def compare_cells(planned: Sequence[PlannedCell], request: CellRequest) -> list[Comparison]:
    """Run the cells whose weights and images are here or may be fetched, and compare. Finished runs are only read.

    Raises:
        VitrailError: as `bench`; the same request continues with the cell that failed.
    """
    return [_compare(each, request) for each in planned]


def describe_comparison(comparison: Comparison) -> dict[str, object]:
    """A comparison as plain values."""
    planned, cell = comparison.planned, comparison.planned.cell
    return describe_plan(planned) | {
        "published": cell.percent,
        "plus_minus": cell.plus_minus,
        "metric": cell.metric,
        "source": cell.table.source,
        "read_in": cell.table.read_in,
        "method": cell.table.method,
        "spread": cell.table.spread,
        "core_days": cell.network.core_days,
        "measured": None if comparison.measured is None else asdict(comparison.measured),
        "difference": comparison.difference,
        "within": comparison.within,
        "departures": list(comparison.departures),
        "not_run": comparison.not_run,
    }


def describe_plan(planned: PlannedCell) -> dict[str, object]:
    """A planned cell as plain values."""
    return {
        "cell": planned.cell.name,
        "network": planned.cell.network.title,
        "tested_on": planned.cell.images.title,
        "backbone": planned.cell.network.backbone,
        "weights": asdict(planned.weights),
        "data": asdict(planned.data),
        "images": planned.images,
        "gmacs": planned.gmacs,
        "seconds": planned.seconds,
        "done": planned.is_done,
        "runs": {name: str(folder) for name, folder in planned.runs.items()},
    }


def _compare(planned: PlannedCell, request: CellRequest) -> Comparison:
    if missing := say_missing(planned, request):
        return Comparison(planned=planned, not_run=missing)
    records = {name: _run(name, planned, request) for name in planned.runs}
    return Comparison(
        planned=planned,
        measured=_measure(planned, records, request),
        departures=tuple(dict.fromkeys(_find_departures(planned, records))),
    )


def _run(name: str, planned: PlannedCell, request: CellRequest) -> RunRecord:
    folder, backbone = planned.runs[name], planned.cell.network.backbone
    if is_finished(folder):
        return load_run(folder)
    weights = request.weights.get(backbone)
    request.resources.progress.note(f"{planned.cell.name}: {backbone} on {request.data_of(name)}, in {folder}.")
    return bench(
        request.data_of(name),
        [backbone if weights is None else f"{backbone}={weights.file}"],
        out=folder,
        options=request.options,
        resources=request.resources_for(name),
        command=request.command,
    )


def _measure(planned: PlannedCell, records: dict[str, RunRecord], request: CellRequest) -> Interval:
    """The figure of a cell by the metric of the published one."""
    backbone, record = planned.cell.network.backbone, next(iter(records.values()))
    match planned.cell.metric:
        case "mean of tasks":
            return vtab_means({task: task_accuracy(run, backbone) for task, run in records.items()}).mean_of_tasks
        case "any right label":
            labels = fetch_real_labels(request.resources_for(REAL_LABELS))
            return score_real(record, find_val_images(record), labels)[0].real.any_label
        case "mean per class":
            return record.backbone(backbone).test.balanced_accuracy
    return record.backbone(backbone).test.top1


def _find_departures(planned: PlannedCell, records: dict[str, RunRecord]) -> Iterator[str]:
    cell = planned.cell
    if cell.network.weights:
        yield cell.network.weights
    for name, record in records.items():
        result, card = record.results.backbones[0], find_card(cell.network.backbone)
        if is_unknown_file(result.card):
            yield f"The weights are a local file that Vitrail does not know; they may not be those of {card.name}."
        elif result.card.repository != card.repository:
            yield f"The weights are those of {result.card.repository}, given for {card.name}."
        yield from _compare_images(record, load_dataset_cards()[name])
        if marked := mark(result.contamination):
            yield f"The backbone {marked} in pretraining."
    if cell.metric in METRICS:
        yield METRICS[cell.metric]
    if cell.images.protocol:
        yield cell.images.protocol
    if cell.note:
        yield cell.note


def _compare_images(record: RunRecord, card: DatasetCard) -> Iterator[str]:
    """How the images of a run differ from the official ones in number."""
    counts = {split: sum(by_class.values()) for split, by_class in record.results.data.counts.items()}
    used, test, classes = sum(counts.values()), counts["test"], len(record.results.data.classes)
    here = f"{used:,} images in {classes:,} classes, {test:,} of them for the test"
    official_test = card.counts.get("test")
    if official_test is None:
        if classes != card.classes or (card.images is not None and used != card.images):
            total = f"{card.images:,} images in " if card.images else ""
            yield f"Measured with {here}; {card.title} has {total}{card.classes:,} classes."
    elif (used, test, classes) != (card.images, official_test, card.classes):
        yield (
            f"Measured with {here}; {card.title} has {card.images:,} in {card.classes:,}, {official_test:,} of them "
            "for the test."
        )
