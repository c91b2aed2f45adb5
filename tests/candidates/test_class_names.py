import pytest

from vitrail.candidates.class_names import match_names, plain_words, synsets
from vitrail.core.label_sets import imagenet_1k


@pytest.mark.parametrize(
    "name",
    ["Chihuahua", "chihuahua", "n02085620-Chihuahua", "n02085620", "042.Chihuahua", "7 Chihuahua", " CHIHUAHUA "],
)
def test_a_class_is_known_however_it_is_written(name: str):
    assert match_names([name], imagenet_1k()) == {0: (151,)}


def test_synonyms_are_the_same_class():
    matches = match_names(["toilet paper", "Maltese_terrier", "Old-English-sheepdog", "groundhog"], imagenet_1k())
    assert synsets(matches, imagenet_1k()) == {"n15075141", "n02085936", "n02105641"}


def test_a_word_of_two_meanings_may_be_either():
    (places,) = match_names(["crane"], imagenet_1k()).values()
    assert {imagenet_1k().ids[place] for place in places} == {"n02012849", "n03126707"}


@pytest.mark.parametrize("name", ["dog", "1", "42", "", "californian_poppy", "n99999999", "chihuahuas in hats"])
def test_a_name_that_is_not_an_imagenet_class_matches_nothing(name: str):
    assert match_names([name], imagenet_1k()) == {}


def test_a_name_that_is_only_a_number_keeps_it():
    assert plain_words("12") == "12"
    assert plain_words("001.Black_footed-Albatross") == "black footed albatross"
