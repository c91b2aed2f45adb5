"""From files to examples, the folder of bad input included."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.pictures import MemorySource, encoded, image_file, picture, png_that_claims
from vitrail.core.errors import DataError
from vitrail.core.hashing import fingerprint
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import (
    EXAMPLE_SCHEMA,
    Dataset,
    ImageRejected,
    ListedFile,
    SetAside,
    decode,
    load,
    make_split,
    open_source,
)
from vitrail.data.dataset import Caution


def read(listing: list[tuple[str, str, bytes | OSError]]) -> Dataset:
    """Load files given as (path, label, bytes)."""
    return load(
        MemorySource(
            [ListedFile(path=path, label=label) for path, label, _ in listing], {p: data for p, _, data in listing}
        )
    )


def reasons(dataset: Dataset) -> dict[str, str]:
    return {aside.path: aside.reason for aside in dataset.set_aside}


SOUND = [
    (f"{label}/{n}.png", label, image_file(100 * k + n)) for k, label in enumerate(("cat", "dog")) for n in range(3)
]


def test_the_table_has_its_schema_and_is_sorted_by_id():
    dataset = read(SOUND)
    assert dataset.table.schema == EXAMPLE_SCHEMA
    ids = dataset.table["id"].to_pylist()
    assert ids == sorted(ids)
    assert len(ids) == 6
    assert dataset.classes == ("cat", "dog")
    rows = dataset.table.to_pylist()
    assert all(dataset.classes[row["label"]] == row["paths"][0].split("/")[0] for row in rows)


def test_the_shorter_side_is_known_for_jpegs_only():
    """Of files that stand twice too, which take another way into the table."""
    files = {
        "cat/wide.jpg": encoded(picture(1, size=(30, 20)), "JPEG"),
        "dog/high.jpg": encoded(picture(2, size=(25, 40)), "JPEG"),
        "dog/plain.png": encoded(picture(3, size=(30, 20))),
        "cat/twice.png": encoded(picture(4, size=(50, 60))),
        "cat/twice.jpg": encoded(picture(5, size=(70, 60)), "JPEG"),
    }
    again = {f"cat/again.{path[-3:]}": data for path, data in files.items() if "twice" in path}
    rows = read([(path, path[:3], data) for path, data in (files | again).items()]).table.to_pylist()
    sides = {row["paths"][-1]: row["jpeg_side"] for row in rows}
    assert sides == {
        "cat/wide.jpg": 20,
        "dog/high.jpg": 25,
        "dog/plain.png": None,
        "cat/twice.png": None,
        "cat/twice.jpg": 60,
    }


def test_the_order_and_the_place_of_files_change_nothing():
    shuffled = [(f"moved/{path}", label, data) for path, label, data in SOUND]
    random.Random(0).shuffle(shuffled)
    assert read(shuffled).fingerprint == read(SOUND).fingerprint
    assert read(shuffled).table.drop_columns("paths") == read(SOUND).table.drop_columns("paths")


def test_what_changes_an_answer_changes_the_fingerprint():
    relabelled = [(path, "dog" if path == "cat/0.png" else label, data) for path, label, data in SOUND]
    renamed = [(path, label.upper(), data) for path, label, data in SOUND]
    fewer = SOUND[:-1]
    assert len({read(listing).fingerprint for listing in (SOUND, relabelled, renamed, fewer)}) == 4
    source = MemorySource(
        [ListedFile(path=p, label=label, group="g") for p, label, _ in SOUND], {p: d for p, _, d in SOUND}
    )
    assert load(source).fingerprint != read(SOUND).fingerprint


def test_what_the_source_set_aside_is_kept():
    source = MemorySource(
        [SetAside(path="README", reason="it is not in a class folder"), ListedFile(path="cat/0.png", label="cat")],
        {"cat/0.png": image_file()},
    )
    assert reasons(load(source)) == {"README": "it is not in a class folder"}


def test_a_class_whose_files_are_all_bad_is_still_a_class():
    assert read([*SOUND, ("bird/1", "bird", b"")]).classes == ("bird", "cat", "dog")


def test_what_the_source_warns_of_and_what_is_left_alone_are_warnings():
    paths = [f"{label}/{split}/{number}.png" for label in "ab" for split in ("train", "test") for number in range(6)]
    listing: list[ListedFile | Caution] = [Caution("these names are odd")]
    for number, path in enumerate(paths):
        further = {"patient": f"p{number // 2}", "subset": "train" if "train" in path else "test"}
        listing.append(ListedFile(path=path, label=path[0], further=further))
    files = {path: image_file(number) for number, path in enumerate(paths)}
    warnings = load(MemorySource(listing, files)).warnings
    assert [warning.split(",")[0] for warning in warnings[:4]] == [
        "these names are odd",
        "a/test and a/train have the name of splits",
        "The column patient has 12 values for 24 images",
        "The column subset has the values test and train",
    ]


def test_duplicates_are_counted():
    dataset = read([*SOUND, ("cat/copy.png", "cat", SOUND[0][2]), ("dog/0 too.png", "dog", SOUND[1][2])])
    assert dataset.duplicates["files"] == 1
    assert dataset.duplicates["two_labels"] == 1
    assert reasons(dataset)["dog/0 too.png"] == (
        "the same bytes have two labels: cat/1.png (cat) and dog/0 too.png (dog)"
    )
    assert dataset.table.num_rows == 5


def test_no_file_at_all_is_one_sentence():
    with pytest.raises(DataError, match=r"There are no images in memory: put them"):
        load(MemorySource([], {}))


def test_no_usable_file_is_one_sentence_with_the_usual_reason():
    with pytest.raises(
        DataError, match=r"None of the 3 .* can be used. For example, b was set aside, as were 1 more, .* empty"
    ):
        read([("a", "cat", b"text"), ("b", "cat", b""), ("c", "dog", b"")])


def test_progress_counts_every_file():
    class Recorder(Silent):
        def __init__(self) -> None:
            self.events: list[tuple[object, ...]] = []
            self.lock = threading.Lock()
            self.sum = 0

        def start(self, task: str, *, total: int | None, unit: str) -> None:
            self.events.append(("start", task, total, unit))

        def advance(self, task: str, amount: int = 1) -> None:
            with self.lock:
                self.sum += amount

        def done(self, task: str) -> None:
            self.events.append(("done", task))

    recorder = Recorder()
    load(
        MemorySource([ListedFile(path=p, label=label) for p, label, _ in SOUND], {p: d for p, _, d in SOUND}),
        resources=Resources(progress=recorder),
    )
    assert recorder.events == [("start", "Reading files", 6, "files"), ("done", "Reading files")]
    assert recorder.sum == 6


def test_each_file_is_read_once_and_no_bytes_are_kept():
    held = most = 0
    lock = threading.Lock()

    class Counted(bytes):
        def __del__(self) -> None:
            nonlocal held
            with lock:
                held -= 1

    class Counting:
        name = "counting"

        def __init__(self) -> None:
            self.reads: list[str] = []

        def list_files(self) -> Iterator[ListedFile]:
            return (ListedFile(path=f"{number}", label=f"{number % 2}") for number in range(500))

        def read(self, path: str) -> bytes:
            nonlocal held, most
            self.reads.append(path)
            with lock:
                held += 1
                most = max(most, held)
            return Counted(image_file(int(path)))

    source = Counting()
    load(source)
    assert sorted(source.reads) == sorted(str(number) for number in range(500))
    assert most < 64
    assert held == 0


def test_as_many_threads_read_as_are_given():
    class Watched(MemorySource):
        def read(self, path: str) -> bytes:
            names.add(threading.current_thread().name)
            time.sleep(0.002)
            return super().read(path)

    files = {f"{number}": image_file(number) for number in range(60)}
    for threads in (1, 3):
        names: set[str] = set()
        load(Watched([ListedFile(path=path, label="a") for path in files], files), resources=Resources(cores=threads))
        assert len(names) == threads


def test_an_interrupted_reading_ends_at_once():
    class Interrupting(MemorySource):
        def read(self, path: str) -> bytes:
            time.sleep(0.001)
            if path == "100":
                raise KeyboardInterrupt
            return image_file(int(path))

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        load(Interrupting([ListedFile(path=f"{n}", label="cat") for n in range(100_000)], {}))
    assert time.monotonic() - began < 5


@pytest.fixture
def bad_folder(tmp_path: Path) -> Path:
    """Ten sound images in each of two classes, and everything that goes wrong in real folders."""
    root = tmp_path / "photos d'été"
    for k, label in enumerate(("chat siamois", "chien")):
        (root / label).mkdir(parents=True)
        for number in range(10):
            (root / label / f"é {number}.png").write_bytes(image_file(1_000 * k + number))
    cats, dogs = root / "chat siamois", root / "chien"
    (cats / "zero.jpg").write_bytes(b"")
    whole = encoded(picture(50, (96, 64)), "JPEG")
    (cats / "truncated.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (cats / "text.jpg").write_text("this is not a photograph\n")
    (cats / "README.txt").write_text("taken in July\n")
    (cats / "huge.png").write_bytes(png_that_claims(30_000, 30_000))
    (cats / "cmyk.jpg").write_bytes(encoded(picture(51).convert("CMYK"), "JPEG"))
    frames = [picture(seed).quantize(32) for seed in (52, 53)]
    (cats / "animated.gif").write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    (cats / "locked.png").write_bytes(image_file(54))
    (cats / "both.png").write_bytes(image_file(55))
    (dogs / "both too.png").write_bytes(image_file(55))
    (dogs / "copy of 0.png").write_bytes(image_file(1_000))
    (root / ".DS_Store").write_bytes(b"x")
    (root / "__MACOSX" / "chien").mkdir(parents=True)
    (root / "__MACOSX" / "chien" / "1.jpg").write_bytes(b"x")
    return root


def test_a_folder_of_bad_input_ends_in_examples_and_a_list_of_reasons(bad_folder, monkeypatch):
    source = open_source(bad_folder)
    really = source.read

    def refuse_locked(path: str) -> bytes:
        if path.endswith("locked.png"):  # whoever runs the tests may be root, who is refused nothing
            raise PermissionError(13, "Permission denied")
        return really(path)

    monkeypatch.setattr(source, "read", refuse_locked)
    dataset = load(source)
    assert reasons(dataset) == {
        "chat siamois/README.txt": "not an image: it is text",
        "chat siamois/both.png": (
            "the same bytes have two labels: chat siamois/both.png (chat siamois) and chien/both too.png (chien)"
        ),
        "chat siamois/huge.png": "too large: 30000 x 30000 is 900 megapixels, over the limit of 100",
        "chat siamois/locked.png": "it cannot be read: Permission denied",
        "chat siamois/text.jpg": "not an image: it is text",
        "chat siamois/zero.jpg": "it is empty (0 bytes)",
        "chien/both too.png": (
            "the same bytes have two labels: chat siamois/both.png (chat siamois) and chien/both too.png (chien)"
        ),
    }
    assert dataset.table.num_rows == 10 + 3 + 10  # the truncated one has a sound header
    assert dataset.classes == ("chat siamois", "chien")
    assert any("1 file is animated" in warning for warning in dataset.warnings)
    dataset, split, _ = make_split(dataset)
    unreadable = {}
    for row in dataset.table.to_pylist():
        try:
            decode(source.read(row["paths"][0]), max_pixels=10**8)
        except ImageRejected as rejected:
            unreadable[row["id"]] = (row["paths"], rejected.reason)
    ((paths, reason),) = unreadable.values()
    assert (paths, reason[:14]) == (["chat siamois/truncated.jpg"], "truncated JPEG")
    left = split.without(unreadable)
    assert len((*left.train, *left.val, *left.test)) == 22


def folder_of(root: Path, **sizes: int) -> Path:
    for k, (label, size) in enumerate(sizes.items()):
        (root / label).mkdir()
        for number in range(size):
            (root / label / f"{number}.png").write_bytes(image_file(1_000 * k + number))
    return root


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "There are no images in"),
        ({"cat": 0, "dog": 0}, "None of the 2 files in"),
        ({"cat": 10}, "has only one class, cat"),
        ({"cat": 1, "dog": 1}, r"2 classes have fewer than 8 usable images .*: cat \(1\), dog \(1\)"),
    ],
)
def test_a_folder_that_cannot_carry_a_benchmark_is_one_sentence(tmp_path, sizes, words):
    with pytest.raises(DataError, match=words) as error:
        make_split(load(open_source(folder_of(tmp_path, **sizes))))
    assert "\n" not in str(error.value)


def test_a_given_split_travels_from_folder_to_split(tmp_path):
    for k, part in enumerate(("train", "test")):
        (tmp_path / part).mkdir()
        for c, label in enumerate(("cat", "dog")):
            (tmp_path / part / label).mkdir()
            for number in range(10):
                seed = 1_000 * k + 100 * c + number
                (tmp_path / part / label / f"{number}.png").write_bytes(image_file(seed))
    (tmp_path / "test" / "cat" / "leaked.png").write_bytes(image_file(0))  # also train/cat/0.png
    dataset, split, _ = make_split(load(open_source(tmp_path)))
    paths = dict(zip(dataset.table["id"].to_pylist(), dataset.table["paths"].to_pylist(), strict=True))
    assert ["test/cat/leaked.png", "train/cat/0.png"] in [paths[example] for example in split.test]
    assert all(path.startswith("train/") for example in split.train for path in paths[example])
    assert (len(split.train), len(split.test)) == (19, 21)
    assert any("Leakage" in warning for warning in dataset.warnings)


@pytest.mark.shared
def test_the_dogs_load_in_well_under_two_seconds(shared):
    began = time.monotonic()
    dataset = load(open_source(shared / "data" / "stanford_dogs_224"))
    assert time.monotonic() - began < 8  # four times over, for a machine that has other work
    assert (dataset.table.num_rows, len(dataset.classes), dataset.set_aside) == (4_800, 120, ())


def test_the_fingerprint_is_that_of_the_columns_as_json(monkeypatch):
    monkeypatch.setattr("vitrail.data.dataset.ROWS_AT_ONCE", 4)
    dataset = read(SOUND)
    columns = {name: dataset.table[name].to_pylist() for name in ("id", "label", "group", "given_split")}
    assert dataset.fingerprint == fingerprint({"classes": list(dataset.classes)} | columns)
    assert dataset.table.schema == EXAMPLE_SCHEMA
    assert dataset.table["id"].to_pylist() == sorted(columns["id"])
