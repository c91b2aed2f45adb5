"""What a backbone's own classifier says of stored features, against the network's own logits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from vitrail.backbones import BackboneSpec, find_card, open_backbone
from vitrail.backbones.build import build_net
from vitrail.backbones.classifier import Classifier, read_classifier
from vitrail.core.label_sets import imagenet_1k
from vitrail.core.progress import Silent

NAMES = {
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "deit_tiny_patch16_224.fb_in1k": "deit_tiny_patch16_224.fb_in1k",
    "resnet18.tv_in1k": "resnet18.pqf_in1k",
    "resnet50.tv_in1k": "resnet50.pqf_in1k",
}


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
def test_the_classifier_on_golden_features_gives_the_golden_logits(shared: Path, name: str):
    spec = BackboneSpec(name=name, file=shared / "weights" / f"{NAMES[name]}.safetensors")
    classifier = read_classifier(open_backbone(spec, progress=Silent()))
    golden = load_file(shared / "golden" / f"{NAMES[name]}.safetensors")
    logit_NK = golden["logits"].astype(np.float64)
    wanted_NK = logit_NK - np.log(np.exp(logit_NK).sum(axis=1, keepdims=True))
    assert np.abs(classifier.log_probabilities(golden["features"]) - wanted_NK).max() < 1e-3


def test_a_classifier_that_no_table_explains_is_none(tmp_path: Path):
    card = replace(find_card("resnet18.tv_in1k"), classifier_classes=7)
    file = tmp_path / "seven.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in build_net(card).state_dict().items()}, file)
    spec = BackboneSpec(name="resnet18.tv_in1k", file=file)
    assert read_classifier(open_backbone(spec, progress=Silent())) is None
    assert read_classifier(open_backbone(BackboneSpec(name="vit_mini"), progress=Silent())) is None


def test_the_classifier_of_bit_is_a_convolution_and_clips_projection_is_none(tmp_path: Path):
    spec, weight = (
        BackboneSpec(name="resnetv2_50x1_bit.goog_in21k_ft_in1k", file=tmp_path / "bit"),
        torch.ones(1000, 2048),
    )
    save_file({"head.fc.weight": weight[:, :, None, None].contiguous(), "head.fc.bias": torch.zeros(1000)}, spec.file)
    assert read_classifier(open_backbone(spec, progress=Silent())).weight_KD.shape == (1000, 2048)
    spec = BackboneSpec(name="vit_base_patch32_clip_224.laion2b", file=tmp_path / "clip")
    save_file({"head.weight": torch.ones(512, 768), "head.bias": torch.zeros(512)}, spec.file)
    assert read_classifier(open_backbone(spec, progress=Silent())) is None


def test_the_label_set_is_that_of_ilsvrc_2012():
    labels = imagenet_1k()
    assert len(labels.ids) == len(labels.names) == len(set(labels.ids)) == 1000
    assert list(labels.ids) == sorted(labels.ids)  # torch and timm number the classes so
    places = {0: "tench", 151: "Chihuahua", 207: "golden retriever", 281: "tabby", 985: "daisy", 999: "toilet tissue"}
    assert all(labels.names[place][0] == name for place, name in places.items())
    assert "toilet paper" in labels.names[999]


def test_probabilities_add_up_however_large_the_scores():
    labels = imagenet_1k()
    weight_KD = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0)).numpy() * 1e4
    classifier = Classifier(labels=labels, weight_KD=weight_KD, bias_K=np.zeros(1000, np.float32))
    sums_N = np.exp(classifier.log_probabilities(np.ones((3, 4), np.float32))).sum(axis=1)
    assert sums_N == pytest.approx(1.0)
