"""Predictions for new images with a head that a run has chosen.

A head is of use only on the very features it was fitted on: the weights must be those of the run, and engine and
precision are the run's unless others are given.
"""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones import Backbone, BackboneSpec, Engine, EngineRequest, parse_spec
from vitrail.backbones.engines import choose_engine
from vitrail.backbones.remembered import remember_given
from vitrail.core.errors import RunError, UsageError
from vitrail.core.printable import make_printable
from vitrail.core.progress import Progress
from vitrail.core.resources import Resources
from vitrail.data import MAX_PIXELS
from vitrail.delivery.predict_images import stream_predictions
from vitrail.delivery.prediction import Prediction, make_predictions, require_rule, say_no_confidence
from vitrail.delivery.reopen import reopen
from vitrail.delivery.run_images import RunImages
from vitrail.evaluation import say_strength
from vitrail.features.open_images import ImageInput
from vitrail.features.pace import start_at_pace
from vitrail.features.stream import Network
from vitrail.heads import Head, load_head, probabilities
from vitrail.heads.refusal import RULES, Refusal, load_refusal
from vitrail.runs import RunRecord, load_run


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictor:
    """A backbone with the head that a run chose for it, and the thresholds of that head.

    `sets` is the rule by which sets of classes are made, one of `vitrail.heads.refusal.RULES`. Images of more than
    `max_pixels` are not read; a run says how many it allowed. `run_images` are those that the head learned from, or was
    tested on.
    """

    backbone: Backbone
    engine: Engine
    head: Head
    refusal: Refusal
    run_images: RunImages
    sets: str = RULES[0]
    max_pixels: int = MAX_PIXELS
    resources: Resources = field(default_factory=Resources)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        backbone: str | BackboneSpec | None = None,
        *,
        engine: str | None = None,
        precision: str | None = None,
        sets: str = RULES[0],
        resources: Resources | None = None,
    ) -> Self:
        """Open the head of a run and the backbone it belongs to.

        Args:
            folder: the folder of a finished run.
            backbone: "NAME" or "NAME=FILE"; None for the one that the run picked; how sure the pick is, is noted. Only
                what is named here is downloaded, unless the catalogue, or a download on this machine, has its digest.
            engine: if this and precision are None, both are the run's own if this machine has them.
            precision: the same.
            sets: how sets of classes are made: "lac", "adaptive", or either with "-by-class".
            resources: its progress receives downloads and every image.

        Raises:
            RunError: there is no finished run in the folder.
            UsageError: the run has no such backbone.
            WeightsError: the head or its thresholds are missing or damaged, or the weights are not those of the run.
        """
        require_rule(sets)
        run, resources = load_run(Path(folder)), resources or Resources()
        progress = resources.progress
        spec = _choose(run, backbone, progress)
        head, origin = run.read(run.head_file(spec.name), load_head)
        _require_origin(origin, run.head_file(spec.name))
        refusal = run.read(
            run.refusal_file(spec.name),
            partial(load_refusal, features=len(head.scaling.mean_D), classes=len(head.classes)),
        )
        if refusal.confidence is None:
            progress.note(say_no_confidence(refusal))
        if run.results.options.search.balanced:
            progress.note("Probabilities are for classes that are equally frequent: the run was made with --balanced.")
        chosen = (engine or "auto", precision or "auto") if engine or precision else _like_the_run(origin, progress)
        opened = reopen(
            run,
            spec,
            digest=origin["weights_sha256"],
            request=EngineRequest(engine=chosen[0], precision=chosen[1]),
            ranges=origin.get("ranges", ""),
            may_download=backbone is not None,
            offline=resources.offline,
            progress=progress,
        )
        started = start_at_pace(
            opened, images=0, threads=resources.threads.compute, pooling=origin["pooling"], cache=resources.cache
        )
        remember_given([spec], [opened], progress)
        return cls(
            backbone=opened,
            engine=started,
            head=head,
            refusal=refusal,
            run_images=RunImages.of(run),
            sets=sets,
            max_pixels=run.results.options.max_pixels,
            resources=resources,
        )

    @property
    def knows_run(self) -> bool:
        """Whether `run_split` of a prediction says which images are those of the run."""
        return True

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that an answer may be."""
        return self.head.classes

    def __repr__(self) -> str:
        engine = self.backbone.engine
        return make_printable(
            f"<Predictor: {self.backbone.name} on {engine.name} {engine.precision}, {len(self.head.classes)} classes>"
        )

    def predict(self, images: ImageInput | Iterable[ImageInput]) -> list[Prediction]:
        """The prediction for every image, in order; a folder, an archive or a manifest stands for all of its images.

        Args:
            images: as for `stream`; one image or folder alone need not be in a list.
        """
        return list(self.stream(images))

    def stream(self, images: ImageInput | Iterable[ImageInput]) -> Generator[Prediction]:
        """The same, each as soon as its batch is ready, in memory that does not grow with the number of images.

        Args:
            images: what `list_new_images` takes (paths of files and folders, manifests, archives, names of data sets),
                the bytes of a file, images of Pillow, arrays H x W x 3 in uint8; one alone, or several, mixed as they
                come. Images of Pillow and arrays are whole images, also where the run decoded large JPEGs at a fraction
                of their size.

        Returns:
            One for each image, in order; files of a folder by name, before those of its folders.
        """
        return stream_predictions(
            images,
            Network.of(self.backbone, self.engine),
            self._answers,
            self.run_images.split_of,
            max_pixels=self.max_pixels,
            resources=self.resources,
        )

    def _answers(self, feature_ND: NDArray[np.float32]) -> list[Prediction]:
        """One prediction a row; the path is the caller's to fill in."""
        probability_NC, distance_N = probabilities(self.head, feature_ND), self.refusal.distances(feature_ND)
        return make_predictions(self.head.classes, self.refusal, probability_NC, distance_N, rule=self.sets)


def _choose(run: RunRecord, backbone: str | BackboneSpec | None, progress: Progress) -> BackboneSpec:
    if backbone is None:
        decision = run.results.decision
        if decision.strength is not None:
            progress.note(f"Predicting with {decision.choose}, the pick of the run ({say_strength(decision)}).")
        return BackboneSpec(name=decision.choose)
    spec = parse_spec(backbone) if isinstance(backbone, str) else backbone
    return BackboneSpec(name=run.backbone(spec.name).name, file=spec.file)


def _require_origin(origin: Mapping[str, str], file: Path) -> None:
    missing = [key for key in ("weights_sha256", "engine", "precision", "pooling") if not origin.get(key)]
    if missing:
        raise RunError(
            f"The head {file} does not say on which features it was fitted ({', '.join(missing)} missing), "
            "so that nothing can be predicted with it. Make the run again."
        )


def _like_the_run(origin: Mapping[str, str], progress: Progress) -> tuple[str, str]:
    """Engine and precision of the run; "auto" and a note if this machine does not have them."""
    engine, precision = origin["engine"], origin["precision"]
    try:
        choose_engine(engine, precision)
    except UsageError:
        progress.note(f"The run used {engine} {precision}, which is not here: probabilities may differ a little.")
        return "auto", "auto"
    return engine, precision
