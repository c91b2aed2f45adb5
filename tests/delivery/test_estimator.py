"""A backbone with a head for scikit-learn: its features, computed once for each image, and its answers."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vitrail
from tests.delivery.estimators import fitted as fitted
from tests.delivery.estimators import labels as labels
from tests.delivery.estimators import make
from tests.delivery.estimators import paths as paths
from vitrail import FrozenClassifier
from vitrail.core.errors import DataError, UsageError
from vitrail.core.machine import cache_folder
from vitrail.features.stream import Network


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The images of every batch that a backbone is run on."""
    sizes: list[int] = []
    compute = Network.compute

    def count(network: Network, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append(len(pixel_BHWC))
        return compute(network, pixel_BHWC)

    monkeypatch.setattr(Network, "compute", count)
    return sizes


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def test_images_have_the_same_answers_in_every_form(fitted: FrozenClassifier, paths: list[Path], labels):
    wanted_NC = fitted.predict_proba(paths)
    assert fitted.score(paths, labels) == 1
    assert fitted.classes_.tolist() == ["blue", "green", "red"]
    np.testing.assert_allclose(wanted_NC.sum(axis=1), 1)
    assert (fitted.classes_[wanted_NC.argmax(axis=1)] == fitted.predict(paths)).all()
    arrays = np.stack([pixels(path) for path in paths])
    forms = {
        "mixed": [str(paths[0]), paths[1].read_bytes(), Image.open(paths[2]), arrays[3], *paths[4:]],
        "one array": arrays,
        "texts": np.array([str(path) for path in paths]),
        "objects": np.array(paths, object),
        "a column": pd.Series([str(path) for path in paths], index=range(100, 100 + len(paths))),
        "an iterator": iter(paths),
    }
    for name, images in forms.items():
        np.testing.assert_array_equal(fitted.predict_proba(images), wanted_NC, err_msg=name)


def test_features_are_those_of_extract_features(fitted: FrozenClassifier, paths: list[Path]):
    wanted_ND = vitrail.extract_features(paths, "vit_mini", engine="torch")
    feature_ND = fitted.transform(paths)
    assert feature_ND.dtype == np.float32
    np.testing.assert_allclose(feature_ND, wanted_ND, rtol=1e-3, atol=1e-3)  # the store keeps float16
    assert len(fitted.get_feature_names_out()) == feature_ND.shape[1]


def test_a_search_over_the_strength_runs_the_backbone_once_for_each_distinct_image(
    paths: list[Path], labels: NDArray[np.str_], computed: list[int]
):
    images = [*paths, Image.open(paths[0]), pixels(paths[0]), paths[1].read_bytes()]
    in_memory = 1  # the image and the array have the same pixels, and no file
    search = GridSearchCV(make(), {"strength": [0.001, 0.1, 10.0], "head": ["logistic", "ridge"]}, cv=3)
    search.fit(images, [*labels, labels[0], labels[0], labels[1]])
    assert sum(computed) == len(paths) + in_memory
    assert search.score(paths, labels) == 1
    assert sum(computed) == len(paths) + in_memory


def test_a_benchmark_and_an_estimator_share_features(paths: list[Path], labels, computed: list[int]):
    vitrail.bench(paths[0].parents[1], "vit_mini", engine="torch", precision="fp32", out=paths[0].parents[1] / "run")
    assert sum(computed)
    computed.clear()
    make(precision="fp32").fit(paths, labels)
    assert not computed


def test_the_estimator_works_where_scikit_learns_do(paths: list[Path], labels: NDArray[np.str_]):
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-6))
    feature_ND = make().fit(paths, labels).transform(paths)
    groups = np.arange(len(paths)) // 2
    for folds in ({"cv": 3}, {"cv": GroupKFold(3), "groups": groups}):
        scores = cross_val_score(make(), paths, labels, **folds)
        assert scores.tolist() == cross_val_score(theirs, feature_ND, labels, **folds).tolist()
    as_features = make_pipeline(make(), StandardScaler(), LogisticRegression()).fit(paths, labels)
    assert as_features.score(paths, labels) == 1
    at_the_end = make_pipeline("passthrough", make()).fit(paths, labels, frozenclassifier__groups=groups)
    assert at_the_end.predict(paths).tolist() == labels.tolist()
    table = make().set_output(transform="pandas").fit(paths, labels).transform(paths)
    assert table.shape == (len(paths), 128)
    assert table.columns[0] == "frozenclassifier0"


