"""The JSON that the service sends; the OpenAPI document is made from these types."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from vitrail.data.images import ImageRejected, ImageTooLarge
from vitrail.delivery.prediction import STRANGE, Prediction
from vitrail.evaluation import RefusalCheck

UNREADABLE, TOO_LARGE = "unreadable", "image_too_large"


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorText:
    """A code for programs, and a sentence for people that says what happened and what to do."""

    code: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """The body of every error."""

    error: ErrorText


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """Why the model does not answer: the image is unlike the training images, or no class is probable enough."""

    code: Literal["unlike", "unsure"]
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassProbability:
    """A class and its calibrated probability."""

    label: str
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The answer for one image.

    `label` is null if the model does not know (`doubt` says why) or the image cannot be read (`error` says why).
    `nearest` is the most probable class, also when it is in doubt, and `probability` is that of `nearest`. `set` holds
    the true class as often as the run promised, if the image is like the training images. `width` and `height` are
    those of the upright image, in pixels. `milliseconds` go from the whole upload to the answer.
    """

    name: str
    label: str | None = None
    nearest: str | None = None
    probability: float | None = None
    top: tuple[ClassProbability, ...] = ()
    set: tuple[str, ...] = ()
    doubt: Doubt | None = None
    error: ErrorText | None = None
    width: int | None = None
    height: int | None = None
    milliseconds: float

    @classmethod
    def of(cls, name: str, prediction: Prediction, size: tuple[int, int], milliseconds: float) -> "Result":
        """What is sent for a prediction."""
        doubt = prediction.doubt
        return cls(
            name=name,
            label=None if doubt else prediction.label,
            nearest=prediction.label,
            probability=prediction.probability,
            top=tuple(ClassProbability(label=label, probability=value) for label, value in prediction.top),
            set=prediction.set,
            doubt=Doubt(code="unlike" if doubt == STRANGE else "unsure", text=doubt) if doubt else None,
            width=size[0],
            height=size[1],
            milliseconds=milliseconds,
        )

    @classmethod
    def unreadable(cls, name: str, rejected: ImageRejected, milliseconds: float) -> "Result":
        """What is sent for a file that is no image, or cannot be used."""
        code = TOO_LARGE if isinstance(rejected, ImageTooLarge) else UNREADABLE
        return cls(name=name, error=ErrorText(code=code, text=str(rejected)), milliseconds=milliseconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """A result for each image, in order. `error` is there if none of them could be read."""

    results: tuple[Result, ...]
    error: ErrorText | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestLimits:
    """What one request may have: bytes of its body, pixels of each image, images, and seconds until it is there."""

    bytes: int
    pixels: int
    images: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CertifiedFacts:
    """What the certificate of the model says: on how many test images it was checked, and the outcome.

    `promises` are the thresholds of the run on its answers.
    """

    images: int
    largest_difference: float
    conclusion: str
    promises: RefusalCheck
    images_per_s: float
    best_batch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    """What is served. `crop` is the side of the model's input in pixels, `run` the digest of the run it comes from."""

    name: str
    format: str
    precision: str
    classes: tuple[str, ...]
    crop: int
    licence: str
    limits: RequestLimits
    certificate: CertifiedFacts
    run: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Whether the service answers, with which runtime and precision, and what its certificate concluded."""

    status: Literal["ready", "stopping"]
    model: str
    runtime: str
    precision: str
    certificate: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """Whether the process is alive, or ready for images."""

    status: Literal["alive", "ready", "stopping"]


def as_json(reply: Any) -> bytes:
    """A reply as the bytes that are sent."""
    return json.dumps(asdict(reply), allow_nan=False, separators=(",", ":")).encode()
