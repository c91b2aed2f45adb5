"""Data sets that TensorFlow Datasets prepared are found under --data-dir and read in its order."""

import pytest

from tests.data.named.layouts.miniature import counts, open_card, read_card
from tests.data.named.layouts.prepared import example, picture, records, write_prepared
from vitrail.core.errors import DataError
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.layouts.tfds import prepared_order

CARDS = load_dataset_cards()


def examples(split: str, number: int, classes: int = 2) -> list[dict]:
    start = {"train": 0, "test": 10_000, "validation": 20_000, "extra": 30_000}[split]
    return [{"image": [picture(start + place)], "label": [place % classes]} for place in range(number)]


def write(folder, builder, version="3.0.2", names=("aster", "rose"), **numbers):
    splits = {split: examples(split, number) for split, number in numbers.items()}
    write_prepared(folder / version, builder, splits, shards=3)
    if names:
        (folder / version / "label.labels.txt").write_text("\n".join(names) + "\n")


def test_the_order_is_the_one_that_tensorflow_datasets_prints_for_cifar_10():
    """The first ids of cifar10 in tutorials, such as Ray's: train_16399, train_01680, train_47917 and so on."""
    order = prepared_order(range(50_000), "train")
    assert order[:12] == [16399, 1680, 47917, 17307, 27051, 48736, 26263, 1456, 19135, 31598, 12970, 4223]


@pytest.mark.parametrize("folder", ["cifar10", "."])
def test_images_labels_and_splits_are_read(tmp_path, folder):
    write(tmp_path / "data" / folder, "cifar10", train=12, test=8)
    dataset = read_card(CARDS["cifar-10"], tmp_path, data_dir=tmp_path / "data", offline=True)
    assert counts(dataset) == {
        (name, split): n for name in ("aster", "rose") for split, n in [("train", 6), ("test", 4)]
    }
    assert open_card(CARDS["cifar-10"], tmp_path, data_dir=tmp_path / "data").read("test/0000003") == picture(10_003)


def test_a_neighbouring_data_set_is_not_taken_for_another(tmp_path):
    write(tmp_path / "data", "cifar10", train=12, test=8)
    with pytest.raises(Exception, match=r"cifar-100-binary\.tar\.gz of cifar-100 is not on this machine"):
        read_card(CARDS["cifar-100"], tmp_path, data_dir=tmp_path / "data", offline=True)


def test_the_newest_version_is_read(tmp_path):
    write(tmp_path / "data", "cifar10", version="3.0.2", train=12, test=8)
    write(tmp_path / "data", "cifar10", version="3.0.10", train=16, test=8)
    assert sum(counts(read_card(CARDS["cifar-10"], tmp_path, data_dir=tmp_path / "data")).values()) == 24


def test_where_validation_is_the_only_labelled_one_it_is_the_test(tmp_path):
    write(tmp_path / "data", "food101", train=12, validation=8)
    found = counts(read_card(CARDS["food-101"], tmp_path, data_dir=tmp_path / "data"))
    assert {split for _, split in found} == {"train", "test"}


def test_a_set_without_an_official_split_has_none(tmp_path):
    write(tmp_path / "data" / "eurosat" / "rgb", "eurosat", train=20)
    found = counts(read_card(CARDS["eurosat"], tmp_path, data_dir=tmp_path / "data"))
    assert found == {("aster", None): 10, ("rose", None): 10}


def test_further_splits_and_classes_that_do_not_count_are_set_aside(tmp_path):
    write(tmp_path / "data" / "svhn_cropped", "svhn_cropped", train=12, test=8, extra=4)
    dataset = read_card(CARDS["svhn"], tmp_path, data_dir=tmp_path / "data")
    assert [(aside.path, aside.reason) for aside in dataset.set_aside] == [("extra", "the split extra is not used")]
    write(tmp_path / "caltech101", "caltech101", names=("rose", "background_google"), train=20, test=20)
    listed = list(open_card(CARDS["caltech-101"], tmp_path, data_dir=tmp_path).list_files())
    assert [file.reason for file in listed[1::2]] == ["background_google is not a class of Caltech-101"] * 20


def test_missing_shards_are_one_sentence(tmp_path):
    write(tmp_path / "data", "cifar10", train=12, test=8)
    (tmp_path / "data" / "3.0.2" / "cifar10-train.tfrecord-00001-of-00003").unlink()
    with pytest.raises(DataError, match=r"data has 2 of 3 shards of train: prepare or copy it again"):
        read_card(CARDS["cifar-10"], tmp_path, data_dir=tmp_path / "data")


def test_a_record_that_is_damaged_is_set_aside(tmp_path):
    write(tmp_path / "data", "cifar10", train=12, test=8)
    shard = tmp_path / "data" / "3.0.2" / "cifar10-train.tfrecord-00000-of-00003"
    good = [example(one) for one in examples("train", 12)[:4]]
    shard.write_bytes(records([b"\xff" * 30, *good[1:]]))
    dataset = read_card(CARDS["cifar-10"], tmp_path, data_dir=tmp_path / "data")
    assert [aside.path for aside in dataset.set_aside] == ["train/0000000"]
    assert "is damaged" in dataset.set_aside[0].reason
