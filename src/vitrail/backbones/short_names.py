"""Short names for `-b`, such as resnet50 or dinov2-s: the weights that each stands for, and why. Imports no torch."""

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files

SEPARATORS = re.compile(r"[-_./ ]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortName:
    """One way to write a backbone; `card` is its full name, `why` says why these weights and no others."""

    name: str
    card: str
    why: str

    def explain(self) -> str:
        """What was taken for it, as a sentence."""
        return f"{self.name} is short for {self.card} ({self.why})."


def load_short_names() -> dict[str, ShortName]:
    """Every short name by its letters and digits alone.

    Raises:
        ValueError: one name stands for two backbones.
    """
    known: dict[str, ShortName] = {}
    text = (files("vitrail.backbones") / "short_names.toml").read_text(encoding="utf-8")
    for card, facts in tomllib.loads(text).items():
        for name in facts["names"]:
            if _letters(name) in known:
                raise ValueError(f"The short name {name} stands for two backbones; the second is {card}.")
            known[_letters(name)] = ShortName(name=name, card=card, why=facts["why"])
    return known


def find_short_name(text: str) -> ShortName | None:
    """The short name that is written here, in any case and with any separators; None if it is not one."""
    return load_short_names().get(_letters(text))


def _letters(name: str) -> str:
    return SEPARATORS.sub("", name.lower())
