"""What rooms keep in the cache beside features, as pruning sees it: it can be made again at any time."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """One thing: what it is in words, and where it lies below the cache. `last_used` is in seconds since 1970."""

    key: str
    what: str
    inside: str
    bytes: int
    last_used: float

    def place(self, cache: Path) -> Path:
        """Its file or folder."""
        return cache / self.inside
