import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrail.core.printable import LAYOUT, escape_for_json, make_printable, make_strings_printable

OBEYED = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F)]))
OBEYED += "".join(map(chr, range(0x2066, 0x206A)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("invoice\u202egnp.exe", r"invoice\u202egnp.exe"),
        ("a\nb\tc\rd", r"a\x0ab\x09c\x0dd"),
        ("\udcff", r"\udcff"),
        ("école 猫 كلب 🐈\u200d⬛", "école 猫 كلب 🐈\u200d⬛"),  # other scripts, and emoji that are joined, stay
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str):
    assert make_printable(text) == shown


@given(st.text())
def test_nothing_that_is_printed_can_be_obeyed_and_a_second_time_changes_nothing(text: str):
    shown = make_printable(text)
    assert not set(shown) & set(OBEYED)
    shown.encode()
    assert make_printable(shown) == shown


def test_a_text_of_several_lines_keeps_its_lines():
    assert make_printable("a\tb\nc\x1b", layout=LAYOUT) == "a\tb\nc\\x1b"


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_json_document_stays_exact(text: str):
    document = json.dumps({"name": text}, ensure_ascii=False, indent=1)
    shown = escape_for_json(document)
    assert json.loads(shown) == {"name": text}
    assert not set(shown) & set(OBEYED) - set("\n")


@dataclass(frozen=True)
class Inner:
    name: str


@dataclass(frozen=True)
class Record:
    names: tuple[str, ...]
    inner: Inner
    counts: dict[str, int]
    share: float


def test_every_string_of_a_record_is_made_printable():
    record = Record(("a\x1b", "b"), Inner("\u202e"), {"c\x07": 3}, 0.5)
    assert make_strings_printable(record) == Record((r"a\x1b", "b"), Inner(r"\u202e"), {r"c\x07": 3}, 0.5)