def test_a_copy_has_the_parameters_and_a_pickle_the_answers(fitted: FrozenClassifier, paths: list[Path]):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(paths)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(paths), fitted.predict_proba(paths))


@pytest.mark.parametrize("strength", [0.001, 1.0])
def test_the_head_is_scikit_learns_at_that_strength(paths: list[Path], labels: NDArray[np.str_], strength: float):
    estimator = make(strength=strength).fit(paths, labels)
    scaled_ND = StandardScaler().fit_transform(estimator.transform(paths).astype(np.float64))
    theirs = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(scaled_ND, labels)
    own_CD = estimator.head_.scores.weight_CD
    np.testing.assert_allclose(own_CD - own_CD.mean(axis=0), theirs.coef_ - theirs.coef_.mean(axis=0), atol=1e-4)
    log_NC = np.log(estimator.predict_proba(paths)) * estimator.head_.temperature
    theirs_NC = theirs.decision_function(scaled_ND)
    np.testing.assert_allclose(log_NC - log_NC.mean(axis=1)[:, None], theirs_NC, atol=1e-3)


def test_for_two_classes_scikit_learns_strength_is_twice_as_large(paths: list[Path], labels: NDArray[np.str_]):
    """It fits one weight for both classes, and so penalises a difference half as much."""
    two, y = [paths[place] for place in np.flatnonzero(labels != "red")], labels[labels != "red"]
    estimator = make(strength=0.1).fit(two, y)
    scaled_ND = StandardScaler().fit_transform(estimator.transform(two).astype(np.float64))
    theirs = LogisticRegression(C=0.2, tol=1e-8, max_iter=10_000).fit(scaled_ND, y)
    own_CD = estimator.head_.scores.weight_CD
    np.testing.assert_allclose(own_CD[1] - own_CD[0], theirs.coef_[0], atol=1e-4)


@pytest.mark.parametrize(
    ("head", "strength", "setting"),
    [("ridge", 10.0, {"alpha": 10.0}), ("knn", np.int64(3), {"k": 3}), ("centroid", None, {})],
)
def test_other_heads_have_a_strength_of_their_own(paths: list[Path], labels, head: str, strength, setting):
    estimator = make(head=head, strength=strength).fit(paths, labels)
    assert estimator.head_.setting == {**setting, "scaling": "standardise"}
    assert estimator.head_.kind == head
    assert estimator.score(paths, labels) > 0.9


def test_what_is_not_given_is_chosen_by_cross_validation(paths: list[Path], labels: NDArray[np.str_]):
    """On labels that are noise the strongest regularisation is best."""
    noise = np.random.default_rng(0).permutation(labels)
    chosen = [make(strength=None, scaling=None).fit(paths, y).head_.setting for y in (labels, noise)]
    assert chosen[0]["C"] > 100 * chosen[1]["C"]


def test_the_order_of_the_images_does_not_matter(fitted: FrozenClassifier, paths: list[Path], labels):
    order = np.random.default_rng(0).permutation(len(paths))
    other = clone(fitted).fit([paths[place] for place in order], labels[order])
    np.testing.assert_array_equal(other.predict_proba(paths), fitted.predict_proba(paths))
    assert other.head_.temperature == fitted.head_.temperature


