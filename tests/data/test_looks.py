import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import MemorySource, encoded, photograph
from vitrail.core.errors import DataError
from vitrail.core.resources import Resources
from vitrail.data import ImageRejected, load, looks
from vitrail.data.dataset import ListedFile
from vitrail.data.images import decode, decode_grey
from vitrail.data.looks import look_at, take_look

LIMIT = 10**6


class Counted(MemorySource):
    """Counts what is read, and may be interrupted."""

    reads = 0
    interrupted_at = ""

    def read(self, path: str) -> bytes:
        self.reads += 1
        if path == self.interrupted_at:
            raise KeyboardInterrupt
        return super().read(path)


@pytest.fixture
def source() -> Counted:
    files = {f"{seed}.jpg": encoded(photograph(seed), "JPEG") for seed in range(3)}
    files["broken.jpg"] = files["0.jpg"][:2000]
    files["tiny.png"] = encoded(photograph(9, (31, 40)))
    return Counted([ListedFile(path=name, label="a") for name in files], files)


def test_a_look_is_taken_once_and_kept_by_id(source: Counted, tmp_path):
    dataset = load(source)
    first = look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    source.reads = 0
    second = look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    assert source.reads == 1, "only what is broken is tried again"
    assert first.ids == second.ids
    assert len(first.ids) == 4
    assert np.array_equal(first.look_NSS, second.look_NSS)


def test_a_flipped_byte_in_the_cache_is_noticed_and_the_looks_are_taken_again(source: Counted, tmp_path):
    dataset = load(source)
    first = look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    (shard,) = (tmp_path / "looks" / "v1").iterdir()
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    again = look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    assert np.array_equal(first.look_NSS, again.look_NSS)


@pytest.fixture
def nine() -> Counted:
    files = {f"{seed}.jpg": encoded(photograph(seed), "JPEG") for seed in range(9)}
    return Counted([ListedFile(path=name, label="a") for name in files], files)


def test_an_interruption_loses_no_look_that_was_taken(nine: Counted, tmp_path: Path):
    dataset = load(nine)
    nine.interrupted_at = "6.jpg"
    with pytest.raises(KeyboardInterrupt):
        look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    nine.reads, nine.interrupted_at = 0, ""
    assert len(look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2)).ids) == 9
    assert nine.reads == 3


def test_looks_are_written_while_others_are_taken(nine: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looks, "SHARD_LOOKS", 2)
    monkeypatch.setattr(looks, "AHEAD", 1)
    dataset = load(nine)
    written = []
    really = nine.read
    monkeypatch.setattr(nine, "read", lambda path: written.append(len(list(tmp_path.rglob("*.arrow")))) or really(path))
    look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    assert max(written) >= 3


def test_looks_of_other_data_sets_take_no_memory(nine: Counted, tmp_path: Path):
    dataset = load(nine)
    first = look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    others = np.random.default_rng(0).integers(0, 256, (4000, 32, 32), dtype=np.uint8)
    looks._write(tmp_path / "looks" / "v1", {f"{row:064d}": look for row, look in enumerate(others)})
    tracemalloc.start()
    again = look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(again.look_NSS, first.look_NSS)
    assert peak < 1_000_000


def test_no_look_is_kept_under_the_id_of_other_bytes(source: Counted, tmp_path):
    dataset = load(source)
    before, source.files = source.files, source.files | {"1.jpg": encoded(photograph(5), "JPEG")}
    with pytest.raises(DataError, match=r"1\.jpg changed .* run the same command again"):
        look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    source.files = before
    taken = look_at(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    changed = dataset.table["paths"].to_pylist().index(["1.jpg"])
    row = taken.ids.index(dataset.table["id"][changed].as_py())
    assert np.array_equal(taken.look_NSS[row], take_look(before["1.jpg"], max_pixels=LIMIT))


def test_a_jpeg_and_a_png_of_one_picture_have_nearly_the_same_look():
    image = photograph(size=(640, 480))
    looks = [
        take_look(encoded(image, kind, **how), max_pixels=LIMIT).astype(int)
        for kind, how in (("JPEG", {"quality": 90}), ("PNG", {}))
    ]
    assert np.abs(looks[0] - looks[1]).max() <= 4


def test_a_picture_of_fewer_than_32_pixels_has_a_black_look():
    assert not take_look(encoded(photograph(size=(31, 400))), max_pixels=LIMIT).any()
    assert take_look(encoded(photograph(size=(32, 400))), max_pixels=LIMIT).any()


def test_the_reduced_decode_keeps_the_sides_asked_for_and_the_orientation():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees
    data = encoded(photograph(size=(640, 320)), "JPEG", exif=exif.tobytes())
    small, whole = decode_grey(data, at_least=64, max_pixels=LIMIT), decode(data, max_pixels=LIMIT).convert("L")
    assert small.mode == "L"
    assert small.size == (80, 160)
    difference_HW = np.asarray(small, dtype=float) - np.asarray(whole.reduce(4), dtype=float)
    assert np.abs(difference_HW).mean() < 2


def test_the_reduced_decode_rejects_what_the_whole_one_rejects():
    data = encoded(photograph(), "JPEG")
    for bad, reason in ((data[: len(data) // 2], "truncated"), (b"", "empty"), (b"hello", "not an image")):
        with pytest.raises(ImageRejected, match=reason):
            decode_grey(bad, at_least=16, max_pixels=LIMIT)
    with pytest.raises(ImageRejected, match="too large"):
        decode_grey(data, at_least=16, max_pixels=100)
