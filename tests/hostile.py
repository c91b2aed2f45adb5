"""Files as accidents and strangers leave them, for hypothesis: bytes at random, documents with one place changed."""

import copy
import json
import struct
from typing import Any

from hypothesis import strategies as st

DEEP = b"[" * 200_000
STRANGE = (
    *(None, True, 0, -1, 2**70, 10**400, 0.5, -1e308, float("nan"), float("inf")),
    *("", "x", "\ud800", "\x1b[2J\u202e", "x" * 5000, "../../etc", "/dev/zero", "[/bold]", "2026-99-99", "~nosuchuser"),
    *([], {}, [[]], [None], {"a": 1}, ["x"]),
)
VALUES = st.recursive(
    st.sampled_from(STRANGE) | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def random_bytes(valid: bytes) -> st.SearchStrategy[bytes]:
    """Bytes at random, and a valid file with a part of it replaced, cut out or doubled."""
    place = st.integers(0, len(valid))
    changed = st.tuples(place, place, st.binary(max_size=8)).map(
        lambda cut: valid[: cut[0]] + cut[2] + valid[max(cut[0], cut[1]) :]
    )
    whole = st.sampled_from([b"", b"{}", b"5\n", b"[]", b"null", b"\xff\xfe", b"\0" * 64, DEEP, valid * 2])
    return st.one_of(changed, whole, st.binary(max_size=200))


def changed_json(valid: Any) -> st.SearchStrategy[bytes]:
    """A JSON document with one or two of its values replaced or deleted, and others at random."""
    places = st.lists(st.tuples(st.sampled_from(list_places(valid)), VALUES, st.booleans()), min_size=1, max_size=2)
    return places.map(lambda changes: json.dumps(_change(valid, changes)).encode()) | VALUES.map(
        lambda value: json.dumps(value).encode()
    )


def list_places(document: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value inside a document, of at most three in each list."""
    items: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document))[:3]
    return [path for key, inner in items for path in ((*above, key), *list_places(inner, (*above, key)))]


def _change(document: Any, changes: list[tuple[tuple[Any, ...], Any, bool]]) -> Any:
    document = copy.deepcopy(document)
    for path, value, deletes in changes:
        inner = document
        try:
            for key in path[:-1]:
                inner = inner[key]
            if deletes:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # the first change took this place away
    return document


def replace_metadata(safetensors: bytes, key: str, text: bytes) -> bytes:
    """A safetensors file with another text in its metadata; text that is not UTF-8 is replaced."""
    (length,) = struct.unpack("<Q", safetensors[:8])
    header = json.loads(safetensors[8 : 8 + length])
    header["__metadata__"][key] = text.decode(errors="replace")
    content = json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + safetensors[8 + length :]
