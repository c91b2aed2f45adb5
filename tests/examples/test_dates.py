from datetime import date

import numpy as np
import pytest

from examples.dates import ALPHABET, FORMATS, draw_pairs, list_days, split_of, write_date


def test_a_date_is_written_as_people_write_it():
    day = date(2026, 7, 4)
    assert write_date(day, "the {nth} of {month}, {yyyy}") == "the 4th of July, 2026"
    assert write_date(day, "{jour} {jour1} {mois} {yyyy}") == "samedi 4 juillet 2026"
    assert write_date(date(2026, 8, 1), "le {jour1} {mois} {yyyy}") == "le 1er août 2026"
    assert write_date(day, "{dd}-{mon}-{yy}") == "04-Jul-26"


def test_no_two_dates_are_ever_written_alike():
    seen: dict[str, date] = {}
    for day in list(list_days())[::7]:
        for form in FORMATS:
            assert seen.setdefault(write_date(day, form), day) == day


def test_a_tenth_of_the_dates_is_kept_for_tests_and_never_drawn_for_training():
    share = sum(split_of(day) == "test" for day in list_days()) / len(list(list_days()))
    assert share == pytest.approx(0.1, abs=0.01)
    for split in ("train", "test"):
        pairs = draw_pairs(500, split=split, generator=np.random.default_rng(0))
        assert {split_of(date.fromisoformat(pair.iso)) for pair in pairs} == {split}
        assert set("".join(pair.written for pair in pairs)) <= set(ALPHABET)
