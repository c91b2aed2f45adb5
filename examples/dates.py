"""A small real translation task: dates as people write them, in English and French, to ISO 8601.

Everything is generated: draw a date, then one of FORMATS. No two dates are ever written alike, so a perfect score is
possible; the years are the hundred that two digits can name (1969 to 2068, as POSIX reads them).
One date in ten is kept for tests, in every format: training never sees it.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from string import Formatter
from typing import Literal

import numpy as np

Split = Literal["train", "test"]

FIRST_DAY, LAST_DAY = date(1969, 1, 1), date(2068, 12, 31)
TEST_EVERY = 10  # one date in ten

MONTHS = ("January", "February", "March", "April", "May", "June",
          "July", "August", "September", "October", "November", "December")  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOIS = ("janvier", "février", "mars", "avril", "mai", "juin",
        "juillet", "août", "septembre", "octobre", "novembre", "décembre")  # fmt: skip
JOURS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
ORDINALS = {1: "st", 2: "nd", 3: "rd", 11: "th", 12: "th", 13: "th", 21: "st", 22: "nd", 23: "rd", 31: "st"}  # else th

FORMATS = (
    "{yyyy}-{mm}-{dd}",  # 2026-07-04
    "{yyyy}/{mm}/{dd}",  # 2026/07/04
    "{yyyy}{mm}{dd}",  # 20260704
    "{dd}/{mm}/{yyyy}",  # 04/07/2026: with slashes and dots the day comes first, as in Europe
    "{d}/{m}/{yyyy}",  # 4/7/2026
    "{dd}/{mm}/{yy}",  # 04/07/26
    "{d}.{m}.{yyyy}",  # 4.7.2026
    "{dd}.{mm}.{yy}",  # 04.07.26
    "{dd}-{mm}-{yyyy}",  # 04-07-2026
    "{d} {month} {yyyy}",  # 4 July 2026
    "{d} {mon} {yyyy}",  # 4 Jul 2026
    "{dd}-{mon}-{yy}",  # 04-Jul-26
    "{d} {MON} {yyyy}",  # 4 JUL 2026
    "{month} {d}, {yyyy}",  # July 4, 2026
    "{month} {nth}, {yyyy}",  # July 4th, 2026
    "{mon} {d} {yyyy}",  # Jul 4 2026
    "{nth} {month} {yyyy}",  # 4th July 2026
    "the {nth} of {month}, {yyyy}",  # the 4th of July, 2026
    "{weekday}, {month} {d}, {yyyy}",  # Saturday, July 4, 2026
    "{weekday} {d} {month} {yyyy}",  # Saturday 4 July 2026
    "{wkd}, {dd} {mon} {yyyy}",  # Sat, 04 Jul 2026
    "{wkd} {mon} {d}, '{yy}",  # Sat Jul 4, '26
    "{jour1} {mois} {yyyy}",  # 4 juillet 2026, 1er juillet 2026
    "le {jour1} {mois} {yyyy}",  # le 4 juillet 2026
    "{jour} {jour1} {mois} {yyyy}",  # samedi 4 juillet 2026
    "{dd} {mois} {yy}",  # 04 juillet 26
)

WORDS = (*MONTHS, *(month[:3].upper() for month in MONTHS), *WEEKDAYS, *MOIS, *JOURS, *ORDINALS.values(), "1er")
BETWEEN = [text for form in FORMATS for text, *_ in Formatter().parse(form)]
ALPHABET = "".join(sorted(set("0123456789").union(*WORDS, *BETWEEN)))
"""Every character that a date of this task may be written with, in either language of the translation."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One example: a date as a person writes it, and in ISO 8601."""

    written: str
    iso: str


def write_date(day: date, form: str) -> str:
    """Write a date in one of FORMATS."""
    month, mois, weekday = MONTHS[day.month - 1], MOIS[day.month - 1], WEEKDAYS[day.weekday()]
    return form.format(
        yyyy=f"{day.year}",
        yy=f"{day.year % 100:02}",
        m=day.month,
        mm=f"{day.month:02}",
        month=month,
        mon=month[:3],
        MON=month[:3].upper(),
        mois=mois,
        d=day.day,
        dd=f"{day.day:02}",
        nth=f"{day.day}{ORDINALS.get(day.day, 'th')}",
        jour1="1er" if day.day == 1 else day.day,
        weekday=weekday,
        wkd=weekday[:3],
        jour=JOURS[day.weekday()],
    )


def list_days() -> Iterator[date]:
    """Yield every date of the task, in order."""
    for offset in range((LAST_DAY - FIRST_DAY).days + 1):
        yield FIRST_DAY + timedelta(days=offset)


def split_of(day: date) -> Split:
    """The split of a date, the same in every run and format: it follows from a checksum of the ISO form."""
    return "train" if zlib.crc32(day.isoformat().encode()) % TEST_EVERY else "test"


def draw_pairs(count: int, *, split: Split, generator: np.random.Generator) -> list[Pair]:
    """Draw examples: dates and formats, each with the same chance, with replacement."""
    days = [day for day in list_days() if split_of(day) == split]
    places = generator.integers(len(days), size=count)
    forms = generator.integers(len(FORMATS), size=count)
    return [
        Pair(write_date(days[place], FORMATS[form]), days[place].isoformat())
        for place, form in zip(places, forms, strict=True)
    ]
