import errno
import json
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from vitrail.backbones.build import build_net
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.weights import load_into
from vitrail.backbones.weights.safetensors import read_safetensors
from vitrail.core.errors import RunError, UsageError, WeightsError
from vitrail.core.progress import Silent
from vitrail.training.pretrain import (
    DEFAULT_OPTIONS,
    MAX_BYTES,
    PretrainOptions,
    command,
    default_options,
    new_net,
    pretrain,
    write_weights,
)

TINY = PretrainOptions(classes=4, images_per_class=8, epochs=1, batch=8, learning_rate=1e-3, bf16=False)


class Interrupting(Silent):
    """Presses Ctrl-C during the third batch."""

    def __init__(self) -> None:
        self.task, self.batches = "", 0

    def advance(self, task: str, amount: int = 1) -> None:
        self.batches += task == "training" and amount > 0
        if self.batches == 3:
            raise KeyboardInterrupt


def facts_of(path) -> dict:
    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["vitrail"])


@pytest.mark.parametrize("name", DEFAULT_OPTIONS)
def test_the_written_file_loads_strictly_and_says_how_it_was_made(name, tmp_path):
    report = pretrain(name, TINY, out=tmp_path, threads=1, progress=Silent())
    card = find_card(name)
    net = build_net(card, classes=0)
    load_into(net, read_safetensors(report.path), file=report.path)
    feature = net.eval().forward_features(torch.zeros(1, 3, 32, 32))
    assert feature.shape == (1, card.feature_width)
    assert torch.isfinite(feature).all()
    facts = facts_of(report.path)
    assert facts["command"] == f"vitrail pretrain {name} --classes 4 --images-per-class 8 --epochs 1 --seed 0"
    assert PretrainOptions(**facts["options"]) == TINY
    assert facts["held_out_accuracy"] == pytest.approx(report.held_out_accuracy, abs=1e-4)
    assert report.bytes == report.path.stat().st_size <= MAX_BYTES
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.safetensors"]


def test_the_same_options_give_the_same_bytes_interrupted_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr("vitrail.training.loop.SAVE_EVERY_S", 0.0)
    name = "resnet_mini"
    undisturbed = pretrain(name, TINY, out=tmp_path / "a", threads=1, progress=Silent())
    with pytest.raises(KeyboardInterrupt):
        pretrain(name, TINY, out=tmp_path / "b", threads=1, progress=Interrupting())
    assert (tmp_path / "b" / f"{name}.checkpoint.safetensors").exists()
    assert not (tmp_path / "b" / f"{name}.safetensors").exists()
    resumed = pretrain(name, TINY, out=tmp_path / "b", threads=1, progress=Silent())
    assert resumed.sha256 == undisturbed.sha256


def test_a_checkpoint_that_cannot_be_deleted_is_named(tmp_path, monkeypatch):
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(RunError, match=r"is written, but .* could not be deleted \(Input/output error\)"):
            pretrain("resnet_mini", TINY, out=tmp_path, threads=1, progress=Silent())
    pretrain("resnet_mini", TINY, out=tmp_path, threads=1, progress=Silent())
    assert [path.name for path in tmp_path.iterdir()] == ["resnet_mini.safetensors"]


def test_the_number_of_threads_is_put_back(tmp_path):
    before = torch.get_num_threads()
    pretrain("resnet_mini", TINY, out=tmp_path, threads=before + 1, progress=Silent())
    assert torch.get_num_threads() == before


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    card = find_card("resnet_mini")
    net = new_net(card, TINY)
    with torch.no_grad():
        net.conv1.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(WeightsError, match=r"conv1\.weight.*smaller learning rate"):
        write_weights(tmp_path / "bad.safetensors", net, card, {})
    assert list(tmp_path.iterdir()) == []


def test_a_transformer_starts_by_looking_at_places_not_at_the_mean_of_all():
    """Twin: with the usual start its attention is even, and a short training gets nowhere."""
    card = find_card("vit_mini")
    ours, usual = new_net(card, TINY), build_net(card, classes=4)
    image = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(0)) * 2 - 1

    def unevenness(net) -> float:
        with torch.no_grad():
            token_BLD = torch.cat((net.cls_token, net.patch_embed(image)), dim=1) + net.pos_embed
            qkv = net.blocks[0].attn.qkv(net.blocks[0].norm1(token_BLD)).unflatten(-1, (3, 4, -1))
            query, key = (qkv[:, :, part].transpose(1, 2) for part in (0, 1))
            weight = (query @ key.mT / query.shape[-1] ** 0.5).softmax(dim=-1)
        return float(weight.std() * weight.shape[-1])

    assert unevenness(ours) > 0.3
    assert unevenness(usual) < 0.1


def test_an_unknown_backbone_names_those_that_can_be_pretrained():
    with pytest.raises(UsageError, match=r"vit_tiny.*vit_mini, resnet_mini"):
        default_options("vit_tiny")


def test_too_few_classes_are_refused():
    with pytest.raises(UsageError, match=r"classes of at least 2, got 1"):
        replace(TINY, classes=1)


@pytest.mark.parametrize("name", DEFAULT_OPTIONS)
def test_the_package_holds_what_the_default_options_make(name):
    with as_file(files("vitrail.backbones.weights") / "embedded" / f"{name}.safetensors") as path:
        assert path.stat().st_size <= MAX_BYTES
        facts = facts_of(path)
        load_into(build_net(find_card(name), classes=0), read_safetensors(path), file=path)
    assert facts["command"] == command(name, DEFAULT_OPTIONS[name])
    assert PretrainOptions(**facts["options"]) == DEFAULT_OPTIONS[name]
