"""scikit-learn's own checks of an estimator, without an exception.

They give tables of numbers, and `FrozenClassifier` takes images: by its tags scikit-learn checks nothing but how it is
cloned. So each row is drawn as a grey picture with a square for each number, and the checks of tables are checks of the
drawing. Everything else is the estimator's: labels, parameters, cloning, pickles, and how its answers agree.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

from vitrail import FrozenClassifier

pytestmark = pytest.mark.slow

SQUARE = 4  # pixels
PER_UNIT = 25  # grey levels; the data of most checks are some units wide, round 0 or 100


class OnRows(FrozenClassifier):
    """Draws rows of numbers as images."""

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        X, y = validate_data(self, X, y)
        return super().fit(draw(X), y, groups)

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        return super().transform(self._draw(X))

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        return super().predict_proba(self._draw(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = False
        return tags

    def _draw(self, X: ArrayLike) -> NDArray[np.uint8]:
        if hasattr(self, "head_"):
            X = validate_data(self, X, reset=False)
        return draw(X)


def draw(X: ArrayLike) -> NDArray[np.uint8]:
    grey_ND = ((128 + PER_UNIT * np.asarray(X, np.float64)) % 256).astype(np.uint8)
    strip_NW = np.repeat(grey_ND, SQUARE, axis=1)
    return np.broadcast_to(strip_NW[:, None, :, None], (len(strip_NW), SQUARE, strip_NW.shape[1], 3))


@parametrize_with_checks(
    [OnRows("vit_mini", strength=1.0, scaling="standardise", engine="torch")],
)
def test_scikit_learns_checks(estimator: OnRows, check: Callable[[OnRows], None]):
    check(estimator)
