"""JSON objects that hold the sha256 of everything else in them: a flipped bit anywhere is noticed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitrail.core.bounded import parse_json, read_json
from vitrail.core.hashing import fingerprint

DIGEST = "digest"


def add_digest(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same JSON values, with their digest."""
    return {**facts, DIGEST: fingerprint(dict(facts))}


def take_digest(document: object) -> dict[str, Any] | None:
    """The values that `add_digest` was given; None if the document is not what it gave."""
    if not isinstance(document, dict) or DIGEST not in document:
        return None
    facts = {name: value for name, value in document.items() if name != DIGEST}
    try:
        return facts if fingerprint(facts) == document[DIGEST] else None
    except (RecursionError, ValueError):  # nested too deeply, or with a number that is none
        return None


def parse_with_digest(content: bytes | str) -> dict[str, Any] | None:
    """The values in JSON with a digest; None if it is damaged, or was not written with one."""
    try:
        return take_digest(parse_json(content))
    except ValueError:
        return None


def read_with_digest(path: Path) -> dict[str, Any] | None:
    """The same of a file; None if it cannot be read either."""
    try:
        return take_digest(read_json(path))
    except (OSError, ValueError):
        return None
