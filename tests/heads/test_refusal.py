"""A refusal file that does not fit is one sentence, not an error of numpy and not a wrong distance."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from vitrail.core.errors import WeightsError
from vitrail.heads.bank import unit_rows
from vitrail.heads.refusal import Refusal, load_refusal, save_refusal


def example() -> Refusal:
    draws = np.random.default_rng(0)
    threshold_RC = draws.random((4, 3))
    threshold_RC[2, 1] = np.inf  # a class of too few images to promise anything
    bank_BD = unit_rows(draws.normal(size=(20, 8)).astype(np.float32)).astype(np.float16)
    bank_BD[7] = 0
    return Refusal(
        set_on="calibration",
        images=40,
        groups=40,
        alpha=0.1,
        threshold_RC=threshold_RC,
        precision=0.95,
        risk=0.1,
        confidence=None,
        neighbours=10,
        alarms=0.01,
        distance=0.4,
        bank_BD=bank_BD,
    )


@pytest.fixture
def refusal() -> Refusal:
    return example()


@pytest.fixture
def path(refusal: Refusal, tmp_path: Path) -> Path:
    save_refusal(refusal, tmp_path / "r.safetensors")
    return tmp_path / "r.safetensors"


def edit(path: Path, *, facts: dict[str, Any] | None = None, **tensors: np.ndarray) -> None:
    with safe_open(path, framework="numpy") as file:
        known = json.loads(file.metadata()["vitrail_refusal"]) | (facts or {})
    save_file(load_file(path) | tensors, path, metadata={"vitrail_refusal": json.dumps(known)})


def test_what_fits_comes_back_whole(path: Path, refusal: Refusal):
    assert load_refusal(path, features=8, classes=3).digest == refusal.digest
    assert load_refusal(path).digest == refusal.digest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("neighbours", 0),
        ("neighbours", 21),
        ("neighbours", 2.5),
        ("images", "40"),
        ("groups", -1),
        ("alpha", 1.5),
        ("precision", None),
        ("distance", float("nan")),
        ("confidence", "high"),
        ("set_on", "test"),
    ],
)
def test_an_invalid_promise_is_named(path: Path, name: str, value: object):
    edit(path, facts={name: value})
    with pytest.raises(WeightsError, match=rf"r\.safetensors is inconsistent.*{name} is .*Repeat the run\.$"):
        load_refusal(path)


@pytest.mark.parametrize(
    ("tensor", "change"),
    [
        ("threshold", lambda value: value[:3]),
        ("threshold", lambda value: value[0]),
        ("threshold", lambda value: value * np.nan),
        ("threshold", lambda value: np.array(0.5)),
        ("bank", lambda value: value[0]),
        ("bank", lambda value: value[:0]),
        ("bank", lambda value: value * np.float16(2)),
        ("bank", lambda value: value * np.float16(np.nan)),
    ],
)
def test_tensors_that_do_not_fit_are_named(path: Path, tensor: str, change: Any):
    edit(path, **{tensor: np.ascontiguousarray(change(load_file(path)[tensor]))})
    with pytest.raises(WeightsError, match="is inconsistent"):
        load_refusal(path)


@pytest.mark.parametrize("head", [{"features": 9}, {"classes": 4}])
def test_thresholds_of_another_head_are_refused(path: Path, head: dict[str, int]):
    with pytest.raises(WeightsError, match=r"r\.safetensors is inconsistent, or does not belong to its head"):
        load_refusal(path, **head)


@pytest.mark.parametrize("facts", ["3", "[]", "null", '"text"'])
def test_metadata_that_are_no_facts_are_one_sentence(path: Path, facts: str):
    save_file(load_file(path), path, metadata={"vitrail_refusal": facts})
    with pytest.raises(WeightsError, match="cannot be read as thresholds of a head"):
        load_refusal(path)


def test_thresholds_of_another_format_version_are_refused(path: Path):
    edit(path, facts={"format_version": 2})
    with pytest.raises(WeightsError, match=r"r\.safetensors was written by another version of Vitrail"):
        load_refusal(path)


def test_a_confidence_that_is_promised_comes_back(refusal: Refusal, tmp_path: Path):
    save_refusal(replace(refusal, confidence=0.8), tmp_path / "r.safetensors")
    assert load_refusal(tmp_path / "r.safetensors").confidence == 0.8
