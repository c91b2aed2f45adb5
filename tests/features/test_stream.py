"""Images in, rows out, with networks that measure brightness and wait as long as a test says."""

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import encoded, photograph
from vitrail.backbones import Engine, Preprocessing
from vitrail.core.errors import MachineError, WeightsError
from vitrail.data import ImageRejected
from vitrail.data.images import Decoded
from vitrail.features import open_images
from vitrail.features.open_images import name_image, open_image
from vitrail.features.stream import Network, Stream

PIXELS = Preprocessing(resize=8, crop=8, interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3)
DECODERS = 3


class Brightness:
    """The mean pixel of each image, after a nap."""

    def __init__(self, batch: int = 4, streams: int = 2, nap: Callable[[], float] = lambda: 0.0) -> None:
        self.batch, self.streams, self.nap = batch, streams, nap
        self.batches: list[int] = []

    def __call__(self, pixel_BHWC: np.ndarray) -> np.ndarray:
        time.sleep(self.nap())
        self.batches.append(len(pixel_BHWC))
        return pixel_BHWC.reshape(len(pixel_BHWC), -1).mean(axis=1, keepdims=True).astype(np.float32)


def network(engine: Engine, preprocessing: Preprocessing) -> Network:
    return Network(engine, preprocessing, "brightness")


def grey(level: int) -> Image.Image:
    if level < 0:
        raise ImageRejected("it is negative")
    return Image.new("RGB", (9, 8), (level,) * 3)


def run(items, *networks: Network, opened: Callable[[int], Image.Image] = grey) -> Stream[int]:
    wanted = items if networks[1:] else ((item, networks) for item in items)
    return Stream(
        wanted,
        networks,
        lambda item, least_sides: dict.fromkeys(least_sides, Decoded.whole(opened(item))),
        decode_threads=DECODERS,
    )


def outcomes(batches) -> list[tuple[int, float | str]]:
    """Each image with its row or its reason."""
    found: list[tuple[int, float | str]] = []
    for batch in batches:
        rows = iter(batch.feature_BD[:, 0].tolist() if len(batch.feature_BD) else [])
        found += [(item, why or next(rows)) for item, why in zip(batch.items, batch.reasons, strict=True)]
    return found


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_rows_and_reasons_come_in_the_order_of_the_images_whichever_batch_is_ready_first():
    naps = itertools.cycle([0.02, 0.0, 0.0, 0.01, 0.0])
    engine = Brightness(nap=lambda: next(naps))
    levels = [level if level % 7 else -level - 1 for level in range(50)]
    found = outcomes(run(levels, network(engine, PIXELS)))
    assert found == [(level, "it is negative" if level < 0 else float(level)) for level in levels]
    assert max(engine.batches) <= engine.batch


def test_an_image_is_decoded_once_for_all_its_networks_and_resized_once_for_each_preprocessing(monkeypatch):
    opened, resized = [], []
    to_pixels = open_images.to_pixels
    monkeypatch.setattr(
        open_images,
        "to_pixels",
        lambda image, wanted, **place: resized.append(wanted) or to_pixels(image, wanted, **place),
    )
    other = Preprocessing(resize=4, crop=4, interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3)
    first, second, third = network(Brightness(3), PIXELS), network(Brightness(2), PIXELS), network(Brightness(5), other)
    items = [(level, [first, second, third] if level % 2 else [second]) for level in range(20)]
    found: dict[Network, list] = {first: [], second: [], third: []}
    reader = run(items, first, second, third, opened=lambda level: opened.append(level) or grey(level))
    for batch in reader:
        found[batch.network] += outcomes([batch])
    odd = [(level, float(level)) for level in range(1, 20, 2)]
    assert (found[first], found[third]) == (odd, odd)
    assert found[second] == [(level, float(level)) for level in range(20)]
    assert sorted(opened) == list(range(20))
    assert (resized.count(PIXELS), resized.count(other)) == (20, 10)


def test_what_decoding_and_the_networks_took_is_shared_out_among_the_batches():
    first, second = (network(Brightness(4, nap=lambda: 0.001), PIXELS) for _ in range(2))
    reader = run([(level, [first, second]) for level in range(30)], first, second)
    batches = list(reader)
    assert reader.decode_s > 0
    assert sum(batch.decode_s for batch in batches) == pytest.approx(reader.decode_s)
    assert sum(batch.forward_s for batch in batches) == pytest.approx(reader.forward_s)
    assert reader.forward_s >= 0.001 * len(batches)


