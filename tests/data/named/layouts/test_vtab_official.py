"""VTAB's tasks from official archives: the images are those that TensorFlow Datasets puts first.

The keys are those that tensorflow/datasets gives in `_generate_examples` of cifar.py and svhn.py (the number), dtd.py
(class/name), oxford_flowers102.py and oxford_iiit_pet.py (name), eurosat.py and resisc45.py (class_name), smallnorb.py
and dsprites_dataset_builder.py (the number), clevr.py and kitti.py (name), dmlab.py (filename); all in the commits that
the layouts name.
"""

import gzip
import hashlib
import io
import json
import struct
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.data.named.layouts.miniature import mat_bytes, open_card, read_card, serve, tar_bytes
from tests.data.named.layouts.prepared import example, picture, records
from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile
from vitrail.data.named.cards import load_dataset_cards

IMAGES = 2_010  # of a split from which both train and val come
CARDS = load_dataset_cards()
NORB_TRAIN, NORB_TEST = "5x46789x9x18x6x2x96x96-training", "5x01235x9x18x6x2x96x96-testing"


def first(keys, split: str) -> list:
    """The keys in the order of their md5 after the split's name."""
    return sorted(keys, key=lambda key: hashlib.md5(f"{split}{key}".encode()).hexdigest())


def zip_bytes(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def listed(source) -> dict[str, list[ListedFile]]:
    files = [file for file in source.list_files() if isinstance(file, ListedFile)]
    return {split: [file for file in files if file.split == split] for split in ("train", "val", "test")}


def numbers(files: list[ListedFile]) -> list[int]:
    return [int(file.path.rpartition("/")[2].partition(".")[0]) for file in files]


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def test_cifar_100(web, tmp_path):
    """900 images of train and 20 of test would do; but 200 images follow after 90% of train."""
    rng = np.random.default_rng(0)
    names = "\n".join(f"class{number}" for number in range(100)) + "\n"
    labels = np.arange(IMAGES) % 4

    def batch(count: int) -> bytes:
        rows = np.concatenate(
            [np.zeros((count, 1), np.uint8), labels[:count, None], rng.integers(0, 256, (count, 3072))], axis=1
        )
        return rows.astype(np.uint8).tobytes()

    files = {"train.bin": batch(IMAGES), "test.bin": batch(40), "fine_label_names.txt": names.encode()}
    archive = tar_bytes({f"cifar-100-binary/{name}": content for name, content in files.items()}, gz=True)
    card = serve(web, "vtab-cifar-100", {"cifar-100-binary.tar.gz": archive})
    found = listed(open_card(card, tmp_path))
    order = first(range(IMAGES), "train")
    assert numbers(found["train"]) == order[:800]
    assert numbers(found["val"]) == order[1809:2009]
    assert numbers(found["test"]) == first(range(40), "test")
    assert all(file.label == f"class{number % 4}" for file, number in zip(found["train"], order, strict=False))
    assert (tmp_path / "datasets" / "cifar-100" / "cifar-100-binary.tar").is_file()  # shared with cifar-100
    dataset = read_card(card, tmp_path, offline=True)
    assert dataset.table.num_rows == 1040


def test_svhn(web, tmp_path):
    rng = np.random.default_rng(0)
    files = {}
    for split, count in (("train", IMAGES), ("test", 30)):
        content = rng.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        files[f"{split}_32x32.mat"] = mat_bytes(X=content, y=(np.arange(count) % 10 + 1)[:, None].astype(np.uint8))
    found = listed(open_card(serve(web, "vtab-svhn", files), tmp_path))
    order = first(range(IMAGES), "train")
    assert (numbers(found["train"]), numbers(found["val"])) == (order[:800], order[1809:2009])
    assert [file.label for file in found["train"][:50]] == [str((number % 10 + 1) % 10) for number in order[:50]]


def test_dtd(web, tmp_path):
    def names(split: str, count: int) -> list[str]:
        return [
            f"{kind}/{kind}_{split}{number:04d}.jpg" for number in range(count // 2) for kind in ("dotted", "woven")
        ]

    lists = {"train1": names("a", 820), "val1": names("b", 300), "test1": names("c", 20)}
    files = {f"dtd/labels/{name}.txt": "\n".join(paths).encode() for name, paths in lists.items()}
    for paths in lists.values():
        files |= {f"dtd/images/{path}": picture(path) for path in paths}
    found = listed(open_card(serve(web, "vtab-dtd", {"dtd-r1.0.1.tar.gz": tar_bytes(files, gz=True)}), tmp_path))
    for split, name, prepared, most in (("train", "train1", "train", 800), ("val", "val1", "validation", 200)):
        order = first(lists[name], prepared)[:most]
        assert [file.path for file in found[split]] == [f"dtd/images/{path}" for path in order]
        assert [file.label for file in found[split]] == [path.partition("/")[0] for path in order]
    assert len(found["test"]) == 20


def test_oxford_flowers_102(web, tmp_path):
    counts = {"trnid": 810, "valid": 210, "tstid": 30}
    places = np.cumsum([0, *counts.values()])
    sets = {
        name: np.arange(start, end)[None] + 1 for name, start, end in zip(counts, places[:-1], places[1:], strict=True)
    }
    labels = np.arange(places[-1]) % 3 + 1
    images = {f"jpg/image_{number:05d}.jpg": picture(number) for number in range(1, places[-1] + 1)}
    files = {
        "102flowers.tgz": tar_bytes(images, gz=True),
        "imagelabels.mat": mat_bytes(labels=labels[None]),
        "setid.mat": mat_bytes(**sets),
    }
    found = listed(open_card(serve(web, "vtab-oxford-flowers-102", files), tmp_path))
    train = first([f"image_{number:05d}.jpg" for number in range(1, 811)], "train")[:800]
    assert [file.path for file in found["train"]] == [f"jpg/{name}" for name in train]
    val = first([f"image_{number:05d}.jpg" for number in range(811, 1021)], "validation")[:200]
    assert [file.path for file in found["val"]] == [f"jpg/{name}" for name in val]


def test_oxford_pets(web, tmp_path):
    def lines(start: int, count: int) -> list[str]:
        return [f"{['Bengal', 'pug'][number % 2]}_{start + number} 1 1 1" for number in range(count)]

    lists = {"trainval.txt": lines(0, 1_300), "test.txt": lines(5_000, 20)}
    names = {name: [f"{line.split()[0]}.jpg" for line in content] for name, content in lists.items()}
    images = {f"images/{name}": picture(name) for listing in names.values() for name in listing}
    annotations = {f"annotations/{name}": "\n".join(content).encode() for name, content in lists.items()}
    files = {"images.tar.gz": tar_bytes(images, gz=True), "annotations.tar.gz": tar_bytes(annotations, gz=True)}
    found = listed(open_card(serve(web, "vtab-oxford-pets", files), tmp_path))
    order = first(names["trainval.txt"], "train")
    assert [file.path for file in found["train"]] == [f"images/{name}" for name in order[:800]]
    assert [file.path for file in found["val"]] == [f"images/{name}" for name in order[1040:1240]]


def sixty_twenty(found: dict[str, list[ListedFile]], keys: dict[str, str], images: int) -> None:
    """Train, val and test of RESISC45 and EuroSAT: from 0, from 60% and from 80% of all images."""
    order = [keys[key] for key in first(keys, "train")]
    val_start, test_start = images * 60 // 100, images * 60 // 100 + images * 20 // 100
    assert [file.path for file in found["train"]] == order[:800]
    assert [file.path for file in found["val"]] == order[val_start : val_start + 200]
    assert [file.path for file in found["test"]] == order[test_start:]
    assert all(file.label == file.path.split("/")[-2] for split in found.values() for file in split)


def by_class(root: str, classes: tuple[str, ...], each: int, separator: str) -> dict[str, str]:
    """The path of each image by its key."""
    return {
        f"{kind}_{kind}{separator}{number}.jpg": f"{root}/{kind}/{kind}{separator}{number}.jpg"
        for kind in classes
        for number in range(each)
    }


def test_eurosat(web, tmp_path):
    keys = by_class("2750", ("Forest", "River"), 700, "_")
    archive = zip_bytes({path: picture(path) for path in keys.values()})
    sixty_twenty(listed(open_card(serve(web, "vtab-eurosat", {"EuroSAT.zip": archive}), tmp_path)), keys, 1_400)


def test_resisc45_that_a_person_unpacked(tmp_path):
    keys = by_class("NWPU-RESISC45", ("airplane", "wetland"), 700, "_")
    for path in keys.values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(picture(path))
    source = open_card(CARDS["vtab-resisc45"], tmp_path / "cache", data_dir=tmp_path, offline=True)
    sixty_twenty(listed(source), keys, 1_400)


def norb(array: np.ndarray) -> bytes:
    """Small NORB's format: a code for the type, the number of axes, at least three lengths, the numbers."""
    code = {"uint8": 507333717, "int32": 507333716}[array.dtype.name]
    lengths = [*array.shape, 1, 1][: max(3, array.ndim)]
    return struct.pack(f"<{2 + len(lengths)}i", code, array.ndim, *lengths) + array.tobytes()


@pytest.mark.parametrize(("name", "column", "step"), [("azimuth", 2, 2), ("elevation", 1, 1)])
def test_smallnorb(web, tmp_path, name, column, step):
    rng = np.random.default_rng(0)
    files, arrays = {}, {}
    for split, prefix, count in (("train", NORB_TRAIN, 820), ("test", NORB_TEST, 440)):
        info = np.stack([np.zeros(count), np.arange(count) % 9, np.arange(count) % 18 * 2, np.zeros(count)], axis=1)
        arrays[split] = rng.integers(0, 256, (count, 2, 96, 96), dtype=np.uint8), info.astype(np.int32)
        files |= {
            f"smallnorb-{prefix}-{kind}.mat.gz": gzip.compress(norb(array))
            for kind, array in zip(("dat", "info"), arrays[split], strict=True)
        }
    card = serve(web, "vtab-smallnorb-azimuth", files)
    card = card if name == "azimuth" else replace(CARDS["vtab-smallnorb-elevation"], forms=card.forms)
    source = open_card(card, tmp_path)
    found = listed(source)
    order = {split: first(range(count), split) for split, count in (("train", 820), ("test", 440))}
    assert numbers(found["train"]) == order["train"][:800]
    assert numbers(found["val"]) == order["test"][:200]
    assert numbers(found["test"]) == order["test"][220:]
    assert [int(file.label) for file in found["val"]] == [
        arrays["test"][1][number, column] // step for number in order["test"][:200]
    ]
    assert np.array_equal(pixels(source.read(found["val"][3].path)), arrays["test"][0][order["test"][3], 0])


def test_clevr(web, tmp_path):
    def scene(split: str, number: int) -> dict:
        objects = [{"pixel_coords": [1, 2, [8.2, 9.2][number % 2]]}] * (3 + number % 3)
        return {"image_filename": f"CLEVR_{split}_{number:06d}.png", "objects": objects}

    files, names = {}, {}
    for split, count in (("train", IMAGES), ("val", 30)):
        scenes = [scene(split, number) for number in range(count)]
        names[split] = [item["image_filename"] for item in scenes]
        files[f"CLEVR_v1.0/scenes/CLEVR_{split}_scenes.json"] = json.dumps({"scenes": scenes}).encode()
        files |= {f"CLEVR_v1.0/images/{split}/{name}": picture(name) for name in names[split]}
    files["CLEVR_v1.0/images/test/CLEVR_test_000000.png"] = picture(1)
    card = serve(web, "vtab-clevr-count", {"CLEVR_v1.0.zip": zip_bytes(files)})
    found = listed(open_card(card, tmp_path))
    order = first(names["train"], "train")
    assert [file.path.rpartition("/")[2] for file in found["train"]] == order[:800]
    assert [file.path.rpartition("/")[2] for file in found["val"]] == order[1809:2009]
    assert [file.path.rpartition("/")[2] for file in found["test"]] == first(names["val"], "validation")
    assert all(int(file.label) == int(file.path[-10:-4]) % 3 for file in found["train"])
    distance = replace(CARDS["vtab-clevr-distance"], forms=card.forms)
    labels = {int(file.path[-10:-4]) % 2: file.label for file in listed(open_card(distance, tmp_path))["train"]}
    assert labels == {0: "1", 1: "3"}


def video_name(number: int) -> str:
    return f"2011_09_26_drive_{number:04d}_sync"


def kitti_files(videos: int, images: int) -> dict[str, dict[str, bytes]]:
    mapping = "\n".join(f"2011_09_26 {video_name(place % videos)} {place:010d}" for place in range(images))
    places = ",".join(str(place + 1) for place in range(images))
    rows = [
        ["Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 6.50 -1.59", "DontCare" + " -1" * 14],
        ["Pedestrian 0.00 0 -0.2 712.40 143.00 810.73 307.92 1.89 0.48 1.20 1.84 1.47 8.41 0.01"],
        ["Van 0 0 0 1 2 3 4 1 1 1 2.0 1.0 19.5 0", "Truck 0 0 0 1 2 3 4 1 1 1 2.0 1.0 46.7 0"],
    ]
    return {
        "data_object_image_2.zip": {f"training/image_2/{number:06d}.png": picture(number) for number in range(images)}
        | {"testing/image_2/000000.png": picture(99_999)},
        "data_object_label_2.zip": {
            f"training/label_2/{number:06d}.txt": "\n".join(rows[number % 3]).encode() for number in range(images)
        },
        "devkit_object.zip": {
            "mapping/train_rand.txt": places.encode(),
            "mapping/train_mapping.txt": mapping.encode(),
        },
    }


def test_kitti(web, tmp_path):
    """The videos of test and validation are drawn as kitti.py, `_build_splits`, draws them."""
    videos, images = 20, 2_400
    files = {name: zip_bytes(content) for name, content in kitti_files(videos, images).items()}
    found = listed(open_card(serve(web, "vtab-kitti-distance", files), tmp_path))
    names = [video_name(video) for video in range(videos)]
    np.random.seed(seed=123)
    test = set(np.random.choice(sorted(names), 2, replace=False))
    validation = set(np.random.choice(sorted(set(names) - test), 2, replace=False))
    split_of = [
        "test" if names[number % videos] in test else "validation" if names[number % videos] in validation else "train"
        for number in range(images)
    ]
    for split, prepared, most in (("train", "train", 800), ("val", "validation", 200), ("test", "test", None)):
        keys = [f"{number:06d}.png" for number in range(images) if split_of[number] == prepared]
        assert [file.path for file in found[split]] == [
            f"training/image_2/{name}" for name in first(keys, prepared)[:most]
        ]
        assert all(file.label == "031"[int(file.path[-10:-4]) % 3] for file in found[split])


def test_dmlab(web, tmp_path):
    files, names = {}, {}
    for split, count in (("train", 820), ("validation", 210), ("test", 20)):
        names[split] = [f"{split}_{number:05d}.jpg" for number in range(count)]
        contents = [
            example({"image": [picture(name)], "filename": [name.encode()], "label": [number % 6]})
            for number, name in enumerate(names[split])
        ]
        files |= {f"dmlab-{split}.tfrecord-0000{shard}-of-00002": records(contents[shard::2]) for shard in range(2)}
        names[split] = names[split][::2] + names[split][1::2]
    source = open_card(serve(web, "vtab-dmlab", {"dmlab.tar.gz": tar_bytes(files, gz=True)}), tmp_path)
    found = listed(source)
    for split, prepared, most in (("train", "train", 800), ("val", "validation", 200), ("test", "test", None)):
        order = first(names[prepared], prepared)[:most]
        assert [names[prepared][number] for number in numbers(found[split])] == order
        assert [file.label for file in found[split]] == [str(int(name[-9:-4]) % 6) for name in order]
    assert source.read(found["val"][7].path) == picture(first(names["validation"], "validation")[7])


@pytest.mark.parametrize(("name", "column", "labels"), [("location", 4, [0, 0, 1]), ("orientation", 3, [0, 0, 0, 1])])
def test_dsprites(web, tmp_path, name, column, labels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 2, (IMAGES, 64, 64), dtype=np.uint8)
    classes = np.zeros((IMAGES, 6), np.int64)
    classes[:, column] = np.arange(IMAGES) % len(labels)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["imgs"] = images
        file["latents/classes"] = classes
    content = {"dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5": buffer.getvalue()}
    card = serve(web, "vtab-dsprites-location", content)
    if name == "orientation":
        card = replace(CARDS["vtab-dsprites-orientation"], forms=card.forms)
    source = open_card(card, tmp_path)
    found = listed(source)
    order = first(range(IMAGES), "train")
    start = IMAGES * 80 // 100
    assert (numbers(found["train"]), numbers(found["val"])) == (order[:800], order[start : start + 200])
    assert numbers(found["test"]) == order[start + IMAGES * 10 // 100 :]
    assert [int(file.label) for file in found["test"]] == [
        labels[number % len(labels)] for number in numbers(found["test"])
    ]
    assert np.array_equal(pixels(source.read(found["test"][0].path)), images[numbers(found["test"])[0]] * 255)


def hdf5(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip")
    return buffer.getvalue()


def test_patch_camelyon(web, tmp_path):
    rng = np.random.default_rng(0)
    counts, files, images = {"train": 820, "valid": 210, "test": 20}, {}, {}
    for split, count in counts.items():
        images[split] = rng.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
        labels = (np.arange(count) % 2).astype(np.uint8).reshape(count, 1, 1, 1)
        for what, content in {"x": hdf5(x=images[split]), "y": hdf5(y=labels)}.items():
            files[f"camelyonpatch_level_2_split_{split}_{what}.h5.gz"] = gzip.compress(content, 1)
    source = open_card(serve(web, "vtab-patch-camelyon", files), tmp_path)
    found = listed(source)
    for split, prepared, name, most in (
        ("train", "train", "train", 800),
        ("val", "validation", "valid", 200),
        ("test", "test", "test", None),
    ):
        order = first([f"{name}_{number}" for number in range(counts[name])], prepared)[:most]
        assert numbers(found[split]) == [int(key.partition("_")[2]) for key in order]
        assert [int(file.label) for file in found[split]] == [number % 2 for number in numbers(found[split])]
    assert np.array_equal(pixels(source.read(found["val"][5].path)), images["valid"][numbers(found["val"])[5]])


def test_damaged_files_are_one_sentence(web, tmp_path):
    sprites = {"dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5": b"no HDF5"}
    with pytest.raises(DataError, match=r"32y32_64x64\.hdf5 of vtab-dsprites-location cannot be read"):
        listed(open_card(serve(web, "vtab-dsprites-location", sprites), tmp_path))
    scenes = {
        f"CLEVR_v1.0/scenes/CLEVR_{split}_scenes.json": b'{"scenes": [{"objects": [{}]}]}' for split in ("train", "val")
    }
    with pytest.raises(DataError, match=r"CLEVR_train_scenes\.json of .* is not a list of scenes"):
        listed(open_card(serve(web, "vtab-clevr-count", {"CLEVR_v1.0.zip": zip_bytes(scenes)}), tmp_path))
    files = kitti_files(10, 20)
    files["devkit_object.zip"]["mapping/train_rand.txt"] = b"1,2,99"
    archives = {name: zip_bytes(content) for name, content in files.items()}
    with pytest.raises(DataError, match=r"mapping/train_rand\.txt and mapping/train_mapping\.txt .* do not fit"):
        listed(open_card(serve(web, "vtab-kitti-distance", archives), tmp_path))
