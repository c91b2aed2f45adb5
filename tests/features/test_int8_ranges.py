from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import draw_folder
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.core.errors import DataError, UsageError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import load, open_source
from vitrail.features import attach_range_images, extract

pytestmark = pytest.mark.skipif(find_spec("nncf") is None, reason="needs the extra int8")


def test_other_precisions_need_no_images(tmp_path: Path):
    dataset = load(open_source(draw_folder(tmp_path)))
    backbone = open_backbone(BackboneSpec(name="vit_mini"), engine="torch", progress=Silent())
    assert attach_range_images(backbone, dataset, [], max_pixels=10**8) is backbone


def test_int8_without_images_says_what_to_do():
    backbone = open_backbone(BackboneSpec(name="vit_mini"), precision="int8", progress=Silent())
    with pytest.raises(UsageError, match="vitrail bench --precision int8"):
        backbone.start(threads=1)


def test_an_image_that_has_changed_gives_no_ranges(tmp_path: Path):
    dataset = load(open_source(draw_folder(tmp_path)))
    (one,), (other,) = dataset.table["paths"][:2].to_pylist()
    plain = open_backbone(BackboneSpec(name="vit_mini"), precision="int8", progress=Silent())
    int8 = attach_range_images(plain, dataset, dataset.table["id"].to_pylist(), max_pixels=10**8)
    (tmp_path / one).write_bytes((tmp_path / other).read_bytes())
    with pytest.raises(DataError, match=f"{one} changed"):
        int8.read_range_images()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
def test_int8_takes_its_ranges_from_train_images_and_its_model_is_kept(tmp_path: Path, name: str):
    dataset = load(open_source(draw_folder(tmp_path / "data", per_class=8)))
    ids = dataset.table["id"].to_pylist()
    how = {"max_pixels": 10**8, "resources": Resources(cache=tmp_path / "cache", cores=1)}
    plain = open_backbone(BackboneSpec(name=name), precision="int8", progress=Silent())
    int8 = attach_range_images(plain, dataset, ids[:12], max_pixels=10**8)
    assert int8.engine.ranges
    assert attach_range_images(plain, dataset, ids[:11], max_pixels=10**8).engine.ranges != int8.engine.ranges
    exact = open_backbone(BackboneSpec(name=name), engine="openvino", precision="fp32", progress=Silent())
    quantised, reference = (extract(dataset, [one], **how).features[0].rows(ids) for one in (int8, exact))
    cosine_N = (quantised * reference).sum(1) / np.linalg.norm(quantised, axis=1) / np.linalg.norm(reference, axis=1)
    assert 0.95 < cosine_N.min() < 0.999999
    again = open_backbone(BackboneSpec(name=name), precision="int8", ranges=int8.engine.ranges, progress=Silent())
    assert again.start(threads=1)(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, reference.shape[1])
