"""Whether a backbone saw the test images: each piece of evidence, and a twin in which it must not be found."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.data import make_classifier, make_data, make_features
from vitrail.backbones import find_card
from vitrail.backbones.label_sets import imagenet_1k
from vitrail.evaluation.contamination import temper, weigh
from vitrail.evaluation.decision import Contender, Decision
from vitrail.evaluation.traces import find_traces
from vitrail.statistics.intervals import wilson

IMAGENET = find_card("resnet18.tv_in1k")
FORMULA = find_card("vit_mini")
UNSTATED = replace(IMAGENET, pretraining=())
DOGS = (151, 152, 153)
NAMES = [imagenet_1k().names[place][0] for place in DOGS]
IDS = "dogs/n02085620_{number}.JPEG"


def look(classes, path, *, card=IMAGENET, classifier=True, wrong=0.0, places=DOGS):
    dataset, split, label_of = make_data(classes, path)
    features = make_features(label_of, len(classes), wrong=wrong)
    traces = find_traces(card, make_classifier(places) if classifier else None, features, dataset, split)
    label_N = np.array([label_of[example] for example in split.test])
    return traces, weigh(traces, "net", label_N, label_N)


def test_file_names_that_are_imagenet_ids_are_proof():
    traces, found = look(NAMES, IDS)
    assert (found.verdict, found.share) == ("seen", 1.0)
    assert (traces.evidence[0].kind, traces.evidence[0].strength) == ("file names", "proof")
    assert "about 100% of the test images" in found.sentence
    assert "recall of training data" in found.sentence


@pytest.mark.parametrize(
    "path",
    ["dogs/n0208562_{number}.jpg", "dogs/n02085620-{number}.jpg", "n02085620/{number}.jpg", "n99999999_{number}.jpg"],
)
def test_other_file_names_prove_nothing(path: str):
    _, found = look(["cat", "cow", "hen party"], path, classifier=False)
    assert (found.verdict, found.share, found.evidence) == ("no sign", 0.0, ())


def test_names_of_imagenet_classes_are_a_hint_and_no_more():
    _, found = look(NAMES, "pictures/{number}.jpg")
    assert found.verdict == "hints"
    assert "Whether it saw these very images, names do not tell." in found.sentence


def test_a_backbone_that_was_trained_on_other_data_has_not_seen_imagenet():
    _, found = look(NAMES, IDS, card=FORMULA, classifier=False)
    assert (found.verdict, found.share) == ("not seen", 0.0)


def test_a_local_file_is_given_away_by_its_classifier():
    _, found = look(NAMES, IDS, card=UNSTATED)
    assert found.verdict == "seen"
    assert "nothing is stated" in found.sentence
    _, silent = look(NAMES, IDS, card=UNSTATED, classifier=False)
    assert silent.verdict == "not seen"
    assert "not stated" in silent.sentence


def test_a_known_data_set_is_known_by_its_classes_though_every_file_was_renamed():
    woof = ["Shih-Tzu", "Rhodesian ridgeback", "beagle", "English foxhound", "Border terrier"]
    woof += ["Australian terrier", "golden retriever", "Old English sheepdog", "Samoyed", "dingo"]
    traces, found = look(woof, "{number}.jpg", classifier=False)
    assert found.verdict == "seen"
    assert [one.kind for one in traces.evidence] == ["known data set", "class names"]
    _, one_more = look([*woof, "tabby"], "{number}.jpg", classifier=False)
    assert one_more.verdict == "hints"


def test_renamed_classes_are_given_away_by_answers_as_a_hint():
    traces, found = look(["1", "2", "3"], "{number}.jpg")
    assert found.verdict == "hints"
    assert traces.evidence[0].kind == "answers on training images"
    assert found.zero_training.matched_by == "answers on training images"
    assert found.zero_training.accuracy.value == 1.0


def test_answers_that_agree_on_no_class_are_no_hint():
    """The twin: features that tell nothing of ImageNet's classes."""
    _, found = look(["1", "2", "3"], "{number}.jpg", wrong=1.0)
    assert found.verdict == "no sign"
    assert found.zero_training.accuracy.value < 0.8


def test_the_untuned_classifier_is_scored_on_the_images_of_matched_classes():
    _, found = look([*NAMES, "my own dog"], "{number}.jpg", places=(*DOGS, 500))
    assert found.zero_training.classes == 3
    assert found.zero_training.accuracy.n == 6  # of 8 test images
    assert found.zero_training.accuracy.value == 1.0
    assert found.zero_training.tuned.value == 1.0


def test_a_share_of_named_files_is_a_share_and_the_others_are_judged_apart():
    traces, _ = look(NAMES, "{number}.jpg", classifier=False)
    named_N = np.arange(len(traces.named_N)) < 2
    evidence = replace(look(NAMES, IDS)[0].evidence[0], share=float(named_N.mean()))
    label_N = np.zeros(len(named_N), dtype=np.int64)
    found = weigh(replace(traces, named_N=named_N, evidence=(evidence,)), "net", label_N, label_N + ~named_N)
    assert found.verdict == "seen"
    assert (found.others.n, found.others.value) == (len(named_N) - 2, 0.0)


def contender(name, right):
    return Contender(name=name, top1=wilson(right, 100), gmacs=1.0, licence="mit")


SEEN = look(NAMES, IDS)[1]
CLEAN = look(NAMES, IDS, card=FORMULA, classifier=False)[1]
CONTENDERS = (contender("a", 80), contender("b", 60))
DECISION = Decision(sentence="a beats b by 20 points: take a.", choose="a", because=(), caveats=("small",))


def test_where_all_saw_the_test_the_claim_is_one_about_recall():
    said = temper(DECISION, CONTENDERS, {"a": SEEN, "b": SEEN}, margin=0.01)
    assert said.choose == "a"
    assert "All of them saw these test images" in said.sentence
    assert said.caveats[-1] == "small"
    assert said.caveats[0] == SEEN.sentence


def test_a_lead_of_the_one_that_saw_the_test_is_no_finding():
    said = temper(DECISION, CONTENDERS, {"a": SEEN, "b": CLEAN}, margin=0.01)
    assert said.choose is None
    assert said.sentence.startswith("These test images cannot compare the backbones: a saw them in pretraining, b did")
    assert "take a" not in said.sentence


def test_a_lead_over_one_that_saw_the_test_stands():
    said = temper(DECISION, CONTENDERS, {"a": CLEAN, "b": SEEN}, margin=0.01)
    assert said.choose == "a"
    assert said.sentence.startswith(DECISION.sentence)
    assert "b saw these test images" in said.sentence


def test_too_few_images_to_move_an_accuracy_change_no_claim():
    few = replace(SEEN, share=0.004)
    said = temper(DECISION, CONTENDERS, {"a": few, "b": few}, margin=0.01)
    assert (said.sentence, said.choose) == (DECISION.sentence, "a")
    assert said.caveats[0] == SEEN.sentence
