"""The prediction for one new image. This module needs no torch."""

from dataclasses import dataclass

from vitrail.data.dataset import SplitName

TOP = 5  # classes of a prediction


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """The prediction for one image. If it could not be read, `error` says why and nothing else is known.

    An image that was not given as a path goes by its place, such as "images[3]". `top` has the most probable classes,
    at most five, the answer first. `set` holds the true class as often as the run promised (90%), if the image is like
    the training images. If `doubt` says why, the honest answer is "I do not know": the image looks like none of the
    training images, or no class has the `least_probability` for the promised precision. That is None if the run's test
    found no such threshold: then no answer is in doubt for being unsure. `true_label` and `group` are those that the
    data give. `run_split` is the split of the run that has an image of the very same bytes.
    """

    path: str
    label: str | None
    probability: float | None
    top: tuple[tuple[str, float], ...]
    error: str | None
    set: tuple[str, ...] = ()
    doubt: str | None = None
    least_probability: float | None = None
    id: str | None = None  # sha256 of the bytes
    true_label: str | None = None
    group: str | None = None
    run_split: SplitName | None = None

    @property
    def reason(self) -> str | None:
        """Why there is no answer; None if there is one."""
        return self.error or self.doubt
