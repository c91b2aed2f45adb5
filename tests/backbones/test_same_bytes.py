"""Features are of the weights that their key names, whatever happens to the file meanwhile."""

import os
import time
from collections.abc import Callable
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


def swap_and_swap_back(path: Path, other: Path) -> None:
    path.rename(path.with_name("aside"))
    other.rename(path)
    path.rename(other)
    path.with_name("aside").rename(path)


def overwrite(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def link_elsewhere(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize("change", [swap_and_swap_back, overwrite, link_elsewhere])
def test_no_way_to_change_a_file_goes_unnoticed(tmp_path: Path, change: Callable[[Path, Path], None]):
    path, other = tmp_path / "w", tmp_path / "other"
    path.write_bytes(b"right"), other.write_bytes(b"wrong")
    with pytest.raises(WeightsError, match=CHANGED), verified(path, digest_of(path)):
        change(path, other)


def test_a_change_within_one_tick_of_the_clock_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "w"
    path.write_bytes(b"right")
    stamp = [(1, 1, 5, time.time_ns(), time.time_ns())]
    monkeypatch.setattr("vitrail.backbones.same_bytes._stamp", lambda _: stamp)  # a clock that stands still
    with pytest.raises(WeightsError, match=CHANGED), verified(path, digest_of(path)):
        path.write_bytes(b"wrong")


def test_a_folder_is_checked_file_by_file(tmp_path: Path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    digest = digest_of(tmp_path)
    with verified(tmp_path, digest):
        pass
    with pytest.raises(WeightsError, match=CHANGED), verified(tmp_path, digest):
        (tmp_path / "config.json").write_text("[]")


def test_a_file_that_is_gone_is_named(tmp_path: Path):
    with (
        pytest.raises(WeightsError, match=r"w cannot be read \(No such file.*check the path"),
        verified(tmp_path / "w", ""),
    ):
        pass
