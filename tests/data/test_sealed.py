import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from vitrail.core.errors import SealError
from vitrail.data.sealed import SealedTest

LABELS = {"first": 7_001, "second": 7_002}


def test_the_labels_are_given_once():
    sealed = SealedTest(LABELS)
    assert sealed.opened_with is None
    assert sealed.open("digest of choices") == LABELS
    assert sealed.opened_with == "digest of choices"
    for again in ("digest of choices", "others"):
        with pytest.raises(SealError, match=r"opened already.*run a new benchmark"):
            sealed.open(again)


def test_of_many_threads_one_gets_the_labels():
    sealed = SealedTest(LABELS)

    def attempt(number: int) -> bool:
        try:
            return sealed.open(str(number)) == LABELS
        except SealError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(64))) == 1


def test_an_opening_names_the_choices():
    with pytest.raises(SealError, match="make every choice first"):
        SealedTest(LABELS).open("")


@pytest.mark.parametrize(
    "look",
    [
        list,
        dict,
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        lambda sealed: "first" in sealed,
        lambda sealed: [*sealed],
        lambda sealed: SealedTest(sealed),
    ],
)
def test_no_other_way_leads_to_the_labels(look):
    with pytest.raises((SealError, TypeError)):
        look(SealedTest(LABELS))


def test_printing_shows_no_label():
    sealed = SealedTest(LABELS)
    for shown in (repr(sealed), str(sealed), f"{sealed}", repr([sealed])):
        assert "2 labels, sealed" in shown
        assert "700" not in shown
        assert "first" not in shown
    assert not hasattr(sealed, "__dict__")
    assert len(sealed) == 2


def test_the_size_of_a_class_is_known_without_opening():
    sealed = SealedTest({"a": 0, "b": 2, "c": 2})
    assert sealed.counts(3) == (1, 0, 2)
    assert sealed.counts(3, without={"b", "unknown"}) == (1, 0, 1)
    sealed.open("choices")
    with pytest.raises(SealError, match="count the labels"):
        sealed.counts(3)


def test_the_mapping_given_can_change_without_harm():
    labels = dict(LABELS)
    sealed = SealedTest(labels)
    labels["first"] = 0
    assert sealed.open("choices") == LABELS
