"""The cards of every backbone known by name: the TOML files of this folder, read by one function.

To add a backbone, add a table to one of the files. A test counts its parameters and multiply-adds
again and compares its preprocessing with timm's. `seen_in` may name several facts of one source in one key.
"""

import re
import tomllib
from difflib import get_close_matches
from importlib.resources import files
from typing import Any

from vitrail.backbones.cards import Card, Preprocessing
from vitrail.core.errors import UsageError

NEAREST_NAMES = 4
MOST_MATCHES = 8
SEPARATORS = re.compile(r"[-_./@ ]")
SIZES = {"ti": "tiny", "s": "small", "b": "base", "l": "large", "h": "huge", "g": "giant"}


def load_catalogue() -> dict[str, Card]:
    """Every card by name, in the order of the files.

    Raises:
        ValueError: two files have a card of the same name.
    """
    catalogue: dict[str, Card] = {}
    folder = files(__name__)
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".toml"):
            continue
        for name, facts in tomllib.loads(file.read_text(encoding="utf-8")).items():
            if name in catalogue:
                raise ValueError(f"The catalogue has two cards named {name}; the second is in {file.name}.")
            catalogue[name] = _card(name, facts)
    return catalogue


def find_card(name: str) -> Card:
    """The card of one backbone.

    Raises:
        UsageError: the catalogue has no such backbone; the message names those that match, or similar ones.
    """
    catalogue = load_catalogue()
    if name in catalogue:
        return catalogue[name]
    matching = matching_names(name, list(catalogue))
    if matching:
        more = f" and {len(matching) - MOST_MATCHES} more" if len(matching) > MOST_MATCHES else ""
        offer = f"these match: {', '.join(matching[:MOST_MATCHES])}{more}"
    else:
        offer = f"similar names are {', '.join(nearest_names(name, list(catalogue)))}"
    raise UsageError(f"The catalogue has no backbone {name!r}; {offer}. `vitrail backbones` lists all.")


def matching_names(name: str, names: list[str]) -> list[str]:
    """The names that begin with what was written; if none do, those that have all of its words, a size in any form."""
    wanted = name.lower()
    beginning = [known for known in names if wanted and known.startswith(wanted)]
    if beginning:
        return beginning
    words = [word for word in SEPARATORS.split(wanted) if word]
    return [known for known in names if words and all(_has_word(known, word) for word in words)]


def _has_word(name: str, word: str) -> bool:
    words = SEPARATORS.split(name)
    return word in words or SIZES.get(word, word) in words or (len(word) > 2 and any(word in each for each in words))


def nearest_names(name: str, names: list[str]) -> list[str]:
    """The names that somebody who wrote `name` most probably meant, the best first.

    First come names that begin as it does, such as "resnet50" of "resnet50.tv_in1k", then those spelt alike.
    """
    wanted = name.lower()
    beginning = [known for known in names if wanted and known.startswith(wanted)]
    alike = get_close_matches(wanted, names, n=NEAREST_NAMES, cutoff=0.0)
    return list(dict.fromkeys(beginning + alike))[:NEAREST_NAMES]


def _card(name: str, facts: dict[str, Any]) -> Card:
    facts = {"positions": None} | {key: _frozen(value) for key, value in facts.items()}
    facts["preprocessing"] = Preprocessing(**{key: _frozen(value) for key, value in facts["preprocessing"].items()})
    facts["seen_in"] = {fact: source for kinds, source in facts["seen_in"].items() for fact in kinds.split(", ")}
    return Card(name=name, **facts)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
