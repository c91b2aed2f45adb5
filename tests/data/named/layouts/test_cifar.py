"""The binary miniature has the layout that tensorflow/datasets 0560e68 reads, image_classification/cifar.py,
`_cifar_info` and `_load_data`; the one for Python that of torchvision 0.28, datasets/cifar.py, lines 31 to 51, 77 to
102 and 152 to 170.
"""

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.data.named.layouts.miniature import counts, open_card, read_card, serve, split_of, tar_bytes
from tests.data.named.layouts.pickles import python2_pickle
from vitrail.core.errors import DataError
from vitrail.core.resources import Resources
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.files import open_tree
from vitrail.data.named.plain_pickle import read_plain_pickle

A_BATCH = {10: 20, 100: 200}  # images, two of each class


def pixels(seed: int, number: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (number, 3072), dtype=np.uint8)


def batches(classes: int) -> dict[str, tuple[np.ndarray, list[int]]]:
    names = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"] if classes == 10 else ["train", "test"]
    number = A_BATCH[classes]
    return {name: (pixels(seed, number), [n % classes for n in range(number)]) for seed, name in enumerate(names)}


def class_names(classes: int) -> list[str]:
    return [f"class {n:02d}" for n in range(classes)]


def binary(classes: int) -> dict[str, bytes]:
    folder = "cifar-10-batches-bin" if classes == 10 else "cifar-100-binary"
    coarse = b"" if classes == 10 else b"\x07"
    files = {
        f"{folder}/{name}.bin": b"".join(
            coarse + bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True)
        )
        for name, (images, labels) in batches(classes).items()
    }
    names = "".join(f"{name}\n" for name in class_names(classes)) + "\n"
    files[f"{folder}/{'batches.meta' if classes == 10 else 'fine_label_names'}.txt"] = names.encode()
    files[f"{folder}/readme.html"] = b"<meta>"
    return {f"cifar-{classes}-binary.tar.gz": tar_bytes(files, gz=True)}


def python(classes: int, dump=python2_pickle) -> dict[str, bytes]:
    folder = "cifar-10-batches-py" if classes == 10 else "cifar-100-python"
    prefix = "" if classes == 10 else "fine_"
    files = {}
    for name, (images, labels) in batches(classes).items():
        batch = {"batch_label": name, f"{prefix}labels": labels, "data": images, "filenames": ["a.png"] * len(labels)}
        if classes == 100:
            batch["coarse_labels"] = [7] * len(labels)
        files[f"{folder}/{name}"] = dump(batch)
    meta = {"num_cases_per_batch": 10_000, f"{prefix}label_names": class_names(classes), "num_vis": 3072}
    files[f"{folder}/{'batches.meta' if classes == 10 else 'meta'}"] = dump(meta)
    return {f"cifar-{classes}-python.tar.gz": tar_bytes(files, gz=True)}


@pytest.mark.parametrize("classes", [10, 100])
def test_the_binary_archive_is_read_with_labels_and_the_official_split(web, tmp_path, classes):
    dataset = read_card(serve(web, f"cifar-{classes}", binary(classes)), tmp_path)
    trained = 10 if classes == 10 else 2
    expected = {(name, split): n for name in class_names(classes) for split, n in (("train", trained), ("test", 2))}
    assert counts(dataset) == expected
    if classes == 10:
        assert len(split_of(dataset).test) == 20


@pytest.mark.parametrize("classes", [10, 100])
def test_an_image_has_its_pixels(web, tmp_path, classes):
    source = open_card(serve(web, f"cifar-{classes}", binary(classes)), tmp_path)
    name = "test_batch" if classes == 10 else "test"
    with Image.open(io.BytesIO(source.read(f"{name}.bin/00013.png"))) as image:
        expected = batches(classes)[name][0][13].reshape(3, 32, 32).transpose(1, 2, 0)
        assert np.array_equal(np.asarray(image), expected)
    with pytest.raises(OSError, match="ends before"):
        source.read(f"{name}.bin/09999.png")
    with pytest.raises(OSError, match="not an image"):
        source.read("../secret/00001.png")


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize(
    "dump", [python2_pickle, lambda value: pickle.dumps(value, 2), lambda value: pickle.dumps(value, 4)]
)
def test_the_archive_for_python_gives_the_same_examples(web, tmp_path, classes, dump):
    """Written by Python 2, and by Python 3 in the old and in the new protocol."""
    first = read_card(serve(web, f"cifar-{classes}", binary(classes)), tmp_path / "a")
    second = read_card(serve(web, f"cifar-{classes}", python(classes, dump), form=1), tmp_path / "b")
    assert second.table["id"].to_pylist() == first.table["id"].to_pylist()
    assert second.fingerprint == first.fingerprint


