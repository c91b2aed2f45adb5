import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.data.pictures import MemorySource, dataset_of, encoded, photograph
from vitrail.core.errors import DataError
from vitrail.core.resources import Resources
from vitrail.data import (
    Dataset,
    NearDuplicates,
    NearPair,
    find_near_duplicates,
    keep_together,
    leaking_into,
    load,
    make_split,
)
from vitrail.data.dataset import ListedFile, fingerprint_of

SIZE = (200, 150)


def load_files(files: Mapping[str, bytes], labels: Mapping[str, str] | None = None) -> Dataset:
    listing = [ListedFile(path=name, label=(labels or {}).get(name, "a")) for name in files]
    return load(MemorySource(listing, files))


def found_in(dataset: Dataset, cache: Path) -> dict[tuple[str, str], NearPair]:
    paths = dict(zip(dataset.table["id"].to_pylist(), dataset.table["paths"].to_pylist(), strict=True))
    pairs = find_near_duplicates(dataset, max_pixels=10**7, resources=Resources(cache=cache)).pairs
    return {tuple(sorted((paths[pair.a][0], paths[pair.b][0]))): pair for pair in pairs}


def pair(a: str, b: str) -> NearPair:
    return NearPair(a=a, b=b, correlation=1.0, overlap=1.0, mirrored=False)


def near(*pairs: NearPair) -> NearDuplicates:
    return NearDuplicates(pairs=pairs)


def test_every_kind_of_copy_is_found_and_nothing_else(tmp_path: Path):
    image = photograph(0, SIZE)
    files = {f"other{seed}.jpg": encoded(photograph(seed, SIZE), "JPEG") for seed in range(1, 12)}
    files |= {
        "original.jpg": encoded(image, "JPEG", quality=95),
        "coarse.jpg": encoded(image, "JPEG", quality=40),
        "half.png": encoded(image.resize((100, 75), Image.Resampling.LANCZOS)),
        "double.webp": encoded(image.resize((400, 300), Image.Resampling.BICUBIC), "WEBP"),
        "mirror.jpg": encoded(ImageOps.mirror(image), "JPEG"),
        "crop.jpg": encoded(image.crop((15, 0, 195, 140)), "JPEG"),
        "bright.jpg": encoded(image.point(lambda value: min(255, int(1.4 * value))), "JPEG"),
    }
    found = found_in(load_files(files), tmp_path)
    copies = {name for name in files if not name.startswith("other")}
    assert {name for names in found for name in names} == copies
    assert {next(name for name in names if name != "original.jpg") for names in found if "original.jpg" in names} == (
        copies - {"original.jpg"}
    )
    assert found["mirror.jpg", "original.jpg"].mirrored
    assert not found["coarse.jpg", "original.jpg"].mirrored


def test_a_file_that_changed_before_its_pixels_were_compared_is_named(tmp_path: Path):
    image = photograph(0, SIZE)
    files = {f"{quality}.jpg": encoded(image, "JPEG", quality=quality) for quality in (40, 95)}
    dataset = load_files(files)
    assert len(found_in(dataset, tmp_path)) == 1
    files["95.jpg"] = encoded(photograph(1, SIZE), "JPEG")
    with pytest.raises(DataError, match=r"95\.jpg changed .* run the same command again"):
        found_in(dataset, tmp_path)


def test_look_alikes_that_are_no_copies_are_left_alone(tmp_path: Path):
    """The trap: the same light on the same stage, another actor."""
    stage = photograph(0, (5, 4)).resize(SIZE, Image.Resampling.BICUBIC)
    files = {f"{seed}.png": encoded(Image.blend(stage, photograph(seed, SIZE), 0.3)) for seed in range(1, 8)}
    assert found_in(load_files(files), tmp_path) == {}


def test_as_many_threads_decode_as_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dataset = load_files({f"{seed}.jpg": encoded(photograph(seed, SIZE), "JPEG") for seed in range(20)})
    really, names = dataset.source.read, set()

    def read(path: str) -> bytes:
        names.add(threading.current_thread().name)
        return really(path)

    monkeypatch.setattr(dataset.source, "read", read)
    find_near_duplicates(dataset, max_pixels=10**7, resources=Resources(cache=tmp_path, cores=1))
    assert len({name for name in names if name.startswith("grey")}) == 1


def test_pictures_of_eight_pixels_are_never_near_duplicates(tmp_path: Path):
    draws = np.random.default_rng(0)
    base = draws.integers(0, 256, (8, 8), dtype=np.uint8)
    files = {f"{k}.png": encoded(Image.fromarray(base ^ np.uint8(k))) for k in range(4)}
    assert found_in(load_files(files), tmp_path) == {}


def test_what_is_too_small_or_of_one_colour_is_counted_and_said(tmp_path: Path):
    files = {f"{seed}.png": encoded(photograph(seed, (28, 40))) for seed in range(3)}
    files |= {f"{size}.png": encoded(Image.new("RGB", (size, size))) for size in (31, 32, 48)}
    files["photograph.png"] = encoded(photograph(9, SIZE))
    dataset = load_files(files)
    for _ in range(2):  # made, then read from the cache
        found = find_near_duplicates(dataset, max_pixels=10**7, resources=Resources(cache=tmp_path))
        assert found == NearDuplicates(too_small=4, one_colour=2)
    told = keep_together(dataset, found)
    assert (told.duplicates["too_small"], told.duplicates["one_colour"]) == (4, 2)
    assert any("4 images have fewer than 32 pixels along a side" in warning for warning in told.warnings)
    assert any("2 images have one colour, or nearly" in warning for warning in told.warnings)


