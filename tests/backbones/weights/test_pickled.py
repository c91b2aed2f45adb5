"""A .pth gives its tensors; whatever else is in it is never run."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from tests.backbones.weights.test_npz import Hostile
from vitrail.backbones.weights.pickled import read_pth
from vitrail.core.errors import WeightsError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "w.pth"


@pytest.mark.parametrize("today", [True, False], ids=["archive", "before torch 1.6"])
@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_are_read_as_float32(today, stored, file):
    state = OrderedDict(a=torch.tensor([0.5, -2.0], dtype=stored), n=torch.tensor(3))
    torch.save(state, file, _use_new_zipfile_serialization=today)
    read = read_pth(file)
    assert (read["a"].dtype, read["a"].tolist()) == (torch.float32, [0.5, -2.0])
    assert read["n"].dtype == torch.int64


def test_a_dictionary_under_one_key_is_opened(file):
    """As DeiT and DINO publish theirs."""
    torch.save({"model": {"a": torch.ones(2)}}, file)
    assert list(read_pth(file)) == ["a"]


def test_torch_says_nothing_about_pickle_protocols(file, recwarn):
    torch.save({"a": torch.ones(2)}, file, pickle_protocol=3)
    assert list(read_pth(file)) == ["a"]
    assert not recwarn.list


def test_parameters_are_tensors_too(file):
    torch.save(torch.nn.Linear(2, 2).state_dict(keep_vars=True), file)
    assert set(read_pth(file)) == {"weight", "bias"}


@pytest.mark.parametrize("today", [True, False])
@pytest.mark.parametrize(
    "content", [{"a": Hostile()}, Hostile(), torch.nn.Linear(2, 2), {"a": torch.ones(2), "f": print}]
)
def test_a_program_in_it_never_runs(today, content, file):
    torch.save(content, file, _use_new_zipfile_serialization=today)
    with pytest.raises(WeightsError, match=r"w\.pth.*ran nothing from it"):
        read_pth(file)


def test_a_bare_pickle_never_runs(file):
    file.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(WeightsError, match=r"w\.pth"):
        read_pth(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.ones(3), "hold a Tensor"),
        ({}, "hold a dict"),
        ({"a": torch.ones(2), "epoch": 3}, "epoch"),
        ({"model": {"a": torch.ones(1)}, "optimizer": {"b": torch.ones(1)}}, "model, optimizer"),
        ({1: torch.ones(2), 2: torch.ones(2)}, r"\(1, 2\)"),
        ({"a": torch.ones(2).to_sparse(), "b": torch.ones(1)}, r"\(a\)"),
        ({"a": torch.ones(2, dtype=torch.complex64), "b": torch.ones(1)}, r"\(a\)"),
        ({"a": torch.ones(2, device="meta"), "b": torch.ones(1)}, r"\(a\)"),
        ({"a": torch.ones(1).expand(10**12), "b": torch.ones(1)}, r"\(a\)"),
    ],
    ids=range(9),
)
def test_anything_but_plain_tensors_by_name_is_an_error(content, said, file):
    torch.save(content, file)
    with pytest.raises(WeightsError, match=rf"w\.pth.*{said}"):
        read_pth(file)


@pytest.mark.parametrize("today", [True, False])
def test_a_file_cut_off_is_an_error(today, file):
    torch.save({"a": torch.arange(1000.0)}, file, _use_new_zipfile_serialization=today)
    whole = file.read_bytes()
    for length in (len(whole) - 100, len(whole) // 2, 100, 10, 0):
        file.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"w\.pth.*fetch the file again"):
            read_pth(file)


def repacked(file: Path, change: "dict[str, bytes]", *, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | change
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_tensor_larger_than_its_bytes_is_an_error(file):
    torch.save({"a": torch.arange(1000.0)}, file)
    repacked(file, {"w/data/0": b"\x00" * 16})
    with pytest.raises(WeightsError, match=r"w\.pth"):
        read_pth(file)


def test_a_bomb_is_refused_before_it_is_unpacked(file):
    torch.save({"a": torch.arange(4.0)}, file)
    repacked(file, {"w/data/0": bytes(100_000_000)}, method=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match=r"w\.pth.*would unpack to 100,000,.*does not unpack"):
        read_pth(file)
