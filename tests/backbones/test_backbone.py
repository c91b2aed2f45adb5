from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vitrail.backbones import BackboneSpec, find_card, open_backbone
from vitrail.core.errors import WeightsError
from vitrail.core.hashing import sha256_file
from vitrail.core.progress import Silent


def embedded() -> Path:
    return open_backbone(BackboneSpec(name="vit_mini"), progress=Silent()).file


def test_an_embedded_backbone_keeps_its_card():
    opened = open_backbone(BackboneSpec(name="vit_mini"), progress=Silent())
    assert opened.card == find_card("vit_mini")
    assert opened.digest == sha256_file(opened.file)


def test_of_a_local_file_only_net_and_preprocessing_are_known(tmp_path: Path):
    file = tmp_path / "mine.safetensors"
    state = load_file(embedded())
    state["norm.weight"][0] += 1  # else its tensors would give it away
    save_file(state, file)
    card = open_backbone(BackboneSpec(name="vit_mini", file=file), progress=Silent()).card
    known = find_card("vit_mini")
    assert (card.family, card.preprocessing) == (known.family, known.preprocessing)
    for fact in (card.licence, card.revision):
        assert fact.startswith("not stated (local file, sha256 ")
    assert (card.pretraining, card.labels, card.commercial) == ((), "", "unknown")
    assert set(card.seen_in) == {"preprocessing"}


def test_a_file_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path):
    state = load_file(embedded())
    state["blocks.0.attn.qkv.weight"] = state["blocks.0.attn.qkv.weight"][:3]
    state["surprise"] = torch.zeros(2)
    del state["norm.weight"]
    save_file(state, tmp_path / "odd.safetensors")
    opened = open_backbone(BackboneSpec(name="vit_mini", file=tmp_path / "odd.safetensors"), progress=Silent())
    with pytest.raises(WeightsError) as raised:
        opened.start(threads=1)
    for named in ("surprise", "norm.weight", "blocks.0.attn.qkv.weight (has 3 x 128"):
        assert named in str(raised.value)


@pytest.mark.shared
def test_float16_files_run_as_float32(shared: Path):
    file = shared / "weights" / "vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors"
    spec = BackboneSpec(name="vit_tiny_patch16_224.augreg_in21k_ft_in1k", file=file)
    opened = open_backbone(spec, engine="torch", progress=Silent())
    assert opened.start(threads=1)(torch.zeros(1, 224, 224, 3, dtype=torch.uint8).numpy()).dtype == "float32"