def test_copies_and_groups_are_not_held_out_from_themselves(paths: list[Path], labels: NDArray[np.str_]):
    """Labels are noise: whoever finds a copy of a held-out image among the others is right, and too sure."""
    noise = np.random.default_rng(1).permutation(labels)
    alone = make(strength=10.0).fit(paths, noise).head_.temperature
    images, twice = [*paths, *paths], [*noise, *noise]
    assert make(strength=10.0).fit(images, twice).head_.temperature > 0.5 * alone
    changed = [pixels(path) ^ 1 for path in paths]  # nearly the same, as frames of a film are
    images, groups = [*paths, *changed], [*range(len(paths)), *range(len(paths))]
    apart = make(strength=10.0).fit(images, twice, groups=groups).head_.temperature
    assert apart > 2 * make(strength=10.0).fit(images, twice).head_.temperature


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": "mlp"}, "no head 'mlp'"),
        ({"strength": 0}, "strength 0 cannot be used"),
        ({"strength": float("nan")}, "strength nan cannot"),
        ({"strength": "strong"}, "strength 'strong' cannot"),
        ({"head": "knn", "strength": 1.5}, "a whole number, 1 or more"),
        ({"head": "centroid"}, "head centroid has no strength"),
        ({"scaling": "minmax"}, "Unknown feature scaling 'minmax'"),
        ({"seed": -1}, "seed -1 cannot"),
        ({"precision": "int8"}, "does not run in int8"),
        ({"engine": "jax"}, "jax"),
        ({"pooling": "map"}, "vit_mini has no pooling 'map': choose"),
        ({"backbone": "vit_maxi"}, "vit_maxi"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_before_an_image_is_read(arguments: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        make().set_params(**arguments).fit(["none.png", "none.png"], [0, 1])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("photo.png", "give it in a list"),
        (np.zeros((8, 8, 3), np.uint8), "give it in a list"),
        (np.zeros((8, 8), np.uint8), "X has 2 axes"),
        (pd.DataFrame({"path": ["photo.png"]}), "X has 2 axes"),
    ],
)
def test_what_is_not_a_list_of_images_is_refused(fitted: FrozenClassifier, images: object, message: str):
    with pytest.raises(UsageError, match=message):
        fitted.predict(images)


def test_an_image_that_cannot_be_read_is_named(fitted: FrozenClassifier, paths: list[Path], tmp_path: Path):
    (tmp_path / "cut.png").write_bytes(paths[0].read_bytes()[:200])
    for image, message in (
        (tmp_path / "none.png", r"none\.png \(images\[1\]\) has no features: it cannot be read"),
        (tmp_path / "cut.png", r"cut\.png \(images\[1\]\) has no features"),
        (np.zeros((8, 8)), r"^images\[1\] has no features: an array of shape"),
        (None, r"^images\[1\] has no features: it is a NoneType"),
    ):
        with pytest.raises(DataError, match=message):
            fitted.predict([paths[0], image])
    with pytest.raises(DataError, match="no images"):
        fitted.predict([])


def test_images_that_look_alike_are_answered(fitted: FrozenClassifier):
    """A benchmark refuses a backbone that gives all images the same features; two black images are no such sign."""
    assert len(fitted.predict([np.zeros((8, 8, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)])) == 2


@pytest.mark.parametrize(
    ("y", "groups"), [([0, 1], None), ([0] * 24, None), (np.linspace(0, 1, 24), None), ([0, 1] * 12, [1])], ids=str
)
def test_labels_and_groups_are_checked_as_scikit_learn_does(paths: list[Path], y, groups):
    with pytest.raises(ValueError, match=r"inconsistent|one class|Unknown label type"):
        make().fit(paths, y, groups)


def test_one_group_alone_cannot_be_held_out(paths: list[Path], labels: NDArray[np.str_]):
    with pytest.raises(DataError, match="none can be held out"):
        make().fit(paths, labels, groups=["all"] * len(paths))


def test_a_cache_of_its_own_keeps_the_features(paths: list[Path], labels: NDArray[np.str_], tmp_path: Path):
    make(cache=str(tmp_path)).fit(paths, labels)
    assert any((tmp_path / "features").iterdir())
    assert not (cache_folder() / "features").exists()


def test_nothing_imports_torch_before_a_fit():
    code = (
        "import sys; from vitrail import FrozenClassifier; from sklearn.base import clone\n"
        "repr(clone(FrozenClassifier('vit_mini').set_params(strength=1.0)))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_progress_is_drawn_only_if_it_is_wanted(capsys: pytest.CaptureFixture[str], paths: list[Path], labels):
    make().fit(paths, labels).predict(paths)
    assert capsys.readouterr() == ("", "")
