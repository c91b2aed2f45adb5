"""From images in any form to their predictions, in order: the same for a run and for a model folder. Needs no torch."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitrail.core.hashing import sha256_bytes
from vitrail.core.progress import running
from vitrail.core.resources import Resources
from vitrail.data.dataset import SetAside, SplitName
from vitrail.data.images import ImageRejected
from vitrail.data.sources.local import written
from vitrail.delivery.new_images import InSource, list_new_images
from vitrail.delivery.prediction import Prediction
from vitrail.features.open_images import (
    ImageInput,
    Images,
    LeastSides,
    list_inputs,
    name_image,
    open_image,
    own_image,
    read_image,
)
from vitrail.features.stream import Network, Stream

TASK = "Predicting"

Answer = Callable[[NDArray[np.float32]], list[Prediction]]  # from the rows of a network, a prediction for each
SplitOf = Callable[[str], SplitName | None]  # the split of a run that has the image of this id


def stream_predictions(
    images: ImageInput | Iterable[ImageInput],
    network: Network,
    answer: Answer,
    split_of: SplitOf,
    *,
    max_pixels: int,
    resources: Resources,
) -> Generator[Prediction]:
    """The prediction for every image, each as soon as its batch is ready, in memory that does not grow.

    Args:
        images: as for `vitrail.Predictor.stream`.
        network: gives a row for each image.
        answer: makes predictions from rows, without what is known of the image.
        split_of: the split of the run that an image is in.
        max_pixels: larger images are not read.
        resources: its progress receives every image.

    Yields:
        Prediction: one for each image, in order.
    """
    progress = resources.progress
    stream = Stream(
        ((image, [network]) for image in _list_images(list_inputs(images), resources)),
        [network],
        partial(_open_image, max_pixels=max_pixels),
        decode_threads=resources.threads.decode,
    )
    with running(progress, TASK, total=None, unit="images"), closing(iter(stream)) as batches:
        for batch in batches:
            answers = iter(answer(batch.feature_BD) if len(batch.feature_BD) else ())
            for listed, reason in zip(batch.items, batch.reasons, strict=True):
                prediction = next(answers) if reason is None else _no_answer(reason)
                yield replace(
                    prediction,
                    path=listed.name,
                    id=listed.id,
                    true_label=listed.label,
                    group=listed.group,
                    run_split=None if listed.id is None else split_of(listed.id),
                )
            progress.advance(TASK, len(batch.items))


@dataclass(slots=True)
class _ListedImage:
    """An image with the name of its prediction and what the data say of it; its id is known once it has been read."""

    name: str
    content: ImageInput | InSource | SetAside
    label: str | None = None
    group: str | None = None
    id: str | None = None


def _list_images(images: Iterable[ImageInput], resources: Resources) -> Iterator[_ListedImage]:
    """Every image that is meant, those in memory under their place."""
    for place, image in enumerate(images):
        if isinstance(image, str | Path):
            for new in list_new_images(image, resources):
                yield _ListedImage(new.name, new.content, new.label, new.group)
        else:
            yield _ListedImage(written(name_image(image, place)), own_image(image))


def _open_image(listed: _ListedImage, least_sides: LeastSides, *, max_pixels: int) -> Images:
    content = listed.content
    if isinstance(content, SetAside):
        raise ImageRejected(content.reason)
    if isinstance(content, InSource):
        content = content.read()
    elif isinstance(content, str | Path):
        content = read_image(Path(content))
    if isinstance(content, bytes):
        listed.id = sha256_bytes(content)
    return open_image(content, least_sides, max_pixels=max_pixels)


def _no_answer(error: str) -> Prediction:
    return Prediction(path="", label=None, probability=None, top=(), error=error)
