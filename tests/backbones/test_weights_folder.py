"""Proof first: a digest says what a file is, names and shapes only what it fits."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.references import timm_net
from vitrail.backbones.build import build_net
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.weights.dinov3 import META
from vitrail.backbones.weights_folder import recognise_weights
from vitrail.core.errors import UsageError
from vitrail.core.hashing import sha256_file

CATALOGUE = load_catalogue()
CARDS = [CATALOGUE[name] for name in ("vit_mini", "resnet_mini", "resnet18.tv_in1k", "resnet18.a1_in1k")]


def save(path: Path, name: str, *, classes: int = 3, prefix: str = "", stored: int | None = None) -> Path:
    card = CATALOGUE[name]
    if stored:
        card = replace(card, preprocessing=replace(card.preprocessing, crop=stored))
    state = build_net(card, classes=classes).state_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({prefix + key: tensor.contiguous() for key, tensor in state.items()}, path)
    return path


def test_a_file_with_the_digest_of_a_card_is_that_card_whatever_its_name(tmp_path):
    file = save(tmp_path / "resnet18.a1_in1k.safetensors", "resnet18.tv_in1k")
    cards = [replace(card, sha256=sha256_file(file)) if card.name == "vit_mini" else card for card in CARDS]
    (found,), none = recognise_weights(tmp_path, cards)
    assert (found.card.name, found.by, found.others, none) == ("vit_mini", "digest", (), ())


@pytest.mark.parametrize(("classes", "prefix"), [(3, ""), (0, ""), (1000, "model.")])
def test_names_and_shapes_say_which_networks_a_file_fits_and_its_name_which_comes_first(tmp_path, classes, prefix):
    save(tmp_path / "mine" / "resnet18.a1_weights.safetensors", "resnet18.tv_in1k", classes=classes, prefix=prefix)
    (found,), none = recognise_weights(tmp_path, CARDS)
    assert (found.card.name, found.by, found.others) == ("resnet18.a1_in1k", "names and shapes", ("resnet18.tv_in1k",))
    assert none == ()
    assert "is taken for resnet18.a1_in1k because its tensors have these names and shapes" in found.explain()
    assert "It fits resnet18.tv_in1k as well" in found.explain()


def test_position_embeddings_may_be_stored_for_a_larger_input(tmp_path):
    names = ["vit_small_patch14_dinov2.lvd142m", "vit_small_patch14_dinov2.lvd142m@224"]
    save(tmp_path / "dinov2.safetensors", names[0], classes=0)
    (found,), _ = recognise_weights(tmp_path, [CATALOGUE[name] for name in names])
    assert (found.card.name, found.others) == (names[1], ())  # the same weights: the cheaper input


@pytest.mark.parametrize("name", ["eva02_tiny_patch14_224.mim_in22k", "convnextv2_atto.fcmae"])
def test_files_of_timm_are_recognised_where_our_network_has_other_tensors(tmp_path, name):
    """EVA-02 packs queries, keys and values; ConvNeXt V2 has convolutions for linear layers, and no last norm."""
    stored = timm_net(name).state_dict()
    state = {key: tensor for key, tensor in stored.items() if "head.norm" not in key}
    save_file(state, tmp_path / "w.safetensors")
    (found,), none = recognise_weights(tmp_path, [*CARDS, CATALOGUE[name]])
    assert (found.card.name, found.by, none) == (name, "names and shapes", ())


def test_files_of_meta_are_recognised_though_their_zeros_are_not_read(tmp_path):
    name = "vit_small_patch16_dinov3.lvd1689m"
    renames = {row.ours: row.theirs for row in META.table}
    state = {}
    for key, tensor in build_net(CATALOGUE[name]).state_dict().items():
        number = next(iter(re.findall(r"\.(\d+)\.", key)), "0")
        state[renames[key.replace(f".{number}.", ".#.")].replace("#", number)] = tensor
        if key.endswith("qkv.weight"):
            state[f"blocks.{number}.attn.qkv.bias"] = torch.zeros(len(tensor))
    save_file(state, tmp_path / "w.safetensors")
    (found,), none = recognise_weights(tmp_path, [*CARDS, CATALOGUE[name]])
    assert (found.card.name, found.by, none) == (name, "names and shapes", ())


def test_another_network_of_a_known_library_fits_none(tmp_path):
    save_file({META.mark: torch.zeros(1, 4, 8), "stranger": torch.zeros(3)}, tmp_path / "w.safetensors")
    found, (none,) = recognise_weights(tmp_path, CARDS)
    assert found == ()
    assert "its tensors fit no network" in none.reason


def test_equal_files_count_once_and_other_files_are_named_with_the_reason(tmp_path):
    file = save(tmp_path / "a.safetensors", "resnet_mini")
    (tmp_path / "b.safetensors").write_bytes(file.read_bytes())
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:-100])
    (tmp_path / "notes.txt").write_text("no weights")
    (tmp_path / "old.pth").write_bytes(b"\x80 whatever")
    save_file({"head.weight": torch.zeros(3, 5)}, tmp_path / "other.safetensors")
    found, others = recognise_weights(tmp_path, CARDS)
    assert [each.file.name for each in found] == ["a.safetensors"]
    assert {each.file.name: each.reason.split(",")[0].split(" (")[0] for each in others} == {
        "cut.safetensors": "it is not a complete safetensors file",
        "old.pth": "no card has its digest",
        "other.safetensors": "its digest is on no card",
    }


def test_a_header_with_one_shape_changed_fits_no_network(tmp_path):
    state = build_net(CATALOGUE["resnet_mini"], classes=3).state_dict()
    name = next(key for key, tensor in state.items() if tensor.dim() == 4)
    state[name] = torch.zeros(*state[name].shape[:-1], state[name].shape[-1] + 1)
    save_file(state, tmp_path / "a.safetensors")
    assert recognise_weights(tmp_path, CARDS)[0] == ()


def test_no_folder_and_no_weights_are_errors(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        recognise_weights(tmp_path / "nothing", CARDS)
    (tmp_path / "cards.json").write_text(json.dumps({}))
    with pytest.raises(UsageError, match="has no weights file"):
        recognise_weights(tmp_path, CARDS)


@pytest.mark.shared
def test_the_shared_weights_are_recognised_by_their_tensors(shared: Path):
    found, others = recognise_weights(shared / "weights", CATALOGUE.values())
    names = {each.file.stem: each.card.name for each in found}
    assert names["vit_tiny_patch16_224.augreg_in21k_ft_in1k"] == "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    assert names["deit_tiny_patch16_224.fb_in1k"] == "deit_tiny_patch16_224.fb_in1k"
    assert names["resnet18.pqf_in1k"].startswith("resnet18.")
    assert names["resnet50.pqf_in1k"].startswith("resnet50.")
    assert {each.by for each in found} == {"names and shapes"}
    assert others == ()
