"""Features are of the weights that their key names, whatever happens to the file meanwhile."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vitrail.backbones import Backbone, BackboneSpec, open_backbone, weights
from vitrail.backbones.same_bytes import verified
from vitrail.backbones.specs import digest_of
from vitrail.core.errors import WeightsError
from vitrail.core.progress import Silent

CHANGED = "changed while Vitrail was using them.*run the same command again"


def write_weights(path: Path, scale: float = 1.0) -> Path:
    state = load_file(open_backbone(BackboneSpec(name="vit_mini"), progress=Silent()).file)
    save_file({name: tensor * scale for name, tensor in state.items()}, path)
    return path


@pytest.fixture
def opened(tmp_path: Path) -> Backbone:
    file = write_weights(tmp_path / "w.safetensors", scale=0.5)
    os.utime(file, (0, 0))
    return open_backbone(BackboneSpec(name="vit_mini", file=file), engine="torch", progress=Silent())


def test_a_file_that_was_replaced_after_it_was_hashed_is_refused(opened: Backbone, tmp_path: Path):
    write_weights(tmp_path / "other", scale=2.0).replace(opened.file)
    with pytest.raises(WeightsError, match=CHANGED):
        opened.start(threads=1)
    with pytest.raises(WeightsError, match=CHANGED):
        opened.read_weights(["head.weight"])


def test_a_file_that_is_replaced_while_it_is_parsed_is_refused(
    opened: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other, read = write_weights(tmp_path / "other", scale=2.0), weights.read_weights

    def replace_and_read(path: Path) -> dict[str, torch.Tensor]:
        other.replace(path)
        return read(path)

    monkeypatch.setattr(weights, "read_weights", replace_and_read)
    with pytest.raises(WeightsError, match=CHANGED):
        opened.load_net()


def test_a_folder_is_checked_file_by_file(tmp_path: Path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    digest = digest_of(tmp_path)
    with verified(tmp_path, digest):
        pass
    with pytest.raises(WeightsError, match=CHANGED), verified(tmp_path, digest):
        (tmp_path / "config.json").write_text("[]")


def test_a_file_that_is_gone_is_refused(tmp_path: Path):
    with pytest.raises(WeightsError, match=f"w {CHANGED}"), verified(tmp_path / "w", "0" * 64):
        pass
