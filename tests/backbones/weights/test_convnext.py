"""Files of ConvNeXt by the names of their authors, of transformers and of timm compute the same in our network."""

import importlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.references import randomise, relative_gap, timm, timm_net, torchvision
from vitrail.backbones.weights import load_into, read_weights
from vitrail.core.errors import WeightsError
from vitrail.nets.convnext import ConvNeXt, ConvNeXtSize

PARITY = 5e-6
SMALL = ConvNeXtSize((1, 2, 1, 1), (16, 24, 32, 40))
TIMM = {"depths": SMALL.blocks, "dims": SMALL.widths, "num_classes": 5}
IMAGE_BCHW = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def saved(state: dict[str, Tensor], folder: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    return folder / "model.safetensors"


def loaded(file: Path, *, version: int, classes: int) -> nn.Module:
    net = ConvNeXt(SMALL, version=version, classes=classes).eval()
    load_into(net, read_weights(file), file=file)
    return net


def in_metas_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    parts = {
        "stem.": "downsample_layers.0.",
        ".blocks.": ".",
        "conv_dw": "dwconv",
        "mlp.fc": "pwconv",
        "mlp.grn.weight": "grn.gamma",
        "mlp.grn.bias": "grn.beta",
        "head.norm.": "norm.",
        "head.fc.": "head.",
    }
    renamed = {}
    for name, tensor in state.items():
        for ours, theirs in parts.items():
            name = name.replace(ours, theirs)
        for stage in "123":
            name = name.replace(f"stages.{stage}.downsample.", f"downsample_layers.{stage}.")
        renamed[name] = tensor[None, None, None] if ".grn." in name else tensor
    return renamed


@pytest.mark.parametrize("version", [1, 2])
def test_metas_names_are_read_as_timm_reads_them(version, tmp_path):
    theirs = timm_net(f"convnext{'v2' if version == 2 else ''}_tiny", **TIMM)
    state = randomise(theirs)
    metas = in_metas_names(state)
    by_timm = timm().models.convnext.checkpoint_filter_fn(metas, theirs)
    ours = read_weights(saved(metas, tmp_path))
    assert ours.keys() == by_timm.keys() == state.keys()
    assert all(torch.equal(ours[name], by_timm[name]) for name in ours)
    with torch.inference_mode():
        net = loaded(tmp_path / "model.safetensors", version=version, classes=5)
        assert relative_gap(net(IMAGE_BCHW), theirs(IMAGE_BCHW)) <= PARITY


def test_the_last_norm_that_dinov3_saves_twice_is_read_once(tmp_path):
    state = in_metas_names(randomise(ConvNeXt(SMALL, classes=0)))
    twice = {f"norms.3.{part}": state[f"norm.{part}"].clone() for part in ("weight", "bias")}
    assert read_weights(saved(state | twice, tmp_path)).keys() == ConvNeXt(SMALL, classes=0).state_dict().keys()


@pytest.mark.parametrize("version", [1, 2])
def test_timms_small_networks_with_convolutions_are_read(version, tmp_path):
    theirs = timm_net(f"convnext{'v2' if version == 2 else ''}_atto", **TIMM)
    assert theirs.stages[0].blocks[0].mlp.fc1.weight.ndim == 4
    file = saved(randomise(theirs), tmp_path)
    with torch.inference_mode():
        net = loaded(file, version=version, classes=5)
        assert relative_gap(net(IMAGE_BCHW), theirs(IMAGE_BCHW)) <= PARITY


@pytest.mark.parametrize(
    ("name", "version", "classes"),
    [
        ("ConvNextForImageClassification", 1, 5),
        ("ConvNextModel", 1, 0),
        ("ConvNextV2ForImageClassification", 2, 5),
        ("ConvNextV2Model", 2, 0),
        ("DINOv3ConvNextModel", 1, 0),
    ],
)
@pytest.mark.parametrize("current", [False, True], ids=["as saved", "current names"])
def test_transformers_files_are_read(name, version, classes, current, tmp_path):
    torchvision()  # makes it importable here
    library = importlib.import_module("transformers")
    family = name.removesuffix("Model").removesuffix("ForImageClassification")
    config = getattr(library, f"{family}Config")(
        depths=list(SMALL.blocks), hidden_sizes=list(SMALL.widths), layer_norm_eps=1e-6, num_labels=5
    )
    theirs = getattr(library, name)(config).eval()
    randomise(theirs)
    if current:
        saved(theirs.state_dict(), tmp_path)
    else:
        theirs.save_pretrained(tmp_path)
    with torch.inference_mode():
        outputs = theirs(IMAGE_BCHW)
        net = loaded(tmp_path / "model.safetensors", version=version, classes=classes)
        wanted = outputs.logits if classes else outputs.pooler_output
        assert relative_gap(net(IMAGE_BCHW), wanted) <= PARITY


def test_a_name_that_nobody_knows_is_an_error(tmp_path):
    state = in_metas_names(randomise(ConvNeXt(SMALL, classes=0)))
    file = saved(state | {"mask_token": torch.zeros(1, 1)}, tmp_path)
    with pytest.raises(WeightsError, match=r"Meta's ConvNeXt.*1 unexpected: mask_token"):
        read_weights(file)
