"""An .npz is read as plain numbers, or not at all."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from vitrail.backbones.weights.npz import read_npz
from vitrail.core.errors import WeightsError


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('it ran')",))


def npy(shape: str, content: bytes, *, dtype: str = "<f4") -> bytes:
    """An array whose header says what it is told to."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def archive(path: Path, members: dict[str, bytes], *, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_numbers_are_read_as_float32(stored, save, tmp_path):
    value = np.asfortranarray(np.arange(6, dtype=stored).reshape(2, 3))
    save(tmp_path / "w.npz", **{"a/b": value, "c": np.array(7), "empty": np.zeros((0, 3), stored)})
    state = read_npz(tmp_path / "w.npz")
    assert state["a/b"].tolist() == value.tolist()
    assert (state["a/b"].dtype, state["c"].item(), state["empty"].shape) == (torch.float32, 7, (0, 3))


def test_a_pickled_object_is_refused_and_never_runs(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.array([Hostile()], dtype=object))
    with pytest.raises(WeightsError, match=r"w\.npz.*never opens pickled objects"):
        read_npz(tmp_path / "w.npz")


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (npy("(1000000, 1000000, 1000)", b"\x00" * 16), "declares the shape"),
        (npy("(4, 4)", b"\x00" * 16), "declares the shape"),
        (npy("(2,)", b"\x00" * 16), "declares the shape"),
        (npy("(-2, -2)", b"\x00" * 16), "declares the shape"),
        (npy("(4,)", b"\x00" * 16, dtype="<U1"), "not numbers"),
        (npy("(2,)", b"\x00" * 16, dtype="<c8"), "not numbers"),
        (npy("__import__('os').abort()", b""), "plain arrays"),
        (npy("(" * 5000 + ")" * 5000, b""), "plain arrays"),
        (b"\x93NUMPY\x09\x00", "version"),
        (b"not an array", "magic"),
        (b"", "plain arrays"),
    ],
    ids=range(11),
)
def test_an_array_with_a_false_header_is_an_error(member, said, tmp_path):
    file = archive(tmp_path / "w.npz", {"a.npy": member})
    with pytest.raises(WeightsError, match=rf"w\.npz.*{said}"):
        read_npz(file)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """60 kilobytes that would be 60 megabytes."""
    file = archive(tmp_path / "w.npz", {"a.npy": npy("(15000000,)", bytes(60_000_000))}, method=zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 80_000
    with pytest.raises(WeightsError, match=r"w\.npz.*would unpack to 60,000,.*does not unpack"):
        read_npz(file)


def test_a_directory_that_declares_less_than_there_is_does_not_help_a_bomb(tmp_path):
    """No member gives more bytes than the directory of the archive says."""
    file = archive(tmp_path / "w.npz", {"a.npy": npy("(250000,)", bytes(1_000_000))}, method=zipfile.ZIP_DEFLATED)
    content, declared = file.read_bytes(), (1_000_128).to_bytes(4, "little")
    assert declared in content
    file.write_bytes(content.replace(declared, (40_000).to_bytes(4, "little")))
    with pytest.raises(WeightsError, match=r"w\.npz"):
        read_npz(file)


def test_a_file_cut_off_or_changed_is_an_error(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.arange(1000.0))
    whole = (tmp_path / "w.npz").read_bytes()
    for damaged in (whole[:-200], whole[:3000], whole[:2000] + b"\x01" + whole[2001:], b"", b"PK\x03\x04"):
        (tmp_path / "w.npz").write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"w\.npz.*fetch the file again"):
            read_npz(tmp_path / "w.npz")


def test_an_archive_in_an_archive_is_no_array(tmp_path):
    inner = io.BytesIO()
    np.savez(inner, a=np.zeros(3))
    with pytest.raises(WeightsError, match=r"w\.npz"):
        read_npz(archive(tmp_path / "w.npz", {"a.npy": inner.getvalue()}))
