"""A frozen backbone with a head on its features, as a scikit-learn estimator.

Its features come from the store, so cross-validation and a search over the head run the backbone once for each distinct
image.

Letters: N images, D features, C classes.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from vitrail.backbones import Backbone, open_backbone, parse_spec
from vitrail.backbones.remembered import remember_given
from vitrail.core.errors import DataError, UsageError
from vitrail.core.machine import cache_folder
from vitrail.core.notebook import follow
from vitrail.core.progress import Progress
from vitrail.core.resources import Resources
from vitrail.delivery.estimator_folder import Settings, find_weights, open_again, read_estimator, write_estimator
from vitrail.features.given_images import GivenImages, compute_rows
from vitrail.features.open_images import ImageInput
from vitrail.heads import SCALINGS, probabilities
from vitrail.search.examples import number_groups
from vitrail.search.fit_head import fit_head, join_groups
from vitrail.search.options import TuneOptions

STRENGTH_OF = {"logistic": "strengths", "ridge": "alphas", "knn": "neighbours"}  # the options that hold a strength
HEADS = ("logistic", "ridge", "knn", "centroid")
SETTINGS = tuple(field.name for field in fields(Settings))


class FrozenClassifier(ClassNamePrefixFeaturesOutMixin, ClassifierMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A frozen backbone with a head on its features, as a scikit-learn estimator.

    X is a list of images, mixed as they come: paths, the bytes of a file, images of Pillow, or arrays H x W x 3 in
    uint8; an array of several images, N x H x W x 3, is one too. Copies of an image are kept in one fold. Features are
    kept in the cache under a digest of the image, so each distinct image goes through the backbone once, in whatever
    fold, fit or program it comes again. `score` is the accuracy.

    Probabilities are scaled by a temperature that is fitted on five folds of the images to fit on.

    Args:
        backbone: "NAME" of the catalogue or "NAME=FILE".
        head: "logistic", "ridge", "knn" (nearest neighbours) or "centroid".
        strength: scikit-learn's C of a logistic head (for two classes, half its C), alpha of ridge, or the number of
            nearest neighbours. None chooses it by five-fold cross-validation, as a benchmark does.
        scaling: of the features: "standardise", "l2" or "none"; None chooses between the first two likewise.
        pooling: of the network's tokens, such as "cls+mean"; None is the backbone's own. `vitrail backbones NAME` lists
            them.
        engine: "auto", "torch", "torch-compile" or "openvino". Auto follows a rule and tries nothing.
        precision: "auto", "fp32", "bf16" or "fp16".
        seed: draws the five folds.
        cache: a folder for features; None is Vitrail's.
        offline: never use the network.
        progress: draw bars in terminals and notebooks.

    Attributes:
        classes_: the labels, sorted.
        head_: the fitted head.
        backbone_: the opened backbone.
        pooling_: the pooling of the features.
    """

    def __init__(
        self,
        backbone: str,
        *,
        head: str = "logistic",
        strength: float | None = None,
        scaling: str | None = None,
        pooling: str | None = None,
        engine: str = "auto",
        precision: str = "auto",
        seed: int = 0,
        cache: str | Path | None = None,
        offline: bool = False,
        progress: bool = False,
    ) -> None:
        self.backbone = backbone
        self.head = head
        self.strength = strength
        self.scaling = scaling
        self.pooling = pooling
        self.engine = engine
        self.precision = precision
        self.seed = seed
        self.cache = cache
        self.offline = offline
        self.progress = progress

    def fit(self, X: Iterable[ImageInput], y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Fit a head on the features of images.

        Args:
            X: images.
            y: a label for each, of any type that scikit-learn takes.
            groups: images of one group stay in one fold where the strength is chosen and the temperature fitted.

        Raises:
            UsageError: an argument of the estimator is invalid.
            DataError: an image cannot be read; the message names it.
            ValueError: labels or groups are not one for each image, or there is only one class.
        """
        options = self._make_options()
        images = _list_images(X)
        label_N = column_or_1d(y, warn=True)
        check_consistent_length(images, label_N, groups)
        check_classification_targets(label_N)
        classes_C, class_N = np.unique(label_N, return_inverse=True)
        if len(classes_C) < 2:
            raise ValueError(f"All labels are of one class, {classes_C.tolist()}: give images of two or more.")
        with follow(self.progress) as shown:
            spec = parse_spec(self.backbone)
            backbone = open_backbone(
                spec, engine=self.engine, precision=self.precision, offline=self.offline, progress=shown
            )
            pooling = _require_pooling(backbone, self.pooling)
            given = GivenImages(images)
            feature_ND = compute_rows(given, backbone, pooling, resources=self._resources(shown))
            remember_given([spec], [backbone], shown)
        id_N = np.array(given.ids)
        order_N = np.lexsort((class_N, id_N))  # the head does not depend on the order of X
        self.head_ = fit_head(
            feature_ND[order_N],
            class_N[order_N],
            _number_groups(id_N, groups)[order_N],
            classes=tuple(str(label) for label in classes_C.tolist()),
            options=options,
        )
        self.classes_, self.backbone_, self.pooling_ = classes_C, backbone, pooling
        return self

    def transform(self, X: Iterable[ImageInput]) -> NDArray[np.float32]:
        """The frozen features, unscaled, N x D."""
        check_is_fitted(self)
        return self._features(X)

    def predict_proba(self, X: Iterable[ImageInput]) -> NDArray[np.float64]:
        """The probability of every class, N x C, in the order of `classes_`."""
        check_is_fitted(self)
        return probabilities(self.head_, self._features(X))

    def predict(self, X: Iterable[ImageInput]) -> NDArray[Any]:
        """The most probable label of every image."""
        class_N = self.predict_proba(X).argmax(axis=1)
        label_N: NDArray[Any] = self.classes_[class_N]
        return label_N

    def save(self, folder: str | Path) -> None:
        """Write the fitted estimator into a folder, in safetensors and JSON; one that is there is replaced.

        The weights of the backbone are not copied: their digest is stored.

        Raises:
            UsageError: a label is neither a text nor a number.
            RunError: the folder cannot be written.
        """
        check_is_fitted(self)
        engine = self.backbone_.engine
        origin = {
            "backbone": self.backbone_.name,
            "weights_sha256": self.backbone_.digest,
            "engine": engine.name,
            "precision": engine.precision,
            "pooling": self.pooling_,
        }
        settings = Settings(**{name: _to_plain(getattr(self, name)) for name in SETTINGS})
        write_estimator(Path(folder), settings, self.classes_, self.head_, origin)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        backbone: str | None = None,
        cache: str | Path | None = None,
        offline: bool = False,
        progress: bool = False,
    ) -> Self:
        """Open what `save` wrote; it predicts the same, to the last bit for the same stored features.

        Args:
            folder: of `save`.
            backbone: "NAME" or "NAME=FILE", if the weights are elsewhere or are to be downloaded. Without it nothing is
                downloaded unless the catalogue, or a download on this machine, has their digest.
            cache: as for the estimator.
            offline: never use the network.
            progress: as for the estimator.

        Raises:
            RunError: there is no estimator in the folder, or it is damaged.
            WeightsError: the weights are others, or cannot be found.
        """
        settings, classes_C, head, origin = read_estimator(Path(folder))
        with follow(progress) as shown:
            spec = parse_spec(backbone) if backbone else find_weights(origin, offline=offline, progress=shown)
            opened = open_again(spec, origin, offline=offline, progress=shown)
            remember_given([spec], [opened], shown)
        name = backbone or (f"{spec.name}={spec.file}" if spec.file else spec.name)
        estimator = cls(name, cache=cache, offline=offline, progress=progress, **asdict(settings))
        estimator.classes_, estimator.head_ = classes_C, head
        estimator.backbone_, estimator.pooling_ = opened, origin["pooling"]
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []  # features are float32
        return tags

    @property
    def _n_features_out(self) -> int:
        """For `get_feature_names_out`."""
        return len(self.head_.scaling.mean_D)

    def _features(self, X: Iterable[ImageInput]) -> NDArray[np.float32]:
        images = GivenImages(_list_images(X))
        with follow(self.progress) as shown:
            return compute_rows(images, self.backbone_, self.pooling_, resources=self._resources(shown))

    def _resources(self, progress: Progress) -> Resources:
        cache = cache_folder() if self.cache is None else Path(self.cache)
        return Resources(cache=cache, offline=self.offline, progress=progress)

    def _make_options(self) -> TuneOptions:
        """What the search tries; UsageError if an argument is invalid."""
        if self.head not in HEADS:
            raise UsageError(f"There is no head {self.head!r} for FrozenClassifier: choose {', '.join(HEADS)}.")
        if self.scaling is not None and self.scaling not in SCALINGS:
            raise UsageError(f"Unknown feature scaling {self.scaling!r}: choose {', '.join(SCALINGS)}, or None.")
        if self.precision == "int8":
            raise UsageError("FrozenClassifier does not run in int8, whose ranges come from a benchmark's images.")
        tried: dict[str, Any] = {} if self.scaling is None else {"scalings": (self.scaling,)}
        if self.strength is not None:
            tried[_require_strength(self.head, self.strength)] = (_to_plain(self.strength),)
        return TuneOptions(kinds=(self.head,), seed=_require_seed(self.seed), **tried)


def _list_images(X: Iterable[ImageInput]) -> list[ImageInput]:
    axes = getattr(X, "ndim", 1)
    if isinstance(X, str | bytes | Path | Image.Image) or (isinstance(X, np.ndarray) and axes == 3):
        raise UsageError("X is one image, and scikit-learn works on several: give it in a list, as [X].")
    if axes not in (1, 4):
        raise UsageError(f"X has {axes} axes, and a list of images has one: of a table, give the column of paths.")
    images = list(X)
    if not images:
        raise DataError("X has no images: give one or more.")
    return images


def _number_groups(id_N: NDArray[np.str_], groups: ArrayLike | None) -> NDArray[np.int64]:
    """Groups in which copies of an image are together, and the images of each given group."""
    if groups is None:
        return join_groups(id_N)
    return join_groups(id_N, number_groups(pa.array(column_or_1d(groups), from_pandas=True)))


def _require_strength(head: str, strength: object) -> str:
    """The option that holds a strength; UsageError if it is not one of this head."""
    if head not in STRENGTH_OF:
        raise UsageError(f"The head {head} has no strength: leave it out.")
    kind, wanted = (Integral, "a whole number, 1 or more") if head == "knn" else (Real, "a number above 0")
    if not isinstance(strength, kind) or not 0 < float(strength) < math.inf:
        raise UsageError(f"The strength {strength!r} cannot be used with the head {head}: give {wanted}.")
    return STRENGTH_OF[head]


def _require_seed(seed: object) -> int:
    if not isinstance(seed, Integral) or int(seed) < 0:
        raise UsageError(f"The seed {seed!r} cannot be used: give a whole number, 0 or more.")
    return int(seed)


def _require_pooling(backbone: Backbone, pooling: str | None) -> str:
    offered = tuple(dict.fromkeys((backbone.card.pooling, *backbone.card.poolings)))
    if pooling is not None and pooling not in offered:
        raise UsageError(f"{backbone.name} has no pooling {pooling!r}: choose {', '.join(offered)}.")
    return pooling or backbone.card.pooling


def _to_plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
