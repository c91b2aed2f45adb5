"""Candidates follow from the facts of the cards, never from their names."""

from dataclasses import replace

import pytest

from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.select import Wanted
from vitrail.candidates.shortlist import kind_of, make_shortlist
from vitrail.core.errors import UsageError

CATALOGUE = list(load_catalogue().values())
BASE = load_catalogue()["resnet50.tv_in1k"]


def card(name, *, family="resnet", gmacs=4.0, labels="imagenet-1k", pretraining=("imagenet-1k",), **changes):
    facts = {"name": name, "repository": name, "family": family, "gmacs": gmacs, "labels": labels}
    return replace(BASE, **facts, pretraining=pretraining, **changes)


def names(shortlist) -> list[str]:
    return [card.name for card in shortlist.cards]


def test_a_dozen_of_the_catalogue_has_every_kind_of_pretraining_and_no_network_larger_than_b():
    shortlist = make_shortlist(CATALOGUE, Wanted())
    assert len(shortlist.picks) == 12
    kinds = [pick.kind for pick in shortlist.picks]
    assert {kind: kinds.count(kind) for kind in kinds} == {"supervised": 4, "self-supervised": 4, "image-text": 4}
    assert len({card.family for card in shortlist.cards}) >= 5
    assert max(card.parameters for card in shortlist.cards) <= 100_000_000
    assert all(card.repository != "embedded" for card in shortlist.cards)
    assert len({card.repository for card in shortlist.cards}) == 12


def test_kinds_families_and_data_take_turns_and_the_extremes_of_a_lineage_come_first():
    cards = [
        card("r1", gmacs=1.0, variant={"depth": 18}),
        card("r2", gmacs=2.0, variant={"depth": 34}),
        card("r3", gmacs=3.0, variant={"depth": 50}),
        card("v", family="vit", pretraining=("imagenet-21k",), labels="imagenet-21k"),
        card("r21", pretraining=("imagenet-21k",), labels="imagenet-21k"),
        card("c", family="clip", labels="", pretraining=("laion-2b",)),
        card("d", family="vit", labels="", pretraining=("lvd-142m",)),
    ]
    shortlist = make_shortlist(cards, Wanted())
    assert names(shortlist) == ["v", "d", "c", "r21", "r3", "r1", "r2"]
    assert [pick.kind for pick in shortlist.picks[:3]] == ["supervised", "self-supervised", "image-text"]
    assert shortlist.picks[0].reason == "supervised on imagenet-21k, vit"
    assert shortlist.picks[5].reason == "supervised on imagenet-1k, resnet, another size"


def test_a_second_training_on_imagenet_1k_is_not_more_data():
    twice = card("twice", family="convnext", pretraining=("imagenet-1k", "imagenet-1k"))
    more = card("more", family="vit", pretraining=("imagenet-21k", "imagenet-1k"))
    shortlist = make_shortlist([twice, card("once"), more], Wanted())
    assert names(shortlist) == ["more", "twice", "once"]
    assert shortlist.picks[1].reason == "supervised on imagenet-1k, convnext"


def test_a_reason_says_in_what_a_card_differs_from_those_before_it():
    larger = replace(BASE.preprocessing, resize=342, crop=300)
    cards = [card("a", gmacs=3.0), card("b", gmacs=3.0), card("c", gmacs=2.0, variant={"depth": 34})]
    shortlist = make_shortlist([*cards, card("d", gmacs=7.0, preprocessing=larger)], Wanted())
    assert {pick.card.name: pick.reason.rpartition(", ")[2] for pick in shortlist.picks} == {
        "d": "resnet",
        "c": "another size",
        "a": "another input size",
        "b": "other weights",
    }


def test_a_family_that_nobody_thought_of_takes_part_by_its_facts():
    new = card("n", family="timm", pretraining=("imagenet-21k",), labels="")
    assert kind_of(new) == "self-supervised"
    families = {each.family for each in CATALOGUE if kind_of(each) == "self-supervised"}
    turns = 3 * (len(families) + 1)  # of the kinds until each of its families had one
    assert "n" in names(make_shortlist([*CATALOGUE, new], Wanted(), candidates=turns))


def test_of_cards_that_share_weights_the_cheapest_takes_part():
    cards = [card("large input", gmacs=20.0), card("small input", gmacs=5.0)]
    shortlist = make_shortlist([replace(each, repository="the same") for each in cards], Wanted())
    assert names(shortlist) == ["small input"]
    assert shortlist.eligible == 1


def test_conditions_hold_for_every_pick_and_are_part_of_the_rule():
    wanted = Wanted(licence="commercial", max_gmacs=5.0, not_pretrained_on="imagenet-1k")
    shortlist = make_shortlist(CATALOGUE, wanted)
    assert shortlist.picks
    for each in shortlist.cards:
        assert (each.commercial, each.gmacs <= 5.0, "imagenet-1k" in each.pretraining) == ("yes", True, False)
    for part in ("licence commercial", "at most 5 GMACs", "not pretrained on imagenet-1k"):
        assert part in shortlist.rule


def test_a_limit_that_is_given_replaces_both_default_limits():
    large = make_shortlist(CATALOGUE, Wanted(max_parameters=400_000_000), candidates=40)
    assert max(each.parameters for each in large.cards) > 300_000_000
    assert max(each.gmacs for each in large.cards) > 30


def test_those_that_come_first_do_so_even_if_nobody_publishes_them():
    everything = names(make_shortlist(CATALOGUE, Wanted(), candidates=len(CATALOGUE)))
    first = {everything[-1], "vit_mini"}
    assert set(names(make_shortlist(CATALOGUE, Wanted(), first=first))[:2]) == first


def test_no_eligible_card_is_an_error_that_says_what_to_do():
    with pytest.raises(UsageError, match="leave one out, or allow larger networks"):
        make_shortlist(CATALOGUE, Wanted(max_gmacs=0.001))
    with pytest.raises(UsageError, match="at least one candidate"):
        make_shortlist(CATALOGUE, Wanted(), candidates=0)
