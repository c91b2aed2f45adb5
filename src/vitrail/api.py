"""What `import vitrail` offers: in Python what the verbs are on the command line."""

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.auditing import Audit as Audit
from vitrail.auditing import AuditOptions as AuditOptions
from vitrail.auditing import audit as run_audit
from vitrail.backbones import Card, open_backbone, parse_spec
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.remembered import remember_given
from vitrail.benchmark import bench as run_bench
from vitrail.candidates import make_options
from vitrail.candidates.decoding import decode_as
from vitrail.candidates.flags import ChooseBy, Decode, Recipe, make_shortlist_options
from vitrail.candidates.shortlist import CANDIDATES, make_shortlist
from vitrail.core.errors import DataError
from vitrail.core.machine import share_threads, usable_cores
from vitrail.core.notebook import follow
from vitrail.core.progress import Progress as Progress
from vitrail.core.progress import Silent, running
from vitrail.core.resources import Resources
from vitrail.data import MAX_PIXELS, ImageRejected
from vitrail.data import crop_to_boxes as name_cropped
from vitrail.delivery.display import describe_run, draw_run
from vitrail.delivery.estimator import FrozenClassifier as FrozenClassifier
from vitrail.delivery.predict import Predictor as Predictor
from vitrail.delivery.prediction import Prediction as Prediction
from vitrail.delivery.tables import backbones_table, pairs_table, predictions_table
from vitrail.evaluation import Decision as Decision
from vitrail.features.open_images import ImageInput, Images, LeastSides, list_inputs, name_image, open_image, own_image
from vitrail.features.stream import Network, Stream
from vitrail.runs import Results as Results
from vitrail.runs import RunRecord
from vitrail.runs import load_run as load_record
from vitrail.statistics.metrics import DecideBy

