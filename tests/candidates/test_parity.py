import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import draw_folder
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.backbones.engines import choose_engine
from vitrail.candidates.parity import compare, measure_parity, parity_in_words
from vitrail.core.errors import UsageError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import load, open_source
from vitrail.features import extract
from vitrail.heads import Head, Linear, Scaling


def can_bf16() -> bool:
    try:
        return choose_engine("openvino", "bf16").precision == "bf16"
    except UsageError:
        return False


def how(folder: Path, **more) -> dict:
    return {"max_pixels": 10**8, "resources": Resources(cache=folder / "cache", cores=1, **more)}


def head(width: int) -> Head:
    weight_CD = np.random.default_rng(0).normal(size=(3, width)).astype(np.float32)
    return Head(
        kind="softmax",
        classes=("a", "b", "c"),
        scaling=Scaling(mean_D=np.zeros(width, np.float32), scale_D=np.ones(width, np.float32)),
        scores=Linear(weight_CD=weight_CD, bias_C=np.zeros(3, np.float32)),
        temperature=1.0,
        setting={},
    )


def test_figures_are_those_of_the_definition():
    exact_ND = np.eye(4, dtype=np.float32)
    turned_ND = exact_ND.copy()
    turned_ND[0] = (0.6, 0.8, 0, 0)
    assert compare(exact_ND, exact_ND, head(4)).cosine_least == 1
    figures = compare(turned_ND, exact_ND, head(4))
    assert figures.cosine_least == pytest.approx(0.6)
    assert figures.cosine_median == 1
    opposite = compare(-exact_ND, exact_ND, head(4))
    assert opposite.cosine_least == -1
    assert opposite.top1_agreement < 1


@pytest.mark.skipif(not can_bf16(), reason="needs OpenVINO on a processor with bf16")
def test_a_reduced_precision_is_compared_with_float32_on_the_users_images(tmp_path: Path):
    dataset = load(open_source(draw_folder(tmp_path / "data", per_class=4)))
    backbone = open_backbone(BackboneSpec(name="vit_mini"), engine="openvino", precision="bf16", progress=Silent())
    features = extract(dataset, [backbone], **how(tmp_path)).features[0]
    asked = (dataset, backbone, features, head(features.width), dataset.table["id"].to_pylist()[:5])
    parity = measure_parity(*asked, **how(tmp_path))
    assert parity.images == 5
    assert 0.99 < parity.cosine_least < 1
    assert "bf16 compared with fp32 on 5 test images" in parity_in_words(parity, "bf16")
    exact = dataclasses.replace(backbone, engine=dataclasses.replace(backbone.engine, precision="fp32"))
    assert measure_parity(dataset, exact, *asked[2:], **how(tmp_path)) is None


@pytest.mark.skipif(not can_bf16(), reason="needs OpenVINO on a processor with bf16")
def test_the_comparison_takes_no_more_images_at_once_than_the_run(tmp_path: Path, monkeypatch):
    dataset = load(open_source(draw_folder(tmp_path / "data", per_class=4)))
    backbone = open_backbone(BackboneSpec(name="vit_mini"), engine="openvino", precision="bf16", progress=Silent())
    features = extract(dataset, [backbone], **how(tmp_path)).features[0]
    start, batches = type(backbone).start, []

    def recorded(self, **options):
        batches.append(options["batch"])
        return start(self, **options)

    monkeypatch.setattr(type(backbone), "start", recorded)
    ids = dataset.table["id"].to_pylist()
    measure_parity(dataset, backbone, features, head(features.width), ids, **how(tmp_path, batch=3))
    assert batches == [3]
