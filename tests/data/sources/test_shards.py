import pytest

from vitrail.data.sources.shards import expanded, open_archive, open_shards


def test_braces_stand_for_numbers_of_their_width():
    assert list(expanded("a-{08..11}.tar")) == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert list(expanded("{0..1}-{0..1}")) == ["0-0", "0-1", "1-0", "1-1"]
    assert list(expanded("plain.tar")) == ["plain.tar"]


def test_what_is_no_archive_is_none():
    def never() -> None:
        pytest.fail("it is not opened")

    assert open_archive("x.csv", never) is None
    assert open_shards({"a.tar": never, "cat/1.jpg": never}, "x") is None
    assert open_shards({}, "x") is None
