"""A local file that holds published weights is recognised, whatever its format."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.fetch.test_known_weights import Heard
from vitrail.backbones import Backbone, BackboneSpec, Card, find_card, open_backbone
from vitrail.backbones.cards import is_unknown_file
from vitrail.backbones.local_files import learn_tensors
from vitrail.backbones.weights import digest_tensors, read_weights
from vitrail.core.hashing import sha256_file
from vitrail.core.progress import Silent
from vitrail.fetch.known_weights import KnownTensors, read_known, remember_tensors


def state_of(name: str) -> dict[str, torch.Tensor]:
    return load_file(open_backbone(BackboneSpec(name=name), progress=Silent()).file)


def given(name: str, file: Path, heard: Heard | None = None) -> Card:
    return open_backbone(BackboneSpec(name=name, file=file), progress=heard or Silent()).card


@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
def test_the_digest_on_an_embedded_card_is_that_of_its_file(name: str):
    opened = open_backbone(BackboneSpec(name=name), progress=Silent())
    assert opened.card.tensors == digest_tensors(read_weights(opened.file))


def test_a_pth_file_with_the_tensors_of_published_weights_has_their_licence(tmp_path: Path):
    file = tmp_path / "converted.bin"
    torch.save(dict(reversed(state_of("resnet_mini").items())), file)
    card, published = given("resnet_mini", file), find_card("resnet_mini")
    assert (card.licence, card.pretraining, card.commercial) == ("Apache-2.0", published.pretraining, "yes")
    assert card.sha256 == sha256_file(file)
    assert "a local file with the same tensors" in card.revision
    assert set(card.seen_in) == {"preprocessing", "licence", "pretraining"}
    assert not is_unknown_file(card)


def test_other_metadata_changes_nothing(tmp_path: Path):
    save_file(state_of("vit_mini"), tmp_path / "w.safetensors", metadata={"made by": "me"})
    assert given("vit_mini", tmp_path / "w.safetensors").licence == "Apache-2.0"


def test_counters_that_nobody_reads_change_nothing():
    state = {"weight": torch.ones(2)}
    assert digest_tensors(state | {"bn.num_batches_tracked": torch.tensor(3)}) == digest_tensors(state)


@pytest.mark.parametrize("change", ["value", "name", "shape", "dtype"])
def test_any_other_difference_is_another_digest(change: str):
    state = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    other = {
        "value": {**state, "bias": torch.tensor([0.0, 1e-7])},
        "name": {"weight": state["weight"], "offset": state["bias"]},
        "shape": {**state, "weight": torch.ones(3, 2)},
        "dtype": {**state, "bias": torch.zeros(2, dtype=torch.int32)},
    }[change]
    assert digest_tensors(other) != digest_tensors(state)


def test_one_other_value_makes_a_file_unknown(tmp_path: Path):
    state = state_of("vit_mini")
    state["norm.bias"][0] += 1e-3
    save_file(state, tmp_path / "w.safetensors")
    card = given("vit_mini", tmp_path / "w.safetensors")
    assert is_unknown_file(card)
    assert card.tensors == ""


def test_published_weights_that_were_opened_once_are_recognised_under_another_name(tmp_path: Path):
    """As after a download: the digest of the tensors is learnt when the published file is opened."""
    card = find_card("vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    state = {"cls_token": torch.ones(1, 1, 192)}
    known = KnownTensors(name=card.name, sha256=card.sha256, tensors=digest_tensors(state))
    remember_tensors(known, Silent())
    torch.save(state, tmp_path / "copy.pth")
    heard = Heard()
    found = given("deit_tiny_patch16_224.fb_in1k", tmp_path / "copy.pth", heard)
    assert found.pretraining == ("imagenet-21k", "imagenet-1k")
    assert found.repository == card.repository
    assert "were given for deit_tiny_patch16_224.fb_in1k, but they are those of vit_tiny_patch16_224" in heard.notes[0]
    assert found.preprocessing == find_card("deit_tiny_patch16_224.fb_in1k").preprocessing


def test_tensors_learnt_from_a_file_that_is_not_the_cards_prove_nothing(tmp_path: Path):
    card = find_card("vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    save_file({"cls_token": torch.ones(1, 1, 192)}, tmp_path / "other.safetensors")
    learn_tensors(card, tmp_path / "other.safetensors", sha256_file(tmp_path / "other.safetensors"), Silent())
    torch.save(read_weights(tmp_path / "other.safetensors"), tmp_path / "copy.pth")
    assert is_unknown_file(given(card.name, tmp_path / "copy.pth"))


def test_a_downloaded_file_is_read_once_to_learn_its_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    card = find_card("vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    save_file({"cls_token": torch.ones(1, 1, 192)}, tmp_path / "w.safetensors")
    digest = sha256_file(tmp_path / "w.safetensors")
    learn_tensors(card, tmp_path / "w.safetensors", digest, Silent())
    (learnt,) = read_known(Silent()).published
    assert (learnt.name, learnt.sha256) == (card.name, digest)
    assert isinstance(learnt, KnownTensors)
    monkeypatch.setattr("vitrail.backbones.weights.read_weights", lambda _: pytest.fail("it was read again"))
    learn_tensors(card, tmp_path / "w.safetensors", digest, Silent())


def test_tensors_of_a_file_that_was_replaced_are_not_learnt(tmp_path: Path):
    card = find_card("vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    save_file({"cls_token": torch.ones(1, 1, 192)}, tmp_path / "w.safetensors")
    learn_tensors(card, tmp_path / "w.safetensors", card.sha256, Silent())
    assert read_known(Silent()).published == ()


def test_a_file_that_is_not_weights_is_no_error_before_it_is_loaded(tmp_path: Path):
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    opened: Backbone = open_backbone(BackboneSpec(name="vit_mini", file=tmp_path / "w.safetensors"), progress=Silent())
    assert is_unknown_file(opened.card)
