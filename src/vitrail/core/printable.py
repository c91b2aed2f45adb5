"""Text from outside as a terminal may show it: what would move the cursor or reorder a line is written out.

Names of files, classes and tensors come from others. An escape sequence in one could clear the screen or forge a line,
and a bidirectional control could make one name look like another. Files that are written keep every character.
"""

import operator
import re
from dataclasses import replace
from typing import Any, TypeVar

LAYOUT = "\n\t"  # what a text of several lines needs
# Controls (C0, C1), separators of lines and paragraphs, bidirectional controls (Unicode's property Bidi_Control), and
# surrogates, which no encoding can print.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

Value = TypeVar("Value")


def make_printable(text: str, *, layout: str = "") -> str:
    r"""The text with each character written out that a terminal would obey, such as `\x1b` and `\u202e`.

    Args:
        text: what is printed.
        layout: control characters that stay; LAYOUT for a text of several lines.
    """
    return _UNSAFE.sub(lambda match: match[0] if match[0] in layout else _write_out(match[0]), text)


def escape_for_json(document: str) -> str:
    """The same JSON document with each such character as an escape of JSON, which stands for the very character."""
    return _UNSAFE.sub(lambda match: match[0] if match[0] in LAYOUT else f"\\u{ord(match[0]):04x}", document)


def make_strings_printable(value: Value) -> Value:
    """The same for every string in a record of dataclasses, mappings and tuples, before its texts are laid out."""
    return _convert(value)  # type: ignore[no-any-return]


def _convert(value: Any) -> Any:
    """The value itself if nothing in it changes, which is nearly always so."""
    if isinstance(value, str):
        return make_printable(value) if _UNSAFE.search(value) else value
    if isinstance(value, tuple):
        converted = tuple(map(_convert, value))
        return value if all(map(operator.is_, converted, value)) else converted
    if isinstance(value, dict):
        entries = {_convert(key): _convert(inner) for key, inner in value.items()}
        same = all(map(operator.is_, entries, value)) and all(map(operator.is_, entries.values(), value.values()))
        return value if same else entries
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        before = {name: getattr(value, name) for name in value.__dataclass_fields__}
        changed = {name: after for name, inner in before.items() if (after := _convert(inner)) is not inner}
        return replace(value, **changed) if changed else value
    return value


def _write_out(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
