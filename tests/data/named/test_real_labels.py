import pytest

from tests.data.named.layouts.conftest import web as web
from tests.data.named.layouts.miniature import open_card, serve
from vitrail.core.errors import DataError
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.real_labels import CARD, number_in_val, parse_real_labels


def test_the_first_labels_of_the_published_file_are_read():
    """The beginning of google-research/reassessed-imagenet bcd006f, real.json."""
    labels = parse_real_labels(b"[[], [970, 795], [230, 231], [809]]", "real.json")
    assert labels == [frozenset(), {970, 795}, {230, 231}, {809}]


@pytest.mark.parametrize("content", [b"{}x", b"[1]", b'[["a"]]', b"7"])
def test_another_file_is_one_sentence(content):
    with pytest.raises(DataError, match=r"real\.json is not a list of labels for each image"):
        parse_real_labels(content, "real.json")


def test_classes_that_do_not_exist_are_one_sentence():
    with pytest.raises(DataError, match="has classes that ImageNet-1k does not have"):
        parse_real_labels(b"[[1000]]", "real.json")


def test_images_of_val_are_known_by_their_names():
    assert number_in_val("val/n01440764/ILSVRC2012_val_00000293.JPEG") == 293
    assert number_in_val("n01440764.tar/n01440764_18.JPEG") is None


def test_the_card_of_the_labels_says_whose_images_they_are(web, tmp_path):
    assert [file.name for file in load_dataset_cards()[CARD].forms[0].files] == ["real.json"]
    source = open_card(serve(web, CARD, {"real.json": b"[[]]"}), tmp_path)
    with pytest.raises(DataError, match=r"has no images of its own\. The images are those of imagenet-1k's test"):
        list(source.list_files())
