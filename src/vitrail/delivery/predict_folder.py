"""Predictions for new images with a model folder, without torch.

Letters: B images, H rows, W columns, C classes.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitrail.core.resources import Resources
from vitrail.data.dataset import SplitName
from vitrail.delivery.model_folder import ModelFolder
from vitrail.delivery.predict_images import stream_predictions
from vitrail.delivery.prediction import Prediction, make_predictions, require_rule, say_no_confidence
from vitrail.features.open_images import ImageInput
from vitrail.features.stream import Network
from vitrail.heads.refusal import RULES


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderPredictor:
    """A model folder that predicts whatever `vitrail.Predictor` does; `sets` is one of `vitrail.heads.refusal.RULES`.

    A model folder does not list the images of its run, so `run_split` of a prediction is always None.
    """

    model: ModelFolder
    sets: str = RULES[0]
    resources: Resources = field(default_factory=Resources)

    @classmethod
    def open(cls, folder: Path, *, sets: str = RULES[0], resources: Resources | None = None) -> Self:
        """Open a model folder, with one stream of batches for each thread.

        Args:
            folder: what `vitrail export` wrote.
            sets: how sets of classes are made: "lac", "adaptive", or either with "-by-class".
            resources: its progress receives notes and every image.

        Raises:
            UsageError: there is no such rule, or the runtime of the model is not installed.
            RunError: the folder is not whole, or has no certificate for this model.
            WeightsError: the model cannot be loaded, or is not what the folder says.
        """
        require_rule(sets)
        resources = resources or Resources()
        threads = resources.threads.compute
        model = ModelFolder.open(folder, threads=threads, streams=threads)
        for note in model.notes:
            resources.progress.note(note)
        if model.limits.confidence is None:
            resources.progress.note(say_no_confidence(model.limits))
        return cls(model=model, sets=sets, resources=resources)

    @property
    def knows_run(self) -> bool:
        """Whether `run_split` of a prediction says which images are those of the run."""
        return False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that an answer may be."""
        return self.model.facts.classes

    def stream(self, images: ImageInput | Iterable[ImageInput]) -> Generator[Prediction]:
        """The prediction for every image, in order, as `vitrail.Predictor.stream` gives it."""
        facts = self.model.facts
        return stream_predictions(
            images,
            Network(_RowEngine(self.model), facts.preprocessing, f"{facts.backbone} ({facts.format})"),
            self._answers,
            _no_split,
            max_pixels=facts.max_pixels,
            resources=self.resources,
        )

    def _answers(self, row_BC: NDArray[np.float32]) -> list[Prediction]:
        exact_BC = row_BC.astype(np.float64)
        return make_predictions(self.classes, self.model.limits, exact_BC[:, :-1], exact_BC[:, -1], rule=self.sets)


class _RowEngine:
    """A model folder as an engine whose rows are the probabilities of all classes, and then the distance."""

    def __init__(self, model: ModelFolder) -> None:
        self.batch, self.streams = model.certificate.speed.best.batch, model.session.streams
        self._model = model

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A row for each image; both parts were float32, so nothing is rounded."""
        return np.column_stack(self._model.answer(pixel_BHWC)).astype(np.float32)


def _no_split(image_id: str) -> SplitName | None:
    return None
