"""What can be known of contamination while the test labels are still sealed: names, files, cards, untuned answers.

Evidence has a name and a strength. File names that are ImageNet ids are proof that the images are ImageNet's. A set of
classes that only one public data set has makes that probable: somebody may have photographed the same things. That
classes have the names of ImageNet's, or that a classifier recognises them, is a hint: it says nothing about these
images.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones import Card
from vitrail.backbones.cards import is_unknown_file
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.classifier import Classifier
from vitrail.candidates.class_names import WORDNET_ID, match_names, synsets
from vitrail.candidates.untuned import answer_untuned, match_by_answers
from vitrail.core.label_sets import imagenet_1k, imagenet_21k_ids
from vitrail.data import Dataset, Source, Split
from vitrail.data.named import NamedSource
from vitrail.data.named.cards import Overlap, load_dataset_cards
from vitrail.data.traces import MOST, Collection, Evidence, MatchedBy, Pretraining, Traces, say_about
from vitrail.features import Features

IMAGE_ID = re.compile(r"^(n\d{8})_\d+$")  # how ImageNet names its training images
NAMES: MatchedBy = "names"
ANSWERS: MatchedBy = "answers on training images"
MOST_OF_A_SET = 0.9  # of its classes, for a data set from which some are left out
SMALL: Collection = "ImageNet-1k"
LARGE: Collection = "ImageNet-21k"
# What tags in names of weights mean: 12k is a part of 21k that holds the classes of 1k, and 22k another name of 21k.
TAGS = {
    "in1k": "imagenet-1k",
    "imagenet": "imagenet-1k",
    "imagenet1k": "imagenet-1k",
    "in12k": "imagenet-21k",
    "in21k": "imagenet-21k",
    "in22k": "imagenet-21k",
    "imagenet21k": "imagenet-21k",
    "imagenet22k": "imagenet-21k",
}


def find_traces(
    card: Card,
    classifier: Classifier | None,
    features: Features,
    dataset: Dataset,
    split: Split,
    *,
    trained_ids: Sequence[str],
) -> Traces:
    """Look for signs that a backbone was trained on the test images. No test label is needed.

    If names do not show which output of the classifier belongs to which class, its answers on `trained_ids` do.
    """
    known = find_known_traces(card, classifier, dataset, split)
    evidence = list(known.evidence)
    untuned = None
    if classifier is not None:
        by_name = match_names(dataset.classes, imagenet_1k())
        places, matched_by = by_name, NAMES
        if len(by_name) < max(2, MOST * len(dataset.classes)):
            matched_by = ANSWERS
            places, evidence_of_answers = _match_by_answers(classifier, features, dataset, trained_ids)
            evidence += evidence_of_answers
        log_NK = np.concatenate([classifier.log_probabilities(block_BD) for block_BD in features.blocks(split.test)])
        untuned = answer_untuned(log_NK, places, label_set=classifier.labels.name, matched_by=matched_by)
    return replace(known, evidence=tuple(evidence), untuned=untuned)


def find_known_traces(card: Card, classifier: Classifier | None, dataset: Dataset, split: Split) -> Traces:
    """The signs that need no features: file names, class names and cards."""
    trained_on, pretraining = _find_collections(card, classifier)
    named_small_N, named_large_N = _carry_ids(dataset, split.test)
    return Traces(
        trained_on=trained_on,
        named_after=() if trained_on or pretraining == "stated otherwise" else _read_name(card.name),
        pretraining=pretraining,
        local_file=is_unknown_file(card),
        labels_seen=pretraining != "stated" or card.labels != "",
        evidence=(
            *_of_files(named_small_N, SMALL),
            *_of_files(named_large_N & ~named_small_N, LARGE),
            *_of_names(dataset.classes, match_names(dataset.classes, imagenet_1k())),
            *_of_card(dataset.source),
        ),
        named_N=(named_small_N & (SMALL in trained_on)) | (named_large_N & (LARGE in trained_on)),
        untuned=None,
    )


def _find_collections(card: Card, classifier: Classifier | None) -> tuple[tuple[Collection, ...], Pretraining]:
    """What the backbone was trained on, as far as its card or its classifier prove it."""
    if card.pretraining:
        stated = _name_collections(card.pretraining)
        return stated, "stated" if stated else "stated otherwise"
    if classifier is not None:
        return (SMALL,), "its classifier"
    return (), "its name" if _read_name(card.name) else "not stated"


def _read_name(name: str) -> tuple[Collection, ...]:
    """The collections that a name states, by the catalogue or by the tags that timm puts into names."""
    catalogued = load_catalogue().get(name)
    if catalogued is not None and catalogued.pretraining:
        return _name_collections(catalogued.pretraining)
    tags = set(re.split(r"[^a-z0-9]+", name.lower()))
    return _name_collections([collection for tag, collection in TAGS.items() if tag in tags])


def _name_collections(pretraining: Sequence[str]) -> tuple[Collection, ...]:
    """ImageNet-21k holds the training images of ImageNet-1k."""
    if "imagenet-21k" in pretraining:
        return (SMALL, LARGE)
    return (SMALL,) if "imagenet-1k" in pretraining else ()


def _carry_ids(dataset: Dataset, ids: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images are named by an id of ImageNet-1k, and which by one of ImageNet-21k."""
    paths = dataset.by_id("paths")
    matches_of = [[IMAGE_ID.match(PurePath(path).stem) for path in paths[example]] for example in ids]
    synsets_of = [{match[1] for match in matches if match} for matches in matches_of]
    small, large = set(imagenet_1k().ids), imagenet_21k_ids()
    return (
        np.array([bool(named & small) for named in synsets_of], dtype=bool),
        np.array([bool(named & large) for named in synsets_of], dtype=bool),
    )


