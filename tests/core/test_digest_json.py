import json

import pytest

from vitrail.core.digest_json import add_digest, parse_with_digest, read_with_digest

FACTS = {"version": 1, "name": "ViT-Ti/16 à", "rates": {"1": 93.25, "2": 1e-5}, "sketch": ("0a", "0b"), "none": None}


def test_what_was_written_is_read_again():
    assert parse_with_digest(json.dumps(add_digest(FACTS))) == FACTS | {"sketch": ["0a", "0b"]}


def test_no_flipped_bit_changes_a_value():
    content = json.dumps(add_digest(FACTS), indent=1).encode()
    intact = parse_with_digest(content)
    assert intact is not None
    for place in range(len(content)):
        for number in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << number
            assert parse_with_digest(bytes(flipped)) in (None, intact)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "5", '{"digest": 3}', '{"a": NaN, "digest": "0"}', "[" * 200_000, '{"digest": "\\ud800"}'],
)
def test_what_has_no_digest_of_its_own_is_none(content: str):
    assert parse_with_digest(content) is None


def test_a_file_that_cannot_be_read_is_none(tmp_path):
    assert read_with_digest(tmp_path / "missing.json") is None
    assert read_with_digest(tmp_path) is None
