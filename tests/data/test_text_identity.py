import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrail.data.text_identity import fold, normalise


@pytest.mark.parametrize(
    "text",
    ["New York", "New\u00a0York", " New  York\t", "\ufeffNew York", "New\u200b York", "N\u00adew\u2003York\u200e"],
)
def test_spaces_and_what_cannot_be_seen_change_nothing(text):
    assert normalise(text) == "New York"


def test_accents_have_one_form_and_joiners_stay():
    assert normalise("e\u0301te\u0301") == "\u00e9t\u00e9"
    assert normalise("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"
    assert normalise("\u200b \ufeff") == ""


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)
    assert fold(normalise(text)) == fold(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cat", "cat"),
        ("1", "1.0"),
        ("1", "01"),
        ("+1.50", "1.5"),
        ("hot-dog", "hot dog"),
        ("\uff21", "a"),
        ("a\u200db", "ab"),
    ],
)
def test_what_people_overlook_is_folded(one, other):
    assert fold(one) == fold(other)
    assert normalise(one) != normalise(other)


def test_different_names_stay_different():
    assert len({fold(name) for name in ("1", "10", "-1", "1.5", "cat", "cats", "v1", "v01")}) == 8
