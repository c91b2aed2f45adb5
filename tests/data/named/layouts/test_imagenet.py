"""The miniature of ImageNet-1k has the layout that torchvision 0.28 reads, datasets/imagenet.py, lines 119 to 220, and
that of ImageNet-V2 the one that tensorflow/datasets 2cad51c reads, image_classification/imagenet_v2.py.
"""

import numpy as np
import pytest

from tests.data.named.layouts.miniature import counts, even, mat_bytes, open_card, read_card, rows, serve, tar_bytes
from tests.data.named.layouts.prepared import picture, write_prepared
from vitrail.core.errors import DataError, DownloadError
from vitrail.core.label_sets import imagenet_1k
from vitrail.data import SetAside
from vitrail.data.named.cards import load_dataset_cards

CARDS = load_dataset_cards()
# The devkit counts in another order than classifiers: its first class is a kit fox, their first a tench.
IDS = {1: "n02119789", 2: "n02100735", 3: "n01440764"}
NAMES = {"n02119789": "n02119789-kit fox", "n02100735": "n02100735-English setter", "n01440764": "n01440764-tench"}
TRUTH = [3, 1, 2, 2, 3, 1, 1, 3, 2, 3, 1, 2]  # of the images of val, by their number
DEVKIT = "ILSVRC2012_devkit_t12/data/"


def devkit(truth: list[int]) -> dict[str, bytes]:
    fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children"]
    synsets = np.zeros((4, 1), dtype=[(field, object) for field in fields])
    for row, (number, synset) in enumerate(IDS.items()):
        synsets[row, 0] = (number, synset, f"{synset}, words", "a gloss", 0)
    synsets[3, 0] = (1001, "n01317541", "domestic animal", "a gloss", 2)
    return {
        f"{DEVKIT}meta.mat": mat_bytes(synsets=synsets, compressed=True),
        f"{DEVKIT}ILSVRC2012_validation_ground_truth.txt": "".join(f"{number}\n" for number in truth).encode(),
        "ILSVRC2012_devkit_t12/readme.txt": b"read me",
    }


def train(synset: str) -> dict[str, bytes]:
    return {f"{synset}_{number}.JPEG": picture(f"{synset}{number}") for number in range(6)}


VAL = {f"ILSVRC2012_val_{number:08d}.JPEG": picture(number) for number in range(1, 13)}


def archives(truth: list[int] = TRUTH) -> dict[str, bytes]:
    return {
        "ILSVRC2012_img_train.tar": tar_bytes({f"{synset}.tar": tar_bytes(train(synset)) for synset in IDS.values()}),
        "ILSVRC2012_img_val.tar": tar_bytes(VAL),
        "ILSVRC2012_devkit_t12.tar.gz": tar_bytes(devkit(truth), gz=True),
    }


