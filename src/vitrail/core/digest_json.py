"""JSON objects that hold the sha256 of everything else in them: a flipped bit anywhere is noticed."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitrail.core.bounded import parse_json, read_json
from vitrail.core.hashing import fingerprint

DIGEST = "digest"


def add_digest(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same JSON values, with their digest."""
    return {**facts, DIGEST: fingerprint(dict(facts))}


def require_digest(document: object) -> dict[str, Any]:
    """The values that `add_digest` was given; raises ValueError if the document is not what it gave."""
    if isinstance(document, dict):
        facts = {name: value for name, value in document.items() if name != DIGEST}
        with suppress(RecursionError, ValueError):  # nested too deeply, or with a number that is none
            if fingerprint(facts) == document.get(DIGEST):
                return facts
    raise ValueError("its digest does not match its content")


def parse_with_digest(content: bytes | str) -> dict[str, Any] | None:
    """The values in JSON with a digest; None if it is damaged, or was not written with one."""
    try:
        return require_digest(parse_json(content))
    except ValueError:
        return None


def read_with_digest(path: Path) -> dict[str, Any] | None:
    """The same of a file; None if it cannot be read either."""
    try:
        return require_digest(read_json(path))
    except (OSError, ValueError):
        return None