TASK = "Computing features"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished benchmark: what it decided, every number, its page, and predictions with what it tuned.

    Tables are Arrow's: `.to_pandas()` makes a data frame of one, where pandas is installed.
    """

    record: RunRecord

    def __repr__(self) -> str:
        return describe_run(self.results, self.folder)

    def _repr_html_(self) -> str:
        return draw_run(self.results, self.record.report)

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

    def table(self) -> pa.Table:
        """A row for each backbone, in the order of the run.

        Columns: `backbone`, `recipe`, `picked`; `top1`, `top5`, `balanced_accuracy`, `macro_f1` (fractions), `nll`
        (nats), `ece` and `brier` on the test images, each with `_low` and `_high`, the limits of its interval; then
        `gmacs` (1e9 multiply-adds an image), `images_per_s` of the forward pass, `parameters`, `licence`,
        `contamination` (whether it saw the test images in pretraining), `head` (its kind), `pooling`, `temperature`,
        `engine`, `precision` and `weights_sha256`. `top5` is null for five classes or fewer.
        """
        return backbones_table(self.results)

    def pairs(self) -> pa.Table:
        """A row for each pair of backbones, by the accuracy that decides; no rows for one backbone.

        Columns: `a`, `b`; `difference` (`a` minus `b`, a fraction) with `difference_low` and `difference_high`, which
        hold for all pairs together; `only_a` and `only_b` (test images that one of them alone gets right),
        `discordance`, `mcnemar_p` (of this pair alone), `adjusted_p` (for all pairs), `equivalence_p`, `loss_a` and
        `loss_b` (the most that each may be less accurate than the other), `conclusion`, `design_effect` and `visible`
        (the least difference that so many images show).
        """
        return pairs_table(self.results)

    def predictions(self, backbone: str | None = None) -> pa.Table:
        """A row for each test image.

        Columns: `id` (sha256 of the bytes), `path`, `label`, `predicted`, `correct`, `probability` (of the predicted
        class), and "p:<class>" for each class.

        Args:
            backbone: its name in the run; None for the one of the decision.
        """
        return predictions_table(self.record, backbone or self.decision.choose)

    def report(self) -> Path:
        """The page, report.html."""
        return self.record.report

    def predictor(
        self, backbone: str | None = None, *, offline: bool = False, progress: bool | Progress = True
    ) -> Predictor:
        """Predict with what the run tuned.

        Args:
            backbone: "NAME", or "NAME=FILE" if the weights are elsewhere; None for the one of the decision.
            offline: never use the network.
            progress: as for `bench`, while the backbone is opened. A Progress also receives every image predicted.

        Returns:
            An open predictor: `.predict(images)`.
        """
        with follow(progress) as shown:
            resources = Resources(offline=offline, progress=shown)
            predictor = Predictor.open(self.folder, backbone, resources=resources)
        silent = replace(resources, progress=Silent())
        return replace(predictor, resources=silent) if isinstance(progress, bool) else predictor


def bench(
    data: str | Path | None = None,
    backbones: str | Sequence[str] = (),
    *,
    out: str | Path | None = None,
    seed: int = 0,
    engine: Literal["auto", "torch", "torch-compile", "openvino"] = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto",
    decode: Decode = "auto",
    margin: str | float = "1pt",
    level: float = 0.95,
    decide_by: DecideBy = "top1",
    max_megapixels: float = 100,
    recipe: Recipe | Sequence[Recipe] = "default",
    trials: int | None = None,
    budget: str | float | None = None,
    choose_by: ChooseBy = "nll",
    balanced: bool = False,
    calibration: float = 0.0,
    near_duplicates: bool = True,
    slices: str | Sequence[str] = (),
    leave_out: str | None = None,
    candidates: int | None = None,
    licence: str | None = None,
    max_params: str | int | None = None,
    max_gmacs: float | None = None,
    max_ms: float | None = None,
    pretrained_on: str | None = None,
    not_pretrained_on: str | None = None,
    race_budget: float | None = None,
    weights: str | Path | None = None,
    crop_to_boxes: bool = False,
    data_dir: str | Path | None = None,
    cluster: str | None = None,
    offline: bool = False,
    threads: int | None = None,
    batch: int | None = None,
    progress: bool | Progress = True,
) -> Run:
    """Compare frozen backbones on labelled images and say which to build on.

    The keywords are the flags of `vitrail bench`, with the same names, units and defaults.

    Args:
        data: a folder with one folder of images a class, a manifest (CSV, Parquet), an archive, shards, Parquet with
            images, or the URL of one of these; or the name of a public data set, such as "dataset:stanford-dogs" or
            "hf:OWNER/NAME", which is fetched if it is not on this machine; None for scikit-learn's digits.
        backbones: "NAME" of the catalogue, "NAME=FILE", "timm:NAME" or "hf:REPO", one or several. Without them, or with
            "auto", candidates come from the catalogue as from `shortlist`; the digits have two small ones of ours.
        out: the run folder; None for runs/<data>-<8 digits>.
        seed: of the split, the search and the intervals.
        engine: what runs the backbones; "auto" tries those that are installed.
        precision: arithmetic of the forward pass; "auto" never chooses int8.
        decode: JPEGs much larger than a backbone needs: whole ("exact"), at a fraction of their size ("fast"), or fast
            where that leaves features and answers as they are ("auto").
        margin: the difference in accuracy below which cost decides, in points: "1pt", "0.5pt" or 1.0; not a fraction.
        level: confidence level of every interval, a fraction.
        decide_by: the accuracy on the test images that decides: of all images alike, or the mean of the classes'.
        max_megapixels: larger images are set aside.
        recipe: "default", what we recommend, "deck", what the deck did, "deck-no-equalise", or several in a list.
        trials: settings drawn for heads trained step by step, for each backbone; None for 16, or as many as `budget`
            allows.
        budget: time after which no step of a backbone's search begins: seconds, "2m", "1h30m".
        choose_by: the figure on val that a head is chosen by.
        balanced: every class counts the same in fitting and choosing heads.
        calibration: fraction of the images, cut from train, on which alone sets of classes and refusals are set.
        near_duplicates: find copies of images and keep them on one side of the split.
        slices: columns of the manifest for whose values accuracy is shown; by default those with 2 to 20 values.
        leave_out: a column of the manifest; also judge on values of it that training never saw.
        candidates: how many come from the catalogue; None for 12, or fewer if fewer meet the conditions.
        licence: of those candidates: the name of one, or "commercial".
        max_params: the most parameters that they have, such as "30M".
        max_gmacs: the most 1e9 multiply-adds an image.
        max_ms: the most milliseconds an image in the network on this machine; what would be chosen is measured once.
        pretrained_on: a collection that they have seen.
        not_pretrained_on: a collection that they are known not to have seen.
        race_budget: after the first look, ends their race before it takes more than this share of the multiply-adds
            that all of them need for the training images; the best three go on, whose pass comes in addition. None: the
            race ends by its own rule.
        weights: a folder with weights files, which are recognised and whose backbones come first.
        crop_to_boxes: crop each image of a named data set to its box.
        data_dir: a folder that may already have the files of named data sets.
        cluster: a Ray cluster whose machines compute the features, "auto" or host:port; None for this machine.
        offline: never use the network; without names only backbones take part whose weights are on this machine.
        threads: cores that read images and run backbones; None for all.
        batch: images a batch; None for what is fastest here.
        progress: True draws bars in a terminal or a notebook and nothing elsewhere, False draws nothing; a Progress
            receives the updates instead.

    Returns:
        The finished run: a stored one if the same question was answered in this folder before.

    Raises:
        VitrailError: UsageError for what was asked wrongly, before any image is read; other children for what failed.
    """
    options = make_options(
        seed=seed,
        engine=engine,
        precision=precision,
        decode=decode,
        margin=margin,
        level=level,
        decide_by=decide_by,
        max_megapixels=max_megapixels,
        recipe=recipe,
        trials=trials,
        budget=budget,
        choose_by=choose_by,
        balanced=balanced,
        calibration=calibration,
        near_duplicates=near_duplicates,
        slices=slices,
        leave_out=leave_out,
        candidates=candidates,
        licence=licence,
        max_params=max_params,
        max_gmacs=max_gmacs,
        max_ms=max_ms,
        pretrained_on=pretrained_on,
        not_pretrained_on=not_pretrained_on,
        race_budget=race_budget,
    )
    names = (backbones,) if isinstance(backbones, str) else backbones
    folder = None if out is None else Path(out)
    data = name_cropped(data) if crop_to_boxes else data
    with follow(progress) as shown:
        resources = Resources(
            data_dir=None if data_dir is None else Path(data_dir),
            weights_dir=None if weights is None else Path(weights),
            cores=threads,
            batch=batch,
            offline=offline,
            progress=shown,
        )
        return Run(run_bench(data, names, out=folder, options=options, resources=resources, cluster=cluster))


def audit(
    data: str | Path | None = None, options: AuditOptions | None = None, *, progress: bool | Progress = True
) -> Audit:
    """Look a data set through for what would spoil a benchmark.

    Args:
        data: as for `bench`.
        options: the backbone that judges labels, a run whose test labels are judged too; None for the defaults.
        progress: as for `bench`.

    Returns:
        What was found; `vitrail.auditing.write_page` and `write_manifest` put it on disk.
    """
    with follow(progress) as shown:
        return run_audit(data, options, shown)


def shortlist(
    candidates: int = CANDIDATES,
    *,
    licence: str | None = None,
    max_params: str | int | None = None,
    max_gmacs: float | None = None,
    pretrained_on: str | None = None,
    not_pretrained_on: str | None = None,
) -> tuple[Card, ...]:
    """Backbones of the catalogue to compare, if you do not know which: different in pretraining, family and size.

    Args:
        candidates: how many; fewer if fewer meet the conditions.
        licence: the name of one, or "commercial" for all that are known to allow commercial use.
        max_params: the most parameters, such as "30M". Without it and `max_gmacs`, sizes up to a ViT-B take part.
        max_gmacs: the most 1e9 multiply-adds an image.
        pretrained_on: a collection that they have seen, such as "imagenet-21k".
        not_pretrained_on: a collection that they are known not to have seen.

    Returns:
        Their cards, in the order in which they were chosen; `card.name` is what `bench` takes.

    Raises:
        UsageError: no backbone meets the conditions, or a name is unknown.
    """
    options = make_shortlist_options(
        candidates=candidates,
        licence=licence,
        max_params=max_params,
        max_gmacs=max_gmacs,
        pretrained_on=pretrained_on,
        not_pretrained_on=not_pretrained_on,
    )
    assert options is not None  # `candidates` is given
    return make_shortlist(load_catalogue().values(), options.wanted, candidates=options.candidates).cards


def load_run(folder: str | Path) -> Run:
    """The run in a folder; raises RunError if there is no finished one."""
    return Run(load_record(Path(folder)))


def extract_features(
    images: ImageInput | Iterable[ImageInput],
    backbone: str,
    *,
    engine: str = "auto",
    precision: str = "auto",
    decode: Literal["exact", "fast"] = "exact",
    offline: bool = False,
    progress: bool | Progress = True,
) -> NDArray[np.float32]:
    """The frozen features of some images.

    Args:
        images: paths, the bytes of a file, images of Pillow, or arrays H x W x 3 in uint8, one alone or several,
            mixed as they come. With an exact decode an image has the same row in each of these forms.
        backbone: "NAME" of the catalogue or "NAME=FILE".
        engine: "auto", "torch", "torch-compile" or "openvino". Auto follows a rule and tries nothing, so that an image
            has the same row in every call; results.json says what a benchmark used.
        precision: "auto", "fp32", "bf16" or "fp16"; int8 needs the images of a benchmark.
        decode: "fast" decodes large JPEGs, given as paths or bytes, at a fraction of their size. Take the one that
            the run took, whose `card.preprocessing.decode` says it, where features go with those of a run.
        offline: never use the network.
        progress: as for `bench`.

    Returns:
        N x D, one row for each image, in their order.

    Raises:
        DataError: an image cannot be read; the message names it.
    """
    spec, threads, several = parse_spec(backbone), share_threads(usable_cores()), list_inputs(images)
    with follow(progress) as shown:
        opened = open_backbone(spec, engine=engine, precision=precision, offline=offline, progress=shown)
        opened = decode_as(opened, decode)
        network = Network.of(opened, opened.start(threads=threads.compute))
        remember_given([spec], [opened], shown)
        stream = Stream(
            (((name_image(image, place), own_image(image)), [network]) for place, image in enumerate(several)),
            [network],
            lambda named, least_sides: _open_named(*named, least_sides),
            decode_threads=threads.decode,
        )
        rows = [np.empty((0, opened.card.feature_width), np.float32)]
        total = len(several) if isinstance(several, Sized) else None
        with running(shown, TASK, total=total, unit="images"):
            for batch in stream:
                rows.append(batch.feature_BD)
                shown.advance(TASK, len(batch.items))
    return np.concatenate(rows)


def _open_named(name: str, image: ImageInput, least_sides: LeastSides) -> Images:
    try:
        return open_image(image, least_sides, max_pixels=MAX_PIXELS)
    except ImageRejected as rejection:
        raise DataError(f"{name} has no features: {rejection.reason}. Leave it out, or mend it.") from rejection