def unpack(folder, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def check(dataset) -> None:
    assert counts(dataset) == even(*NAMES.values())
    label = {path.rpartition("/")[2]: label for path, (label, _) in rows(dataset).items()}
    assert label["ILSVRC2012_val_00000001.JPEG"] == "n01440764-tench"
    assert label["ILSVRC2012_val_00000002.JPEG"] == "n02119789-kit fox"


def test_tars_in_a_tar_and_the_ground_truth_of_the_devkit_are_read(web, tmp_path):
    card = serve(web, "imagenet-1k", archives())
    check(read_card(card, tmp_path))
    source = open_card(card, tmp_path, offline=True)
    assert source.read("n02100735.tar/n02100735_4.JPEG") == train("n02100735")["n02100735_4.JPEG"]


def test_archives_that_a_person_has_are_read_in_place(web, tmp_path):
    unpack(tmp_path / "imagenet2012", archives())
    card = serve(web, "imagenet-1k", archives())
    check(read_card(card, tmp_path / "cache", data_dir=tmp_path, offline=True))
    stored = {path.name for path in (tmp_path / "cache" / "datasets" / "imagenet-1k").iterdir()}
    assert {name for name in stored if not name.endswith(".lock")} == {"ILSVRC2012_devkit_t12.tar"}


def test_folders_of_classes_need_no_devkit(tmp_path):
    files = {f"train/{synset}/{name}": content for synset in IDS.values() for name, content in train(synset).items()}
    for (name, content), number in zip(VAL.items(), TRUTH, strict=True):
        files[f"val/{IDS[number]}/{name}"] = content
    unpack(tmp_path / "ImageNet", files)
    check(read_card(CARDS["imagenet-1k"], tmp_path, data_dir=tmp_path, offline=True))


def test_a_flat_folder_of_val_takes_its_classes_from_the_devkit(tmp_path):
    files = {f"train/{synset}/{name}": content for synset in IDS.values() for name, content in train(synset).items()}
    files |= {f"val/{name}": content for name, content in VAL.items()}
    unpack(tmp_path, files)
    with pytest.raises(DataError, match=r"there is no ILSVRC2012_validation_ground_truth\.txt: put the folder"):
        read_card(CARDS["imagenet-1k"], tmp_path, data_dir=tmp_path)
    unpack(tmp_path, devkit(TRUTH))
    check(read_card(CARDS["imagenet-1k"], tmp_path, data_dir=tmp_path))


def test_a_ground_truth_that_is_too_short_sets_images_aside_and_a_wrong_one_is_one_sentence(web, tmp_path):
    listed = list(open_card(serve(web, "imagenet-1k", archives(TRUTH[:10])), tmp_path / "a").list_files())
    aside = [file for file in listed if isinstance(file, SetAside)]
    assert [file.path for file in aside] == ["ILSVRC2012_val_00000011.JPEG", "ILSVRC2012_val_00000012.JPEG"]
    with pytest.raises(DataError, match=r"ground_truth\.txt and meta\.mat of imagenet-1k do not fit together"):
        list(open_card(serve(web, "imagenet-1k", archives([1001] * 12)), tmp_path / "b").list_files())


def test_imagenet_is_never_downloaded_and_says_how_to_get_it(tmp_path):
    with pytest.raises(
        DownloadError, match=r"Vitrail does not download it: register at https://image-net\.org, fetch ILSVRC"
    ):
        list(open_card(CARDS["imagenet-1k"], tmp_path).list_files())


def test_what_tensorflow_datasets_prepared_has_the_same_names(tmp_path):
    examples = [{"image": [picture(place)], "label": [place % 2]} for place in range(20)]
    splits = {"train": examples[:12], "validation": examples[12:], "test": [{"image": [picture(99)], "label": [-1]}]}
    write_prepared(tmp_path / "imagenet2012" / "5.1.0", "imagenet2012", splits)
    (tmp_path / "imagenet2012" / "5.1.0" / "label.labels.txt").write_text("n01440764\nn02119789\n")
    dataset = read_card(CARDS["imagenet-1k"], tmp_path, data_dir=tmp_path)
    assert counts(dataset) == even("n01440764-tench", "n02119789-kit fox")


def test_the_folders_of_imagenet_v2_are_numbers_and_not_texts(web, tmp_path):
    """Sorted as texts, "10" is the third folder; it is the eleventh class."""
    root = "imagenetv2-matched-frequency-format-val"
    files = {
        f"{root}/{folder}/{image}.jpeg": picture(f"{folder} {image}")
        for folder in (0, 2, 10, 999)
        for image in range(10)
    }
    files |= {f"{root}/1000/a.jpeg": picture("a"), f"{root}/x/a.jpeg": picture("b")}
    card = serve(web, "imagenet-v2", {"imagenetv2-matched-frequency.tar.gz": tar_bytes(files)})  # no gzip, as published
    dataset = read_card(card, tmp_path)
    ids = imagenet_1k().ids
    label = {path.split("/")[1]: label for path, (label, split) in rows(dataset).items() if split is None}
    assert {folder: name[:9] for folder, name in label.items()} == {str(n): ids[n] for n in (0, 2, 10, 999)}
    assert label["10"] == "n01530575-brambling"
    assert [aside.reason for aside in dataset.set_aside] == ["its folder is not a number from 0 to 999"] * 2


@pytest.mark.parametrize("name", ["imagenet-v2-threshold-0.7", "imagenet-v2-top-images"])
def test_the_other_two_of_imagenet_v2(web, tmp_path, name):
    card = CARDS[name]
    (root,) = card.class_folders
    files = {f"{root}/{folder}/{image}.jpeg": picture(f"{folder} {image}") for folder in (1, 20) for image in range(10)}
    dataset = read_card(serve(web, name, {card.forms[0].files[0].name: tar_bytes(files)}), tmp_path)
    ids = imagenet_1k().ids
    assert {name[:9]: number for (name, _), number in counts(dataset).items()} == {ids[1]: 10, ids[20]: 10}
