import threading
import tracemalloc
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.data.pictures import MemorySource, encoded, photograph
from vitrail.core.errors import DataError, StoreError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import ImageRejected, grey_copies, load
from vitrail.data.dataset import Dataset, ListedFile
from vitrail.data.grey_copies import CopyCollector, make_grey_copies, make_grey_copy
from vitrail.data.images import decode, decode_grey

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


def test_a_grey_copy_is_made_once_and_stored_by_id(source: Counted, tmp_path):
    dataset = load(source)
    first = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    source.reads = 0
    second = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    assert source.reads == 1, "only what is broken is tried again"
    assert first.ids == second.ids
    assert len(first.ids) == 4
    assert np.array_equal(first.copy_NSS, second.copy_NSS)


def collect(dataset: Dataset, cache: Path, rows: Iterable[int], *, threads: int = 4) -> None:
    """Give the collector the bytes of these examples, from several threads."""
    paths = dataset.table["paths"].to_pylist()
    with (
        closing(CopyCollector(dataset, max_pixels=LIMIT, cache=cache)) as copies,
        ThreadPoolExecutor(threads) as pool,
    ):
        list(pool.map(lambda row: copies.take(row, dataset.source.read(paths[row][0])), rows))


def test_copies_made_beside_the_features_are_those_made_alone_to_the_last_bit(nine: Counted, tmp_path: Path):
    dataset = load(nine)
    alone = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path / "alone", cores=2))
    collect(dataset, tmp_path / "beside", range(9))
    nine.reads = 0
    beside = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path / "beside", cores=2))
    assert nine.reads == 0
    assert beside.ids == alone.ids
    assert np.array_equal(beside.copy_NSS, alone.copy_NSS)


def test_copies_that_the_pass_did_not_make_are_made_afterwards(source: Counted, tmp_path: Path):
    dataset = load(source)
    alone = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path / "alone", cores=2))
    collect(dataset, tmp_path / "some", [0, 3])
    some = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path / "some", cores=2))
    assert some.ids == alone.ids
    assert np.array_equal(some.copy_NSS, alone.copy_NSS)


def test_a_copy_that_is_stored_is_not_made_again(nine: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dataset, made = load(nine), []
    collect(dataset, tmp_path, range(5))
    really = grey_copies.make_grey_copy
    monkeypatch.setattr(grey_copies, "make_grey_copy", lambda *data, **how: made.append(1) or really(*data, **how))
    collect(dataset, tmp_path, range(9))
    assert len(made) == 4


def test_a_flipped_byte_in_the_cache_is_noticed_and_the_grey_copies_are_made_again(source: Counted, tmp_path):
    dataset = load(source)
    first = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    (shard,) = (tmp_path / "grey-copies" / "v2").iterdir()
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    again = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    assert np.array_equal(first.copy_NSS, again.copy_NSS)


@pytest.fixture
def nine() -> Counted:
    files = {f"{seed}.jpg": encoded(photograph(seed), "JPEG") for seed in range(9)}
    return Counted([ListedFile(path=name, label="a") for name in files], files)


def test_an_interruption_loses_no_grey_copy_that_was_made(nine: Counted, tmp_path: Path):
    dataset = load(nine)
    nine.interrupted_at = "6.jpg"
    with pytest.raises(KeyboardInterrupt):
        make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    nine.reads, nine.interrupted_at = 0, ""
    assert len(make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2)).ids) == 9
    assert nine.reads == 3


def test_grey_copies_are_written_while_others_are_made(nine: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grey_copies, "SHARD_COPIES", 2)
    monkeypatch.setattr(grey_copies, "AHEAD", 1)
    dataset = load(nine)
    written = []
    really = nine.read
    monkeypatch.setattr(nine, "read", lambda path: written.append(len(list(tmp_path.rglob("*.arrow")))) or really(path))
    make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    assert max(written) >= 3


def test_grey_copies_of_other_data_sets_take_no_memory(nine: Counted, tmp_path: Path):
    dataset = load(nine)
    first = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    others = np.random.default_rng(0).integers(0, 256, (4000, 32, 32), dtype=np.uint8)
    ids, small_N = [f"{row:064d}" for row in range(len(others))], np.zeros(len(others), np.bool_)
    grey_copies._write(tmp_path / "grey-copies" / "v2", ids, others, small_N)
    tracemalloc.start()
    again = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(again.copy_NSS, first.copy_NSS)
    assert peak < 1_000_000


def test_no_grey_copy_is_stored_under_the_id_of_other_bytes(source: Counted, tmp_path):
    dataset = load(source)
    before, source.files = source.files, source.files | {"1.jpg": encoded(photograph(5), "JPEG")}
    with pytest.raises(DataError, match=r"1\.jpg changed .* run the same command again"):
        make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    source.files = before
    taken = make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2))
    changed = dataset.table["paths"].to_pylist().index(["1.jpg"])
    row = taken.ids.index(dataset.table["id"][changed].as_py())
    assert np.array_equal(taken.copy_NSS[row], make_grey_copy(before["1.jpg"], max_pixels=LIMIT))


def test_a_copy_that_is_taken_twice_is_written_once(nine: Counted, tmp_path: Path):
    collect(load(nine), tmp_path, [0, 1, 0, 2, 1], threads=1)
    (shard,) = tmp_path.rglob("*.arrow")
    assert pa.ipc.open_file(shard.read_bytes()).read_all().num_rows == 3


def test_a_jpeg_and_a_png_of_one_picture_have_nearly_the_same_grey_copy():
    image = photograph(size=(640, 480))
    copies = [
        make_grey_copy(encoded(image, kind, **how), max_pixels=LIMIT).astype(int)
        for kind, how in (("JPEG", {"quality": 90}), ("PNG", {}))
    ]
    assert np.abs(copies[0] - copies[1]).max() <= 4


def test_a_picture_of_fewer_than_32_pixels_has_no_grey_copy():
    assert make_grey_copy(encoded(photograph(size=(31, 400))), max_pixels=LIMIT) is None
    assert make_grey_copy(encoded(photograph(size=(32, 400))), max_pixels=LIMIT).any()


def test_the_reduced_decode_keeps_the_least_side_and_the_orientation():
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


def test_a_cache_that_is_full_leaves_no_thread_and_no_open_task(source: Counted, tmp_path, monkeypatch):
    ended = []

    class Tasks(Silent):
        def stop(self, task: str) -> None:
            ended.append(task)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(grey_copies, "SHARD_COPIES", 1)
    monkeypatch.setattr(grey_copies, "write_digest_file", refuse)
    dataset = load(source)
    with pytest.raises(StoreError, match="No space left") as kept:  # the traceback holds on to all that is not ended
        make_grey_copies(dataset, max_pixels=LIMIT, resources=Resources(cache=tmp_path, cores=2, progress=Tasks()))
    assert kept
    assert ended == [grey_copies.TASK]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("grey")]
