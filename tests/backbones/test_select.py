"""What is asked for is what is shown, and what nobody knows is not allowed."""

from dataclasses import replace

import pytest

from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.select import Wanted, parse_count, select
from vitrail.core.errors import UsageError

CARDS = list(load_catalogue().values())
BASE = load_catalogue()["resnet18.tv_in1k"]
FREE = replace(BASE, name="free")
CLOSED = replace(BASE, name="closed", licence="CC-BY-NC-4.0", commercial="no")
SILENT = replace(BASE, name="silent", licence="", commercial="unknown", pretraining=(), parameters=10)


def names(cards) -> list[str]:
    return [card.name for card in cards]


def test_no_condition_shows_all_cards_in_the_catalogues_order():
    assert select(CARDS, Wanted()) == CARDS


def test_commercial_leaves_out_forbidden_and_unknown_licences():
    assert names(select([FREE, CLOSED, SILENT], Wanted(licence="commercial"))) == ["free"]


def test_a_licence_can_be_named_in_any_case():
    assert names(select([FREE, CLOSED, SILENT], Wanted(licence="cc-by-nc-4.0"))) == ["closed"]


def test_parameters_are_at_most_what_was_said():
    assert names(select([FREE, SILENT], Wanted(max_parameters=10))) == ["silent"]
    assert names(select([FREE, SILENT], Wanted(max_parameters=FREE.parameters))) == ["free", "silent"]


def test_a_collection_is_one_of_several():
    found = select(CARDS, Wanted(pretrained_on="ImageNet-21k", max_parameters=6_000_000))
    assert names(found) == [
        "eva02_tiny_patch14_224.mim_in22k",
        "eva02_tiny_patch14_336.mim_in22k_ft_in1k",
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
        "vit_tiny_patch16_224.augreg_in21k",
    ]


@pytest.mark.parametrize(("sort", "fact"), [("params", "parameters"), ("gmacs", "gmacs"), ("width", "feature_width")])
def test_an_order_puts_the_smallest_first(sort, fact):
    values = [getattr(card, fact) for card in select(CARDS, Wanted(sort=sort))]
    assert values == sorted(values)
    assert len(values) == len(CARDS)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted(licence="Apache"), r"no licence 'Apache'.*Apache-2\.0"),
        (Wanted(pretrained_on="imagenet21k"), r"Did you mean imagenet-21k\?"),
        (Wanted(sort="speed"), r"no order 'speed'.*name, params, gmacs, width"),
    ],
)
def test_an_unknown_value_is_an_error_that_lists_the_known_ones(wanted, says):
    with pytest.raises(UsageError, match=says):
        select(CARDS, wanted)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("30M", 30_000_000),
        ("1.1B", 1_100_000_000),
        ("1.1g", 1_100_000_000),
        ("500k", 500_000),
        ("25,557,032", 25_557_032),
    ],
)
def test_a_number_of_parameters_is_read_as_people_write_it(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "M", "30 T", "-3M", "many", "1e6"])
def test_text_that_is_not_a_number_is_refused(text):
    with pytest.raises(UsageError, match="30M"):
        parse_count(text)


def test_multiply_adds_are_at_most_what_was_said():
    cheap = replace(BASE, name="cheap", gmacs=0.5)
    assert names(select([BASE, cheap], Wanted(max_gmacs=0.5))) == ["cheap"]


def test_only_cards_that_are_known_not_to_have_seen_a_collection_never_saw_it():
    other = replace(BASE, name="other", pretraining=("webli",))
    assert names(select([BASE, other, SILENT], Wanted(not_pretrained_on="ImageNet-1k"))) == ["other"]
    with pytest.raises(UsageError, match="no pretraining collection"):
        select([BASE], Wanted(not_pretrained_on="imagenet-2k"))
