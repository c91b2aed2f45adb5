"""A fitted estimator on three colours, for the tests of it and of its folder."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.pictures import draw_folder
from vitrail import FrozenClassifier

PER_CLASS = 8


def make(**arguments: object) -> FrozenClassifier:
    return FrozenClassifier("vit_mini", **{"strength": 0.1, "scaling": "standardise", "engine": "torch"} | arguments)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(draw_folder(tmp_path_factory.mktemp("pictures"), per_class=PER_CLASS).rglob("*.png"))


@pytest.fixture(scope="module")
def labels(paths: list[Path]) -> NDArray[np.str_]:
    return np.array([path.parent.name for path in paths])


@pytest.fixture(scope="module")
def fitted(paths: list[Path], labels: NDArray[np.str_], tmp_path_factory: pytest.TempPathFactory) -> FrozenClassifier:
    return make(cache=tmp_path_factory.mktemp("features")).fit(paths, labels)
