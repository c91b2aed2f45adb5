"""OpenVINO computes what torch computes, whatever the family."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.references import randomise, relative_gap
from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.converted import convert, normalising
from vitrail.backbones.kept_models import import_openvino
from vitrail.nets.bit import BiT
from vitrail.nets.clip import ClipImageTower
from vitrail.nets.siglip import SiglipImageTower
from vitrail.nets.vit import VisionTransformer

pytest.importorskip("openvino")

PLAIN = Preprocessing(resize=32, crop=32, interpolation="bicubic", mean=(0.5, 0.4, 0.6), std=(0.5, 0.6, 0.4))
CAFFE = replace(PLAIN, channels="BGR", divide_by=1.0, mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0))
SIZES = {"image_size": 32, "patch": 8, "width": 48, "depth": 2, "heads": 3}
NETS = {
    "registers": lambda: VisionTransformer(**SIZES, classes=0, layer_scale=True, registers=4, class_has_position=False),
    "gated": lambda: VisionTransformer(**SIZES, classes=0, layer_scale=True, gated_mlp=True),
    "clip": lambda: ClipImageTower(**SIZES, projection=0),
    "siglip": lambda: SiglipImageTower(**SIZES, mlp_width=96),
    "bit": lambda: BiT((1, 1, 1, 1), widening=1, classes=0),
}


POOLINGS = {"registers": "cls+mean", "gated": "mean+cls", "clip": "cls+mean", "siglip": "map+mean", "bit": None}


@pytest.mark.parametrize(("name", "preprocessing"), [*((name, PLAIN) for name in NETS), ("clip", CAFFE)])
def test_a_converted_network_gives_the_same_features(name, preprocessing, tmp_path):
    """Channels are turned and pixels divided inside the model, too."""
    net, pooling = NETS[name]().eval(), POOLINGS[name]
    randomise(net)
    model = convert(lambda: net, preprocessing, pooling=pooling, facts={"name": name}, cache=tmp_path)
    model.reshape([3, 32, 32, 3])  # another batch than the one it was traced with
    compiled = import_openvino().Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pixel_BHWC = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    with torch.inference_mode():
        wanted_BD = normalising(net, preprocessing, pooling)(torch.from_numpy(pixel_BHWC))
    assert relative_gap(torch.from_numpy(compiled([pixel_BHWC])[0]), wanted_BD) <= 1e-5