def _of_files(named_N: NDArray[np.bool_], collection: Collection) -> list[Evidence]:
    share = float(named_N.mean())
    if share == 0:
        return []
    sentence = f"{say_about(share)} of the test images have file names like those of {collection} (wnid_number)"
    return [Evidence(kind="file names", strength="proof", collection=collection, share=share, sentence=sentence)]


def _of_names(classes: Sequence[str], by_name: Mapping[int, tuple[int, ...]]) -> list[Evidence]:
    evidence = []
    named = synsets(by_name, imagenet_1k())
    for name, overlap in _known_sets().items():
        members = set(overlap.synsets)
        if (
            len(by_name) == len(classes)
            and len(named & members) >= MOST_OF_A_SET * len(members)
            and _within(by_name, members)
        ):
            sentence = f"the classes are those of {name}, and {overlap.share} of {name} are in ImageNet's training set"
            evidence.append(
                Evidence(kind="known data set", strength="probable", collection=SMALL, share=1.0, sentence=sentence)
            )
    ids = {index: match[0] for index, name in enumerate(classes) if (match := WORDNET_ID.match(name.strip()))}
    only_large = {index for index, synset in ids.items() if synset in imagenet_21k_ids()} - set(by_name)
    for collection, count, what in ((SMALL, len(by_name), "name"), (LARGE, len(only_large), "id")):
        if count:
            sentence = f"{count:,} of {len(classes):,} classes have the {what} of an {collection} class"
            share = count / len(classes)
            hint = Evidence(kind="class names", strength="hint", collection=collection, share=share, sentence=sentence)
            evidence.append(hint)
    return evidence


def _of_card(source: Source) -> list[Evidence]:
    """What the card of a named data set says of an overlap that its classes do not tell; any image may be in it."""
    if not isinstance(source, NamedSource):
        return []
    card, evidence = source.card, []
    for overlap in card.overlaps:
        if not overlap.synsets and overlap.collection == SMALL:
            sentence = f"the data set is {card.title}, and {overlap.share} are in ImageNet's training set"
            evidence.append(
                Evidence(kind="known data set", strength="hint", collection=SMALL, share=1.0, sentence=sentence)
            )
    return evidence


def _within(by_name: Mapping[int, tuple[int, ...]], members: set[str]) -> bool:
    """Whether every class may be one of the members."""
    ids = imagenet_1k().ids
    return all(any(ids[place] in members for place in places) for places in by_name.values())


def _known_sets() -> dict[str, Overlap]:
    """The public data sets whose classes tell that their images are in ImageNet's training set, by title."""
    cards = load_dataset_cards().values()
    return {
        card.title: overlap
        for card in cards
        for overlap in card.overlaps
        if overlap.synsets and overlap.collection == SMALL
    }


def _match_by_answers(
    classifier: Classifier, features: Features, dataset: Dataset, ids: Sequence[str]
) -> tuple[dict[int, tuple[int, ...]], list[Evidence]]:
    """The output that matches each class, by the training images, and the evidence if most images agree."""
    label = dataset.by_id("label")
    label_N = np.array([label[example] for example in ids], dtype=np.int64)
    log_NK = classifier.log_probabilities(features.rows(ids))
    places = match_by_answers(log_NK, label_N)
    own_C = np.full(len(dataset.classes), -1)
    own_C[list(places)] = [place[0] for place in places.values()]
    share = float((log_NK.argmax(axis=1) == own_C[label_N]).mean())
    if share < MOST:
        return places, []
    named = synsets(places, classifier.labels)
    alike = [(len(named & set(overlap.synsets)), name) for name, overlap in _known_sets().items()]
    count, name = max(alike)
    sentence = (
        f"its own classifier, which knows {len(classifier.labels.ids):,} classes, gives {say_about(share)} of the "
        "training images the one answer that matches their class"
    )
    if count >= MOST_OF_A_SET * len(places):
        sentence += f", and {count:,} of these {len(places):,} answers are classes of {name}"
    return places, [
        Evidence(kind="answers on training images", strength="hint", collection=SMALL, share=share, sentence=sentence)
    ]
