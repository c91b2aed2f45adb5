from collections import Counter
from dataclasses import fields

import pytest

from vitrail.data.named.cards import DatasetCard, load_dataset_cards

CARDS = load_dataset_cards()


def test_no_name_or_alias_means_two_data_sets():
    names = Counter(name for card in CARDS.values() for name in (card.name, *card.aliases))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.name)
def test_every_fact_of_a_card_has_a_source(card):
    """Whoever writes sizes, digests, counts or a licence says where they were read."""
    known = {member.name for member in fields(DatasetCard)} | {"files"}
    stated = {fact for facts in card.seen_in for fact in facts.split(", ")}
    assert stated <= known
    needed = {"files"} if card.forms else set()
    needed |= {"licence"} if card.licence and not card.files_of else set()
    assert needed <= stated
    assert all(overlap.source for overlap in card.overlaps)


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.name)
def test_what_is_downloaded_has_an_address_and_a_published_digest(card):
    for file in card.forms[0].files if card.forms else ():
        assert file.urls or card.by_hand
        assert file.sha256 or file.md5 or not file.urls


def test_a_compressed_tar_is_stored_as_the_tar_in_it():
    stored = {file.name: file.stored_as for card in CARDS.values() for form in card.forms for file in form.files}
    assert stored["102flowers.tgz"] == "102flowers.tar"
    assert stored["caltech-101.zip"] == "101_ObjectCategories.tar"
    assert stored["EuroSAT.zip"] == "EuroSAT.zip"
    assert stored["setid.mat"] == "setid.mat"
