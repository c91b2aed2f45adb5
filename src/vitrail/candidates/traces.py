"""What can be known of contamination while the test labels are still sealed: names, files, cards, untuned answers.

Evidence has a name and a strength. File names that are ImageNet ids are proof that the images are ImageNet's. A set of
classes that only one public data set has is strong. That a classifier was trained to tell a person's classes apart is a
hint: it says nothing of these very images.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones import Card
from vitrail.backbones.classifier import Classifier
from vitrail.backbones.label_sets import imagenet_1k
from vitrail.candidates.class_names import match_names, synsets
from vitrail.candidates.untuned import answer_untuned, match_by_answers
from vitrail.data import Dataset, Split
from vitrail.data.traces import MOST, Evidence, MatchedBy, Pretraining, Traces, say_about
from vitrail.features import Features

TRAINING_FILE = re.compile(r"^(n\d{8})_\d+$")  # ILSVRC 2012's own names for its training images
NAMES: MatchedBy = "names"
ANSWERS: MatchedBy = "answers on training images"
MOST_OF_A_SET = 0.9  # of its classes, for a data set from which some are left out


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

    If names do not tell which output of the classifier stands for which class, its answers on `trained_ids` do.
    """
    trained, pretraining = _trained_on_imagenet(card, classifier)
    named_N = _carry_ids(dataset, split.test)
    by_name = match_names(dataset.classes, imagenet_1k())
    evidence = [*_of_files(named_N), *_of_names(dataset.classes, by_name)]
    untuned = None
    if classifier is not None:
        places, matched_by = by_name, NAMES
        if len(by_name) < max(2, MOST * len(dataset.classes)):
            matched_by = ANSWERS
            places, evidence_of_answers = _match_by_answers(classifier, features, dataset, trained_ids)
            evidence += evidence_of_answers
        log_NK = np.concatenate([classifier.log_probabilities(block_BD) for block_BD in features.blocks(split.test)])
        untuned = answer_untuned(log_NK, places, label_set=classifier.labels.name, matched_by=matched_by)
    return Traces(trained=trained, pretraining=pretraining, evidence=tuple(evidence), named_N=named_N, untuned=untuned)


def _trained_on_imagenet(card: Card, classifier: Classifier | None) -> tuple[bool, Pretraining]:
    if any(collection.startswith("imagenet") for collection in card.pretraining):
        return True, "stated"
    if classifier is not None:
        return True, "its classifier"
    return False, "stated otherwise" if card.pretraining else "not stated"


def _carry_ids(dataset: Dataset, ids: Sequence[str]) -> NDArray[np.bool_]:
    known = set(imagenet_1k().ids)
    paths = dataset.by_id("paths")
    matches_of = [[TRAINING_FILE.match(PurePath(path).stem) for path in paths[example]] for example in ids]
    return np.array([any(match and match[1] in known for match in matches) for matches in matches_of], dtype=bool)


def _of_files(named_N: NDArray[np.bool_]) -> list[Evidence]:
    share = float(named_N.mean())
    if share == 0:
        return []
    sentence = f"{say_about(share)} of the test images are named as ImageNet names its training images (wnid_number)"
    return [Evidence(kind="file names", strength="proof", share=share, sentence=sentence)]


def _of_names(classes: Sequence[str], by_name: Mapping[int, tuple[int, ...]]) -> list[Evidence]:
    if not by_name:
        return []
    evidence = []
    named = synsets(by_name, imagenet_1k())
    for name, facts in _known_sets().items():
        members = set(facts["synsets"])
        if (
            len(by_name) == len(classes)
            and len(named & members) >= MOST_OF_A_SET * len(members)
            and _within(by_name, members)
        ):
            sentence = f"the classes are those of {name}, of which {facts['share']} are in ImageNet's training set"
            evidence.append(Evidence(kind="known data set", strength="strong", share=1.0, sentence=sentence))
    sentence = f"{len(by_name):,} of {len(classes):,} classes have the name of an ImageNet class"
    share = len(by_name) / len(classes)
    return [*evidence, Evidence(kind="class names", strength="hint", share=share, sentence=sentence)]


def _within(by_name: Mapping[int, tuple[int, ...]], members: set[str]) -> bool:
    """Whether every class may be one of the members."""
    ids = imagenet_1k().ids
    return all(any(ids[place] in members for place in places) for places in by_name.values())


def _known_sets() -> dict[str, dict[str, list[str]]]:
    table = files("vitrail.candidates") / "known_overlaps.toml"
    return tomllib.loads(table.read_text(encoding="utf-8"))


def _match_by_answers(
    classifier: Classifier, features: Features, dataset: Dataset, ids: Sequence[str]
) -> tuple[dict[int, tuple[int, ...]], list[Evidence]]:
    """Which output stands for each class, by the training images, and the evidence if most images agree."""
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
    alike = [(len(named & set(facts["synsets"])), name) for name, facts in _known_sets().items()]
    count, name = max(alike)
    sentence = (
        f"its own classifier, with {len(classifier.labels.ids):,} answers to choose from, gives {say_about(share)} of "
        "the training images the one answer that stands for their class"
    )
    if count >= MOST_OF_A_SET * len(places):
        sentence += f", and {count:,} of these {len(places):,} answers are classes of {name}"
    return places, [Evidence(kind="answers on training images", strength="hint", share=share, sentence=sentence)]
