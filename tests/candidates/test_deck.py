from dataclasses import replace

import pytest

from vitrail.backbones.cards import of_local_file
from vitrail.backbones.catalogue import find_card
from vitrail.candidates import deck
from vitrail.candidates.deck import find_data_departures, find_departures, find_published

VIT_S, KERAS = "vit_small_patch16_224.augreg_in21k_ft_in1k", "resnet50.keras_in1k"


def topics(card):
    return {departure.topic for departure in find_departures(card)}


def test_the_counts_give_the_figures_that_the_deck_printed():
    assert round(deck.RESNET.right / deck.TEST_IMAGES, 4) == 0.7078
    assert round(deck.VIT.right / deck.TEST_IMAGES, 4) == 0.8084
    assert -(-deck.TEST_IMAGES // 24) == 84  # its steps
    assert (deck.RESNET.user_s, deck.VIT.user_s) == (18_407, 17_030)


@pytest.mark.parametrize("name", [VIT_S, KERAS])
def test_the_decks_very_networks_differ_in_no_network_and_no_weights(name: str):
    """Also from a local file, such as Google's .npz or Keras' .h5, whose digest no card has."""
    for card in (find_card(name), of_local_file(find_card(name), "0" * 64)):
        assert not topics(card) & {"network", "weights"}


@pytest.mark.parametrize(
    ("name", "topic", "said"),
    [
        ("resnet50.tv_in1k", "weights", "are not the deck's, whose ResNet50 was Keras's"),
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", "network", "was ViT-S/16"),
        ("resnet18.tv_in1k", "network", "was ResNet50"),
        ("vit_base_patch16_siglip_224.webli", "network", "were ResNet50 and ViT-S/16"),
    ],
)
def test_other_weights_and_other_networks_are_named(name: str, topic: str, said: str):
    (departure,) = [one for one in find_departures(find_card(name)) if one.topic in ("network", "weights")]
    assert departure.topic == topic
    assert said in departure.sentence


def test_a_local_file_under_another_card_is_said_to_be_unknown():
    card = of_local_file(find_card("resnet50.tv_in1k"), "0" * 64)
    assert any(
        ", a local file that Vitrail does not know, are not" in departure.sentence
        for departure in find_departures(card)
    )
    assert not any("a local file" in departure.sentence for departure in find_departures(find_card(card.name)))


def test_pixels_of_the_decks_networks_are_their_own():
    keras, vit, tv = (find_card(name) for name in (KERAS, VIT_S, "resnet50.tv_in1k"))
    for card in (keras, vit):
        (pixels,) = [one.sentence for one in find_departures(card) if one.topic == "pixels"]
        assert pixels.endswith("how the deck resized is not known.")
    assert "squashed to 224" in next(one.sentence for one in find_departures(keras) if one.topic == "pixels")
    assert any("takes BGR" in one.sentence for one in find_departures(tv))
    other = replace(vit, preprocessing=replace(vit.preprocessing, mean=(0.4, 0.4, 0.4)))
    assert any("takes 0.5 and 0.5" in one.sentence for one in find_departures(other))


def test_networks_that_the_deck_had_none_like_have_no_published_figure():
    assert find_published(find_card("vit_base_patch16_siglip_224.webli")) is None
    assert find_published(find_card("vit_tiny_patch16_224.augreg_in21k_ft_in1k")) is deck.VIT
    assert find_published(find_card("resnet18.tv_in1k")) is deck.RESNET


def test_a_subset_is_named_and_the_split_always():
    whole = find_data_departures(images=20_580, test_images=2_058)
    assert [departure.topic for departure in whole] == ["split"]
    assert "Tested on 2,058 images; the deck on 2,009" in whole[0].sentence
    part = find_data_departures(images=4_800, test_images=2_040)
    assert [departure.topic for departure in part] == ["images", "split"]
    assert part[0].sentence == "4,800 images; Stanford Dogs has 20,580."
