"""transformers' files, by the names they are saved under and by those its networks have now, compute the same in ours.

timm's networks stand for ours, whose names they share: they have every kind of token these files bring.
"""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.references import randomise, relative_gap, timm_net, torchvision
from vitrail.backbones.weights import load_into, read_weights, transformers
from vitrail.backbones.weights.renaming import to_ours
from vitrail.core.errors import WeightsError

PARITY = 5e-6
SIZES = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32, "patch_size": 8}
EPS = {"layer_norm_eps": 1e-6}  # transformers' default for ViT and DeiT is 1e-12
TIMM = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
REGISTERS = {"init_values": 1.0, "reg_tokens": 4, "no_embed_class": True}

# Family, class, configuration; timm's options; whether the classifier can be compared.
CASES = {
    "vit": ("ViT", "ViTForImageClassification", {"intermediate_size": 192, **EPS}, {}, True),
    "vit alone": ("ViT", "ViTModel", {"intermediate_size": 192, **EPS}, {}, False),
    "deit": (
        "DeiT",
        "DeiTForImageClassification",
        {"intermediate_size": 192, **EPS},
        {"reg_tokens": 1, "no_embed_class": True},
        True,
    ),
    "deit with teacher": (
        "DeiT",
        "DeiTForImageClassificationWithTeacher",
        {"intermediate_size": 192, **EPS},
        {"reg_tokens": 1, "no_embed_class": True},
        False,
    ),
    "dinov2": ("Dinov2", "Dinov2Model", {}, {"init_values": 1.0}, False),
    "dinov2 with a classifier": ("Dinov2", "Dinov2ForImageClassification", {}, {"init_values": 1.0}, False),
    "dinov2 with registers": ("Dinov2WithRegisters", "Dinov2WithRegistersModel", {}, REGISTERS, False),
    "dinov2 with gates": (
        "Dinov2",
        "Dinov2Model",
        {"use_swiglu_ffn": True},
        {"init_values": 1.0, "gated": True},
        False,
    ),
}


def library() -> Any:
    torchvision()  # makes it importable here
    return importlib.import_module("transformers")


def theirs(case: str) -> nn.Module:
    family, name, options, _, _ = CASES[case]
    hf = library()
    net: nn.Module = getattr(hf, name)(getattr(hf, f"{family}Config")(**SIZES, **options, num_labels=5))
    randomise(net)
    return net.eval()


def timms(case: str, state: dict[str, Tensor]) -> nn.Module:
    options = dict(CASES[case][3])
    if options.pop("gated", False):
        gated = importlib.import_module("timm.layers").SwiGLUPacked
        ratio = len(state["blocks.0.mlp.fc1.weight"]) / SIZES["hidden_size"]
        options |= {"mlp_layer": gated, "act_layer": nn.SiLU, "mlp_ratio": ratio}
    classes = len(state.get("head.weight", ()))
    return timm_net("vit_tiny_patch16_224", **TIMM, **options, num_classes=classes)


def image() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def their_feature(net: nn.Module) -> Tensor:
    with torch.inference_mode():
        return net.base_model(image()).last_hidden_state[:, 0]


def saved(net: nn.Module, folder: Path, *, current: bool) -> Path:
    if current:
        save_file(
            {name: tensor.contiguous() for name, tensor in net.state_dict().items()}, folder / "model.safetensors"
        )
    else:
        net.save_pretrained(folder)
    return folder / "model.safetensors"


@pytest.mark.parametrize("current", [False, True], ids=["as saved", "current names"])
@pytest.mark.parametrize("case", CASES)
def test_features_are_transformers_own(case, current, tmp_path):
    net = theirs(case)
    state = read_weights(saved(net, tmp_path, current=current))
    ours = timms(case, state)
    load_into(ours, state, file=tmp_path)
    with torch.inference_mode():
        feature_BD = ours.forward_features(image())[:, 0]
        assert relative_gap(feature_BD, their_feature(net)) <= PARITY
        if CASES[case][4]:
            assert relative_gap(ours(image()), net(image()).logits) <= PARITY


def test_both_namings_are_in_use(tmp_path):
    """Should transformers write its current names one day, the test above says less than it did."""
    names = set(load_file(saved(theirs("vit"), tmp_path, current=False)))
    assert "vit.encoder.layer.0.attention.attention.query.weight" in names
    assert "vit.layers.0.attention.q_proj.weight" in set(theirs("vit").state_dict())


def test_a_position_given_to_the_wrong_token_would_be_seen(tmp_path):
    net = theirs("deit")
    stored = load_file(saved(net, tmp_path, current=False))
    rows = tuple(
        replace(row, change=transformers.class_with_position) if row.ours == "reg_token" else row
        for row in transformers.DEIT.table
    )
    state = to_ours(stored, replace(transformers.DEIT, table=rows), file=tmp_path)
    wrong = timms("deit", state)
    load_into(wrong, state, file=tmp_path)
    with torch.inference_mode():
        assert relative_gap(wrong.forward_features(image())[:, 0], their_feature(net)) > 1e-3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: state | {"vit.layers.0.attention.rotary": torch.ones(1)},
            "1 unexpected: layers.0.attention.rotary",
        ),
        (lambda state: state | {"layernorm.weight": torch.ones(48)}, "have the prefix 'vit.' and some do not"),
        (lambda state: state | {"vit.layers.0.layernorm_before.bias": torch.ones(48)}, "1 duplicate"),
    ],
)
def test_names_that_do_not_belong_together_are_an_error(change, said, tmp_path):
    file = saved(theirs("vit"), tmp_path, current=False)
    save_file(change(load_file(file)), file)
    with pytest.raises(WeightsError, match=rf"model\.safetensors.*transformers' ViT.*{said}"):
        read_weights(file)
