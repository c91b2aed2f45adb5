"""When two texts are the same label, group, value or file name, however they were typed or encoded."""

import re
import unicodedata

# Zero-width space, word joiner, soft hyphen, byte-order mark, and marks of direction: they change no letter. The
# joiners U+200C and U+200D do, in Persian, Hindi and emoji, so they stay.
_INVISIBLE = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_JOINERS = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
_SPACES = re.compile(r"\s+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def normalise(text: str) -> str:
    """A text in the one form in which texts are compared.

    Accents are composed (NFC), spaces of all kinds are one space between words, and invisible characters are gone.
    """
    if text.isascii() and text.isprintable() and "  " not in text:  # nearly every text
        return text.strip()
    return unicodedata.normalize("NFC", _SPACES.sub(" ", _INVISIBLE.sub("", text)).strip())


def fold(text: str) -> str:
    """A text without what people overlook: case, width, joiners, spaces, hyphens, and how a number is written."""
    plain = _JOINERS.sub("", unicodedata.normalize("NFKC", normalise(text))).casefold()
    if _NUMBER.fullmatch(plain):
        whole, _, fraction = plain.lstrip("+").partition(".")
        sign = "-" if whole.startswith("-") else ""
        return f"{sign}{whole.lstrip('-').lstrip('0') or '0'}.{fraction.rstrip('0')}"
    return re.sub(r"[\s_-]+", " ", plain).strip()