def test_an_archive_for_python_that_is_there_is_used_and_nothing_is_fetched(web, tmp_path):
    files = python(10)
    card = load_dataset_cards()["cifar-10"]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    given = replace(card.forms[1], files=(replace(card.forms[1].files[0], md5=""),))
    tree = open_tree(
        replace(card, forms=(card.forms[0], given)),
        Resources(cache=tmp_path / "c", data_dir=tmp_path, offline=True),
        boxes=False,
    )
    assert "cifar-10-batches-py/test_batch" in tree.names


def test_a_label_that_no_class_has_is_one_sentence(web, tmp_path):
    names = "cifar-10-batches-bin/batches.meta.txt"
    record = bytes([3]) + bytes(3072)
    files = {names: b"cat\ndog\n"} | {f"cifar-10-batches-bin/{name}.bin": record for name in batches(10)}
    card = serve(web, "cifar-10", {"cifar-10-binary.tar.gz": tar_bytes(files, gz=True)})
    with pytest.raises(DataError, match="has a label 3"):
        list(open_card(card, tmp_path).list_files())
    files["cifar-10-batches-bin/data_batch_1.bin"] = record + b"x"
    card = serve(web, "cifar-10", {"cifar-10-binary.tar.gz": tar_bytes(files, gz=True)})
    with pytest.raises(DataError, match="not whole records"):
        list(open_card(card, tmp_path / "b").list_files())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": [-1] * 20}, "has a label -1"),
        ({"labels": [0] * 19}, "do not fit together"),
        ({"labels": ["cat"] * 20}, "do not fit together"),
        ({"data": pixels(1, 20)[:, :100]}, "do not fit together"),
        ({"data": "x"}, "cannot be read"),
    ],
)
def test_batches_for_python_that_cannot_be_are_one_sentence(web, tmp_path, changed, message):
    batch = {"data": pixels(1, 20), "labels": [0] * 20} | changed
    files = {"cifar-10-batches-py/batches.meta": python2_pickle({"label_names": class_names(10)})}
    files |= {f"cifar-10-batches-py/{name}": python2_pickle(batch) for name in batches(10)}
    card = serve(web, "cifar-10", {"cifar-10-python.tar.gz": tar_bytes(files, gz=True)}, form=1)
    with pytest.raises(DataError, match=message):
        list(open_card(card, tmp_path).list_files())


def test_a_pickle_that_wants_to_run_something_is_refused_and_runs_nothing(web, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    files = {"cifar-10-batches-py/batches.meta": python2_pickle({"label_names": ["a"]})}
    files |= {f"cifar-10-batches-py/{name}": pickle.dumps({"data": Hostile()}) for name in batches(10)}
    card = serve(web, "cifar-10", {"cifar-10-python.tar.gz": tar_bytes(files, gz=True)}, form=1)
    with pytest.raises(DataError, match=r"data_batch_1 of cifar-10 cannot be read .*wants to call .*open, and nothing"):
        list(open_card(card, tmp_path).list_files())
    assert not (tmp_path / "ran").exists()


def test_a_batch_written_by_python_2_is_as_pickle_reads_it():
    batch = {"labels": [1, 300, 70_000], "data": pixels(1, 3), "batch_label": "x" * 300}
    content = python2_pickle(batch)
    expected = pickle.loads(content, encoding="latin1")
    found = read_plain_pickle(content)
    assert found["labels"] == expected["labels"]
    assert np.array_equal(found["data"], expected["data"])
    assert found["batch_label"] == expected["batch_label"]
