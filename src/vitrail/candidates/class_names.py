"""Which of a person's classes are classes of a published label set, by name alone.

Names are compared as words: case, underscores, hyphens and a number or a WordNet id in front count for nothing, so
"n02085620-Chihuahua", "042.chihuahua" and "Chihuahua" are one. A word that names two classes, as "crane" names a bird
and a machine, matches both.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from vitrail.core.label_sets import LabelSet

WORDNET_ID = re.compile(r"^n\d{8}(?!\d)")
NUMBER_IN_FRONT = re.compile(r"^\d+[\s._-]+(?=\D)")


def match_names(classes: Sequence[str], labels: LabelSet) -> dict[int, tuple[int, ...]]:
    """The outputs of a classifier that a class may mean.

    Returns:
        For each class that matches, by its index: the places of its outputs. Classes that match nothing are left out.
    """
    place_of_id = {synset: place for place, synset in enumerate(labels.ids)}
    places_of_name: defaultdict[str, list[int]] = defaultdict(list)
    for place, names in enumerate(labels.names):
        for name in {plain_words(name) for name in names}:
            places_of_name[name].append(place)
    matches: dict[int, tuple[int, ...]] = {}
    for index, name in enumerate(classes):
        synset = WORDNET_ID.match(name.strip())
        if synset and synset[0] in place_of_id:
            matches[index] = (place_of_id[synset[0]],)
        elif places := places_of_name.get(plain_words(name)):
            matches[index] = tuple(places)
    return matches


def plain_words(name: str) -> str:
    """A class name as words: "n02085620-Chihuahua" as "chihuahua", "Black_footed-Albatross" as its words."""
    bare = NUMBER_IN_FRONT.sub("", WORDNET_ID.sub("", name.strip()))
    return " ".join(re.split(r"[\s_\-'.]+", bare.casefold())).strip()


def synsets(matches: Mapping[int, tuple[int, ...]], labels: LabelSet) -> frozenset[str]:
    """The ids that a match names."""
    return frozenset(labels.ids[place] for places in matches.values() for place in places)
