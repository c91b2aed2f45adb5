"""OpenVINO computes what torch computes, whatever the family."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.references import randomise, relative_gap
from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.converted import convert, normalising
from vitrail.backbones.openvino_package import import_openvino
from vitrail.nets.bit import BiT
from vitrail.nets.clip import ClipConfig, ClipImageTower
from vitrail.nets.convnext import ConvNeXt, ConvNeXtSize
from vitrail.nets.dinov3 import DinoV3
from vitrail.nets.eva02 import Eva02, EvaConfig, EvaSize
from vitrail.nets.mobilenetv4 import MOBILENETV4_SIZES, MobileNetV4
from vitrail.nets.siglip import SiglipConfig, SiglipImageTower
from vitrail.nets.vit import VisionTransformer, VitConfig, VitForm, VitSize

pytest.importorskip("openvino")

PLAIN = Preprocessing(resize=32, crop=32, interpolation="bicubic", mean=(0.5, 0.4, 0.6), std=(0.5, 0.6, 0.4))
CAFFE = replace(PLAIN, channels="BGR", divide_by=1.0, mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0))
SIDES = {"image_size": 32, "patch": 8}
SIZE = VitSize(48, 2, 3)
GATED = VitSize(48, 2, 3, gated_mlp=True)
REGISTERS = VitForm(layer_scale=True, registers=4, class_has_position=False)
STAGES = ConvNeXtSize((1, 1, 1, 1), (16, 24, 32, 40))
NETS = {
    "registers": lambda: VisionTransformer(VitConfig(size=SIZE, form=REGISTERS, **SIDES, classes=0)),
    "gated": lambda: VisionTransformer(VitConfig(size=GATED, form=VitForm(layer_scale=True), **SIDES, classes=0)),
    "clip": lambda: ClipImageTower(ClipConfig(size=SIZE, **SIDES, projection=0)),
    "siglip": lambda: SiglipImageTower(SiglipConfig(size=VitSize(48, 2, 3, mlp_width=96), **SIDES)),
    "dinov3": lambda: DinoV3(SIZE, patch=8),
    "eva02": lambda: Eva02(EvaConfig(size=EvaSize(48, 2, 3, 96, sub_norm=True), **SIDES)),
    "convnext": lambda: ConvNeXt(STAGES, version=1, classes=0),
    "convnext v2": lambda: ConvNeXt(STAGES, version=2, classes=0),
    "mobilenetv4": lambda: MobileNetV4(MOBILENETV4_SIZES["S"], classes=0),
    "bit": lambda: BiT((1, 1, 1, 1), widening=1, classes=0),
}


POOLINGS = {
    "registers": "cls+mean",
    "gated": "mean+cls",
    "clip": "cls+mean",
    "siglip": "map+mean",
    "dinov3": "cls+mean",
    "eva02": "mean+cls",
}


@pytest.mark.parametrize(("name", "preprocessing"), [*((name, PLAIN) for name in NETS), ("clip", CAFFE)])
def test_a_converted_network_gives_the_same_features(name, preprocessing, tmp_path):
    """Channels are turned and pixels divided inside the model, too."""
    net, pooling = NETS[name]().eval(), POOLINGS.get(name)
    randomise(net)
    model = convert(lambda: net, preprocessing, pooling=pooling, facts={"name": name}, cache=tmp_path)
    model.reshape([3, 32, 32, 3])  # another batch than the one it was traced with
    compiled = import_openvino().Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pixel_BHWC = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    with torch.inference_mode():
        wanted_BD = normalising(net, preprocessing, pooling)(torch.from_numpy(pixel_BHWC))
    assert relative_gap(torch.from_numpy(compiled([pixel_BHWC])[0]), wanted_BD) <= 1e-5


@pytest.mark.parametrize("name", NETS)
def test_bf16_keeps_the_direction_of_a_feature(name, tmp_path):
    """On every machine: OpenVINO computes in bfloat16 where the processor has no units for it, only slower."""
    net, pooling = NETS[name]().eval(), POOLINGS.get(name)
    randomise(net)
    model = convert(lambda: net, PLAIN, pooling=pooling, facts={"name": name}, cache=tmp_path)
    core = import_openvino().Core()
    pixel_BHWC = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    exact_BD, half_BD = (
        torch.from_numpy(core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})([pixel_BHWC])[0])
        for hint in ("f32", "bf16")
    )
    assert torch.cosine_similarity(exact_BD, half_BD).min() > 0.999