@pytest.mark.parametrize("slow", ["network", "reader", "decoder"])
def test_no_more_decoded_images_are_alive_than_the_module_says_however_many_go_in(monkeypatch, slow: str):
    alive, most, lock = 0, 0, threading.Lock()
    to_pixels = open_images.to_pixels

    def gone() -> None:
        nonlocal alive
        with lock:
            alive -= 1

    def counted(image: Image.Image, wanted: Preprocessing, **place) -> np.ndarray:
        nonlocal alive, most
        pixel_HWC = to_pixels(image, wanted, **place)
        with lock:
            alive += 1
            most = max(most, alive)
        weakref.finalize(pixel_HWC, gone)
        if slow == "decoder":
            time.sleep(0.001)
        return pixel_HWC

    monkeypatch.setattr(open_images, "to_pixels", counted)
    engine = Brightness(nap=lambda: 0.004 if slow == "network" else 0.0)
    asked = (level % 200 for level in itertools.count())
    with closing(iter(run(asked, network(engine, PIXELS)))) as batches:
        for _ in range(60):
            next(batches)
            time.sleep(0.004 if slow == "reader" else 0.0)
    ahead = engine.batch + 2 * DECODERS + 2
    ahead_of_reader = 2 * engine.streams * engine.batch
    assert engine.batch < most <= ahead + engine.batch + ahead_of_reader
    assert next(asked) <= 60 * engine.batch + ahead_of_reader + ahead


@pytest.mark.parametrize("culprit", ["decoder", "network", "images"])
def test_a_failure_ends_the_stream_and_is_raised_once_after_the_rows_before_it(culprit: str):
    def open_item(level: int) -> Image.Image:
        if culprit == "decoder" and level == 41:
            raise ZeroDivisionError(culprit)
        return grey(level)

    def levels() -> Iterator[int]:
        for level in itertools.count():
            if culprit == "images" and level == 41:
                raise ZeroDivisionError(culprit)
            yield level % 200

    class Failing(Brightness):
        def __call__(self, pixel_BHWC: np.ndarray) -> np.ndarray:
            if culprit == "network" and pixel_BHWC.max() >= 41:
                raise ZeroDivisionError(culprit)
            return super().__call__(pixel_BHWC)

    batches = iter(run(levels(), network(Failing(), PIXELS), opened=open_item))
    found = []

    def read_all() -> None:
        for batch in batches:
            found.extend(outcomes([batch]))

    with pytest.raises(ZeroDivisionError, match=culprit):
        read_all()
    complete = len(found) if culprit == "images" else 40  # images that were still being decoded are lost with the rest
    assert found == [(level, float(level)) for level in range(complete)]
    assert next(batches, None) is None


def test_a_reader_that_stops_early_leaves_no_thread_and_one_that_never_starts_makes_none():
    batches = iter(run(itertools.repeat(9), network(Brightness(nap=lambda: 0.01), PIXELS)))
    before = threading.active_count()
    next(batches)
    assert threading.active_count() > before
    del batches
    assert threading.active_count() == before


def test_a_reader_that_fails_gets_its_own_error():
    def read_one() -> None:
        for _ in run(itertools.repeat(9), network(Brightness(), PIXELS)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_one()


def test_nothing_gives_nothing():
    assert list(run([], network(Brightness(), PIXELS))) == []


def test_every_form_of_an_image_opens_as_the_same_pixels_and_has_a_name(tmp_path: Path):
    path = tmp_path / "photograph.png"
    path.write_bytes(encoded(photograph()))
    array = np.asarray(photograph())
    with Image.open(path) as lazy:
        for image in (path, str(path), path.read_bytes(), photograph(), lazy, array):
            opened = open_image(image, [None], max_pixels=10**8)[None]
            np.testing.assert_array_equal(np.asarray(opened.image), array)
        assert [name_image(image, 4) for image in (str(path), path, lazy)] == [str(path)] * 3
    assert {name_image(image, 4) for image in (path.read_bytes(), photograph(), array)} == {"images[4]"}
    with pytest.raises(ImageRejected, match="too large"):
        open_image(path, [None], max_pixels=10)


def test_a_name_that_no_file_can_have_is_a_reason_and_no_error_of_the_machine():
    for name, reason in (("a" * 300, "too long"), ("nul\0byte", "null byte")):
        with pytest.raises(ImageRejected, match=reason):
            open_image(name, [None], max_pixels=10)


def test_a_thread_that_the_machine_refuses_is_the_error_that_the_reader_gets(monkeypatch):
    start = threading.Thread.start

    def refuse_the_last(thread: threading.Thread) -> None:
        if thread.name == "compute-1":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_the_last)
    with pytest.raises(MachineError, match="Raise its limit"):
        list(run(range(9), network(Brightness(streams=2), PIXELS)))


def test_features_that_are_not_finite_end_the_stream_and_name_the_network():
    class Overflowing(Brightness):
        def __call__(self, pixel_BHWC: np.ndarray) -> np.ndarray:
            feature_BD = super().__call__(pixel_BHWC)
            feature_BD[feature_BD > 5] = np.inf
            return feature_BD

    batches = iter(run(range(8), network(Overflowing(), PIXELS)))
    assert len(next(batches).items) == 4
    with pytest.raises(WeightsError, match=r"brightness are not finite for 2 of a batch of 4 images.*--precision fp32"):
        list(batches)
