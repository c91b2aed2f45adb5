"""What a verification gathers: values that a run stores, compared with the same values computed again."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

RELATIVE, ABSOLUTE = 1e-9, 1e-12  # the last digits depend on the processor's order of sums


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Something that the run says in one place and its files say otherwise."""

    where: str
    stored: str
    recomputed: str


class Comparison:
    """Stored values against recomputed ones: how many were compared, which differ, and what could not be recomputed."""

    def __init__(self) -> None:
        self.compared = 0
        self.differences: list[Difference] = []
        self.not_recomputed: list[str] = []

    def differ(self, where: str, stored: object, recomputed: object) -> None:
        """Note that something differs."""
        self.differences.append(Difference(where=where, stored=str(stored), recomputed=str(recomputed)))

    def compare(self, where: str, stored: Any, recomputed: Any) -> None:
        """Compare two JSON values, leaf by leaf."""
        for path, old, new in _leaves(where, stored, recomputed):
            self.compared += 1
            if not _same(old, new):
                self.differ(path, old, new)


def _leaves(where: str, stored: Any, recomputed: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(stored, dict) and isinstance(recomputed, dict):
        for key in dict.fromkeys([*stored, *recomputed]):
            yield from _leaves(f"{where}.{key}", stored.get(key), recomputed.get(key))
    elif isinstance(stored, list) and isinstance(recomputed, list) and len(stored) == len(recomputed):
        for place, (old, new) in enumerate(zip(stored, recomputed, strict=True)):
            name = old.get("name", place) if isinstance(old, dict) else place
            yield from _leaves(f"{where}[{name}]", old, new)
    else:
        yield where, stored, recomputed


def _same(stored: Any, recomputed: Any) -> bool:
    if isinstance(stored, float) and isinstance(recomputed, (int, float)):
        return math.isclose(stored, recomputed, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(stored == recomputed)