def test_frames_of_a_clip_are_one_group_and_two_clips_are_two(tmp_path: Path):
    draws = np.random.default_rng(0)
    files = {}
    for clip in range(4):
        still_HWC = np.asarray(photograph(clip, (96, 96)), float)
        for frame in range(4):
            noisy_HWC = np.clip(still_HWC + draws.normal(0, 4, still_HWC.shape), 0, 255).astype(np.uint8)
            moved = Image.fromarray(noisy_HWC).crop((frame, 0, 90 + frame, 96))
            files[f"{clip}_{frame}.jpg"] = encoded(moved, "JPEG", quality=85)
    dataset = load_files(files)
    found = find_near_duplicates(dataset, max_pixels=10**7, resources=Resources(cache=tmp_path))
    table = keep_together(dataset, found).table
    clips = defaultdict(set)
    for (path,), group in zip(table["paths"].to_pylist(), table["group"].to_pylist(), strict=True):
        clips[path[0]].add(group)
    assert [len(groups) for groups in clips.values()] == [1] * 4
    assert len(set.union(*clips.values())) == 4


def test_near_duplicates_stay_on_one_side_of_a_drawn_split():
    dataset = dataset_of([(f"{row:03d}", row % 2, None, None) for row in range(200)], classes=2)
    pairs = [pair(f"{row:03d}", f"{row + 100:03d}") for row in range(40)]
    apart = make_split(dataset)[1]
    together = make_split(keep_together(dataset, near(*pairs)))[1]

    def crossing(split) -> int:
        return sum((one.a in split.test) != (one.b in split.test) for one in pairs)

    assert crossing(apart) > 0
    assert crossing(together) == 0


def test_groups_are_joined_with_those_that_were_given():
    rows = [("a", 0, "studio", None), ("b", 0, None, None), ("c", 0, "attic", None), ("d", 0, None, None)]
    dataset = dataset_of([*rows, ("e", 0, None, None), ("f", 0, "cellar", None)], classes=1)
    grouped = keep_together(dataset, near(pair("a", "b"), pair("b", "c"), pair("d", "e")))
    groups = dict(zip(grouped.table["id"].to_pylist(), grouped.table["group"].to_pylist(), strict=True))
    assert groups["a"] == groups["b"] == groups["c"] == "attic"
    assert groups["d"] == groups["e"] == "near-duplicates of d"
    assert groups["f"] == "cellar"
    assert grouped.fingerprint == fingerprint_of(grouped.table, grouped.classes) != dataset.fingerprint


def test_without_pairs_nothing_changes_but_that_it_is_known():
    dataset = dataset_of([("a", 0, None, None)], classes=1)
    kept = keep_together(dataset, near())
    assert kept.table is dataset.table
    assert kept.warnings == dataset.warnings
    assert kept.duplicates["near_pairs"] == 0


def test_what_crosses_given_splits_or_labels_is_counted_and_said():
    dataset = dataset_of([("a", 0, None, "train"), ("b", 1, None, "test"), ("c", 0, None, "train")], classes=2)
    grouped = keep_together(dataset, near(pair("a", "b"), pair("a", "c")))
    counts = {"near_pairs": 2, "near_examples": 3, "near_across_splits": 1, "near_two_labels": 1}
    assert grouped.duplicates == counts | {"too_small": 0, "one_colour": 0}
    assert any("Leakage" in warning for warning in grouped.warnings)
    assert any("different labels" in warning for warning in grouped.warnings)


def test_what_leaks_into_the_test_is_only_what_has_its_copy_outside():
    pairs = [pair("t1", "t2"), pair("t3", "v"), pair("x", "t4"), pair("x", "v")]
    assert leaking_into(pairs, ["t1", "t2", "t3", "t4"]) == ("t3", "t4")


@pytest.mark.shared
def test_on_real_photographs_copies_are_found_among_look_alikes(shared: Path, tmp_path: Path):
    folder = shared / "data" / "stanford_dogs_224"
    breed = sorted(path for path in folder.rglob("*.jpg") if "n02085620" in path.name)[:40]
    files = {path.name: path.read_bytes() for path in breed}
    planted = {}
    for number, path in enumerate(breed[:12]):
        image = Image.open(path).convert("RGB")
        width, height = image.size
        made = [
            image.resize((width // 2, height // 2), Image.Resampling.BICUBIC),
            ImageOps.mirror(image),
            image.crop((width // 12, 0, width, height - height // 14)),
        ][number % 3]
        planted[f"copy-{path.name}"] = encoded(made, "JPEG", quality=60)
    found = found_in(load_files(files | planted), tmp_path)
    assert {(name, name.removeprefix("copy-")) for name in planted} <= set(found)
    assert all(one.removeprefix("copy-") == other.removeprefix("copy-") for one, other in found)
