"""The worst mistakes: the wrong answers that were given with the greatest confidence, as images."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Self

import numpy as np
from PIL import Image

from vitrail.core.errors import DataError
from vitrail.data import MAX_PIXELS, Dataset, ImageRejected, decode, read_example
from vitrail.heads.head import Predictions

SIDE = 128  # pixels of a thumbnail, shown at about 100: sharp enough on a phone, some 4 kB
TINY = 48  # pixels up to which an image is kept as it is, without loss
QUALITY = 76
MOST_A_BACKBONE, LEAST_A_BACKBONE, MOST_A_PAGE = 12, 3, 72


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """The images of a data set while they are at hand.

    `read` gives the bytes of an example; it raises OSError if its file is gone, and DataError if the file has other
    bytes now, which may show another image than the one that was judged, or if a server is not reached. `paths` names
    its file, by id.
    """

    read: Callable[[str], bytes] = field(repr=False)
    paths: Mapping[str, str] = field(repr=False, default_factory=dict)
    max_pixels: int = MAX_PIXELS

    @classmethod
    def of(cls, dataset: Dataset, *, max_pixels: int = MAX_PIXELS) -> Self:
        """The images of a data set, read from its source when they are asked for."""
        first = {id_: paths[0] for id_, paths in dataset.by_id("paths").items()}
        return cls(read=lambda id_: read_example(dataset.source, first[id_], id_), paths=first, max_pixels=max_pixels)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One wrong answer. `picture` is a data URI, or None with the reason in `missing`; `path` may be unknown."""

    label: str
    answer: str
    probability: float
    label_probability: float
    path: str
    picture: str | None
    tiny: bool
    missing: str


def choose_limit(backbones: int) -> int:
    """Mistakes shown of each backbone, so that the page stays light however many there are."""
    return max(LEAST_A_BACKBONE, min(MOST_A_BACKBONE, MOST_A_PAGE // max(1, backbones)))


def worst_mistakes(
    predictions: Predictions, classes: Sequence[str], images: Images | None, *, limit: int
) -> tuple[Mistake, ...]:
    """At most `limit` wrong answers with the greatest probability, the worst first, with their thumbnails.

    `classes` are in the order of the columns.
    """
    answer_N = predictions.probability_NC.argmax(axis=1)
    sure_N = np.where(answer_N == predictions.label_N, -1.0, predictions.probability_NC.max(axis=1))
    order = [int(row) for row in np.argsort(-sure_N, kind="stable")[:limit] if sure_N[row] >= 0]
    mistakes = []
    for row in order:
        picture, tiny, missing = draw_thumbnail(predictions.ids[row], images)
        label = int(predictions.label_N[row])
        mistake = Mistake(
            label=classes[label],
            answer=classes[int(answer_N[row])],
            probability=float(sure_N[row]),
            label_probability=float(predictions.probability_NC[row, label]),
            path=images.paths.get(predictions.ids[row], "") if images else "",
            picture=picture,
            tiny=tiny,
            missing=missing,
        )
        mistakes.append(mistake)
    return tuple(mistakes)


def draw_thumbnail(id_: str, images: Images | None) -> tuple[str | None, bool, str]:
    """A small image of an example.

    Returns:
        A data URI or None, whether its pixels should be seen as such, and the reason or nothing.
    """
    if images is None:
        return None, False, "not at hand"
    try:
        picture = decode(images.read(id_), max_pixels=images.max_pixels)
    except ImageRejected as error:
        return None, False, error.reason
    except DataError:
        return None, False, "changed since, or not at hand"
    except (OSError, KeyError) as error:
        return None, False, getattr(error, "strerror", None) or "not at hand"
    tiny = max(picture.size) <= TINY
    return _data_uri(picture, tiny=tiny), tiny, ""


def _data_uri(picture: Image.Image, *, tiny: bool) -> str:
    buffer = BytesIO()
    if tiny:
        picture.save(buffer, "PNG", optimize=True)
    else:
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    kind = "png" if tiny else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
