from pathlib import Path

import numpy as np
import pytest

from vitrail.core.errors import WeightsError
from vitrail.heads import Head, load_head, probabilities, save_head


def head() -> Head:
    draws = np.random.default_rng(0)
    return Head(
        kind="logistic",
        classes=("a", "é <b>", "c"),
        mean_D=draws.normal(size=4).astype(np.float32),
        scale_D=draws.uniform(1, 2, 4).astype(np.float32),
        weight_CD=draws.normal(size=(3, 4)).astype(np.float32),
        bias_C=draws.normal(size=3).astype(np.float32),
        temperature=1.7,
        setting={"C": 0.1},
    )


def test_a_head_comes_back_with_its_recipe(tmp_path: Path):
    save_head(head(), tmp_path / "head.safetensors", {"engine": "torch"})
    loaded, recipe = load_head(tmp_path / "head.safetensors")
    feature_ND = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(probabilities(loaded, feature_ND), probabilities(head(), feature_ND))
    assert (loaded.classes, loaded.setting, loaded.temperature) == (head().classes, {"C": 0.1}, 1.7)
    assert recipe == {"engine": "torch"}


def test_probabilities_are_those_of_the_formula():
    one, feature_ND = head(), np.ones((1, 4), np.float32)
    scaled_ND = (feature_ND - one.mean_D) / one.scale_D
    logit_C = ((scaled_ND @ one.weight_CD.T + one.bias_C) / one.temperature)[0]
    np.testing.assert_allclose(probabilities(one, feature_ND)[0], np.exp(logit_C) / np.exp(logit_C).sum(), rtol=1e-5)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_file_that_is_no_head_is_one_sentence(tmp_path: Path, content: bytes):
    (tmp_path / "head.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"head\.safetensors"):
        load_head(tmp_path / "head.safetensors")
