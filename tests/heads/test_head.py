import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.heads.test_logistic import problem
from vitrail.core.errors import DataError, WeightsError
from vitrail.heads import SCALINGS, Fit, Head, ScalingKind, load_head, logits, probabilities, save_head
from vitrail.heads.refusal import load_refusal
from vitrail.heads.scores import FORM_OF


def fitted(kind: str, scaling: ScalingKind = "standardise") -> tuple[Head, np.ndarray]:
    """A head of each kind, really fitted, and rows it was not fitted on."""
    from vitrail.heads.batched import Setting, TrainOptions
    from vitrail.heads.logistic import fit_path
    from vitrail.heads.neighbours import NeighbourSetting, fit_centroid, fit_neighbours
    from vitrail.heads.ridge import fit_ridge
    from vitrail.heads.trained import fit_heads

    feature_ND, label_N = problem(120)
    train, options = (feature_ND[:100], label_N[:100]), TrainOptions(epochs=2, scaling=scaling)
    slow = {"learning_rate": 1e-4, "dropout": 0.0}
    ways = {
        "softmax": lambda: fit_heads(train, None, classes=4, settings=[Setting(**slow)], options=options)[0],
        "mlp": lambda: fit_heads(train, None, classes=4, settings=[Setting(hidden=8, **slow)], options=options)[0],
        "logistic": lambda: fit_path(feature_ND[:100], label_N[:100], classes=4, strengths=[0.1])[0],
        "ridge": lambda: fit_ridge(feature_ND[:100], label_N[:100], classes=4, alphas=[1.0], scaling=scaling)[0],
        "centroid": lambda: fit_centroid(feature_ND[:100], label_N[:100], classes=4, scaling=scaling),
        "knn": lambda: fit_neighbours(
            feature_ND[:100], label_N[:100], classes=4, settings=[NeighbourSetting(k=7)], scaling=scaling
        )[0],
    }
    fit: Fit = ways[kind]()
    head = Head(
        kind=kind,
        classes=("a", "é <b>", "c", "d"),
        scaling=fit.scaling,
        scores=fit.scores,
        temperature=1.7,
        setting={"C": 0.1},
    )
    np.testing.assert_allclose(logits(head, feature_ND[100:]), fit.logits(feature_ND[100:]), atol=1e-4)
    return head, feature_ND[100:]


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("kind", FORM_OF)
def test_a_head_of_every_kind_comes_back_with_its_origin(tmp_path: Path, kind: str, scaling: ScalingKind):
    head, feature_ND = fitted(kind, scaling)
    save_head(head, tmp_path / "head.safetensors", {"engine": "torch"})
    loaded, origin = load_head(tmp_path / "head.safetensors")
    np.testing.assert_allclose(probabilities(loaded, feature_ND), probabilities(head, feature_ND), atol=1e-5)
    np.testing.assert_allclose(probabilities(loaded, feature_ND).sum(axis=1), 1)
    assert (loaded.kind, loaded.classes, loaded.setting, loaded.temperature) == (kind, head.classes, {"C": 0.1}, 1.7)
    assert origin == {"engine": "torch"}
    save_head(loaded, tmp_path / "again.safetensors", origin)
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "head.safetensors").read_bytes()


def test_probabilities_are_those_of_the_formula():
    head, feature_ND = fitted("logistic")
    tensors = head.tensors()
    scaled_ND = (feature_ND[:1] - tensors["mean"]) / tensors["scale"]
    logit_C = ((scaled_ND @ tensors["weight"].T + tensors["bias"]) / head.temperature)[0]
    np.testing.assert_allclose(probabilities(head, feature_ND)[0], np.exp(logit_C) / np.exp(logit_C).sum(), rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, "version 3"),
        ({"format_version": 0}, "version 0"),
        ({"kind": "forest"}, "incomplete"),
        ({"kind": "mlp"}, "incomplete"),
        ({"scaling": "log"}, "scaling"),
        ({"temperature": 0.0}, "temperature"),
        ({"classes": ["a", "b"]}, "weight is"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, change: dict, message: str):
    head, _ = fitted("logistic")
    save_head(head, tmp_path / "head.safetensors", {})
    with safe_open(tmp_path / "head.safetensors", framework="numpy") as file:
        facts = json.loads(file.metadata()["vitrail_head"]) | change
    save_file(head.tensors(), tmp_path / "head.safetensors", metadata={"vitrail_head": json.dumps(facts)})
    with pytest.raises(WeightsError, match=message):
        load_head(tmp_path / "head.safetensors")


@pytest.mark.parametrize(
    ("tensor", "value"),
    [("k", 101), ("k", 0), ("label", 4), ("width", 0.0), ("row", np.nan), ("row", 1.0), ("class_weight", 0.0)],
)
def test_neighbours_that_do_not_fit_together_are_refused(tmp_path: Path, tensor: str, value: float):
    head, _ = fitted("knn")
    save_head(head, tmp_path / "head.safetensors", {})
    with safe_open(tmp_path / "head.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    tensors = head.tensors()
    tensors[tensor] = np.full_like(tensors[tensor], value)
    save_file(tensors, tmp_path / "head.safetensors", metadata=metadata)
    with pytest.raises(WeightsError, match="is inconsistent"):
        load_head(tmp_path / "head.safetensors")


def test_neighbours_of_version_1_have_votes_without_weights(tmp_path: Path):
    head, feature_ND = fitted("knn")
    save_head(head, tmp_path / "head.safetensors", {})
    with safe_open(tmp_path / "head.safetensors", framework="numpy") as file:
        facts = json.loads(file.metadata()["vitrail_head"])
    tensors = head.tensors()
    del tensors["class_weight"]
    metadata = {"vitrail_head": json.dumps(facts | {"format_version": 1})}
    save_file(tensors, tmp_path / "old.safetensors", metadata=metadata)
    old, _ = load_head(tmp_path / "old.safetensors")
    np.testing.assert_array_equal(probabilities(old, feature_ND), probabilities(head, feature_ND))
    save_file(tensors, tmp_path / "cut.safetensors", metadata={"vitrail_head": json.dumps(facts)})
    with pytest.raises(WeightsError, match="incomplete"):
        load_head(tmp_path / "cut.safetensors")


def test_neighbours_whose_rows_are_not_a_table_are_refused(tmp_path: Path):
    head, _ = fitted("knn")
    save_head(head, tmp_path / "head.safetensors", {})
    with safe_open(tmp_path / "head.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    save_file(head.tensors() | {"row": np.array(1, np.float32)}, tmp_path / "head.safetensors", metadata=metadata)
    with pytest.raises(WeightsError, match=r"row is float32 of shape \(\)"):
        load_head(tmp_path / "head.safetensors")


def test_rows_of_another_width_are_refused():
    head, feature_ND = fitted("logistic")
    with pytest.raises(DataError, match="rows of 12 features"):
        probabilities(head, feature_ND[:, :5])


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_file_that_is_no_head_is_one_sentence(tmp_path: Path, content: bytes):
    (tmp_path / "head.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"head\.safetensors"):
        load_head(tmp_path / "head.safetensors")


def test_rows_that_are_not_finite_are_refused():
    head, feature_ND = fitted("logistic")
    feature_ND[3, 1] = np.inf
    with pytest.raises(DataError, match=rf"scores of 1 of {len(feature_ND)} rows are not finite"):
        probabilities(head, feature_ND)


def test_a_pipe_in_the_place_of_a_head_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match="not a regular file"):
        load_head(tmp_path / "pipe")
    with pytest.raises(WeightsError, match="not a regular file"):
        load_refusal(tmp_path / "pipe")
