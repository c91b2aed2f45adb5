"""Whether a backbone saw the test images: each piece of evidence, and a twin in which it must not be found."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.data import make_classifier, make_data, make_features
from tests.evaluation.test_decision import contender, make_pairs
from vitrail.backbones import Card, find_card
from vitrail.backbones.cards import of_local_file
from vitrail.candidates.traces import find_traces
from vitrail.core.label_sets import imagenet_1k
from vitrail.core.resources import Resources
from vitrail.data.named import NamedSource, find_named
from vitrail.data.traces import say_about
from vitrail.evaluation.contamination import decide_fairly, mark, weigh
from vitrail.evaluation.decision import decide

IMAGENET = find_card("resnet18.tv_in1k")
LARGE = find_card("vit_small_patch16_224.augreg_in21k")
DINO = find_card("vit_small_patch16_224.dino")
DINOV2 = find_card("vit_small_patch14_dinov2.lvd142m")
FORMULA = find_card("vit_mini")
UNSTATED = replace(IMAGENET, pretraining=())
LOCAL = of_local_file(IMAGENET, "0" * 64)
NAMELESS = replace(LOCAL, name="mine")
DOGS = (151, 152, 153)
NAMES = [imagenet_1k().names[place][0] for place in DOGS]
IDS = "dogs/n02085620_{number}.JPEG"
LARGE_IDS = "flowers/n12620196_{number}.jpg"  # a synset of ImageNet-21k that ImageNet-1k has not
IMAGENETTE = ["tench", "English springer", "cassette player", "chain saw", "church", "French horn"]
IMAGENETTE += ["garbage truck", "gas pump", "golf ball", "parachute"]


def look(classes, path, *, card=IMAGENET, classifier=True, wrong=0.0, places=DOGS, source=None):
    dataset, split, label_of = make_data(classes, path)
    dataset = replace(dataset, source=source or dataset.source)
    features = make_features(label_of, len(classes), wrong=wrong)
    trained_ids = (*split.train, *split.val)
    known = make_classifier(places) if classifier else None
    traces = find_traces(card, known, features, dataset, split, trained_ids=trained_ids)
    label_N = np.array([label_of[example] for example in split.test])
    return traces, weigh(traces, "net", label_N, label_N)


def test_file_names_that_are_imagenet_ids_are_proof():
    traces, found = look(NAMES, IDS)
    assert (found.verdict, found.share) == ("seen", 1.0)
    assert (traces.evidence[0].kind, traces.evidence[0].strength) == ("file names", "proof")
    assert "about 100% of the test images" in found.sentence
    assert "memory of training data" in found.sentence


@pytest.mark.parametrize(
    "path",
    ["dogs/n0208562_{number}.jpg", "dogs/n02085620-{number}.jpg", "n02085620/{number}.jpg", "n99999999_{number}.jpg"],
)
def test_other_file_names_prove_nothing(path: str):
    _, found = look(["cat", "cow", "hen party"], path, classifier=False)
    assert (found.verdict, found.share, found.evidence) == ("no sign", 0.0, ())


def test_names_of_imagenet_classes_are_only_a_hint():
    _, found = look(NAMES, "pictures/{number}.jpg")
    assert found.verdict == "cannot tell"
    assert "The names do not tell whether it saw these same images." in found.sentence


def test_a_backbone_that_was_trained_on_other_data_has_not_seen_imagenet():
    _, found = look(NAMES, IDS, card=FORMULA, classifier=False)
    assert (found.verdict, found.share) == ("not seen", 0.0)


def test_a_local_file_is_given_away_by_its_classifier():
    _, found = look(NAMES, IDS, card=LOCAL)
    assert found.verdict == "seen"
    assert (
        "is a local file and has a classifier for ImageNet's classes, so it was trained on ImageNet" in found.sentence
    )
    _, unpublished = look(NAMES, IDS, card=UNSTATED)
    assert "does not state its pretraining data and has a classifier for ImageNet's classes" in unpublished.sentence


def test_the_name_of_a_local_file_is_reported_but_proves_nothing():
    _, found = look(NAMES, IDS, card=LOCAL, classifier=False)
    assert (found.verdict, found.share) == ("cannot tell", 0.0)
    assert found.sentence == (
        "net is a local file. By its name it was trained on ImageNet-1k. Vitrail cannot tell what it was trained on, "
        "so it may have seen the test images. About 100% of the test images have file names like those of ImageNet-1k "
        "(wnid_number); 3 of 3 classes have the name of an ImageNet-1k class."
    )
    _, nameless = look(NAMES, IDS, card=NAMELESS, classifier=False)
    assert nameless.verdict == "cannot tell"
    assert "By its name" not in nameless.sentence


@pytest.mark.parametrize(
    ("name", "collection"),
    [
        ("timm:resnet26.bt_in1k", "ImageNet-1k"),
        ("timm:vit_base_patch8_224.augreg2_in21k_ft_in1k", "ImageNet-21k"),
        ("hf:me/beit-base-in22k", "ImageNet-21k"),
        ("timm:mobilenetv3_large_100.ra_in1k", "ImageNet-1k"),
        ("timm:coin1k_net", None),
    ],
)
def test_a_name_of_another_library_states_its_collections_by_tags(name: str, collection: str | None):
    _, found = look(NAMES, "{number}.jpg", card=replace(LOCAL, name=name), classifier=False)
    assert (f"By its name it was trained on {collection}." in found.sentence) == (collection is not None)
    assert found.verdict == "cannot tell"


@pytest.mark.parametrize("classifier", [True, False])
@pytest.mark.parametrize("card", [LOCAL, NAMELESS, UNSTATED])
def test_no_sign_is_never_said_of_weights_of_unknown_pretraining(card: Card, classifier: bool):
    _, found = look(["1", "2", "3"], "{number}.jpg", card=card, classifier=classifier, wrong=1.0)
    assert found.verdict == "cannot tell"
    assert "annot tell" in found.sentence
    assert "o sign" not in found.sentence


def test_classes_of_a_known_data_set_make_contamination_probable_but_not_certain():
    traces, found = look(IMAGENETTE, "my own/{number}.jpg", classifier=False)
    assert traces.sighting == found.verdict == "probably"
    assert found.share == 0
    assert "it probably saw the test images, and its accuracy may come from memory" in found.sentence
    assert "if you took these photographs yourself, it did not see them" in found.sentence
    assert mark(found) == "probably saw the test images"


def test_what_the_card_of_a_named_data_set_says_is_a_hint_about_any_image():
    """The former page of CUB-200-2011 warns that its images overlap with ImageNet's."""
    birds = NamedSource(find_named("dataset:cub"), Resources())
    traces, found = look(["cat", "cow", "hen party"], "birds/{number}.jpg", classifier=False, source=birds)
    assert [(sign.kind, sign.strength) for sign in traces.evidence] == [("known data set", "hint")]
    assert found.verdict == "cannot tell"
    assert "the data set is CUB-200-2011, and an unknown number of its images are in ImageNet's" in found.sentence
    dogs = NamedSource(find_named("dataset:pets"), Resources())
    _, found = look(["cat", "cow", "hen party"], "birds/{number}.jpg", classifier=False, source=dogs)
    assert (found.verdict, found.evidence) == ("no sign", ())


def test_a_few_named_files_of_a_known_data_set_leave_the_others_probable():
    traces, _ = look(IMAGENETTE, "{number}.jpg", classifier=False)
    named_N = np.arange(len(traces.named_N)) < 1
    label_N = np.zeros(len(named_N), dtype=np.int64)
    found = weigh(replace(traces, named_N=named_N), "net", label_N, label_N)
    assert (found.verdict, found.share, found.others.n) == ("probably", 0.05, 19)
    assert "File names prove it for about 5% of them" in found.sentence
    most = replace(traces, named_N=np.arange(len(named_N)) < 10)
    assert most.sighting == "seen"


def test_ids_of_imagenet_21k_are_proof_for_those_that_were_trained_on_it():
    classes = ["wood sorrel", "violet", "my own flower"]
    traces, found = look(classes, LARGE_IDS, card=LARGE, classifier=False)
    assert (found.verdict, found.share) == ("seen", 1.0)
    assert traces.evidence[0].collection == "ImageNet-21k"
    assert "was trained on ImageNet-21k" in found.sentence
    _, other = look(classes, LARGE_IDS, card=IMAGENET, classifier=False)
    assert (other.verdict, other.share) == ("not seen", 0.0)
    assert "ImageNet-1k alone" in other.sentence
    _, unknown = look(classes, LARGE_IDS, card=UNSTATED)
    assert (unknown.verdict, unknown.share) == ("cannot tell", 0.0)  # its classifier gives away ImageNet-1k alone


def test_who_was_trained_on_imagenet_21k_has_seen_imagenet_1k():
    _, found = look(NAMES, IDS, card=LARGE, classifier=False)
    assert (found.verdict, found.share) == ("seen", 1.0)


def test_classes_that_are_named_by_ids_of_imagenet_21k_are_a_hint():
    traces, found = look(["n12620196", "n00004475-being", "n99999999"], "{number}.jpg", card=LARGE, classifier=False)
    assert found.verdict == "cannot tell"
    assert traces.evidence[0].sentence == "2 of 3 classes have the id of an ImageNet-21k class"
    assert look(["n12620196", "n00004475"], "{number}.jpg", classifier=False)[1].verdict == "no sign"


@pytest.mark.parametrize("card", [DINO, DINOV2])
def test_self_supervised_weights_saw_images_without_labels(card: Card):
    _, found = look(NAMES, IDS, card=card, classifier=False)
    assert (found.verdict, found.share, found.labels_seen) == ("seen", 1.0, False)
    assert "memory of training data" not in found.sentence
    assert "without labels" in found.sentence
    assert "never their labels" in found.sentence
    _, probably = look(IMAGENETTE, "{number}.jpg", card=card, classifier=False)
    assert "it probably saw the test images, without their labels" in probably.sentence
    assert look(NAMES, IDS)[1].labels_seen


def test_a_known_data_set_is_known_by_its_classes_though_every_file_was_renamed():
    woof = ["Shih-Tzu", "Rhodesian ridgeback", "beagle", "English foxhound", "Border terrier"]
    woof += ["Australian terrier", "golden retriever", "Old English sheepdog", "Samoyed", "dingo"]
    traces, found = look(woof, "{number}.jpg", classifier=False)
    assert found.verdict == "probably"
    assert [one.kind for one in traces.evidence] == ["known data set", "class names"]
    _, one_more = look([*woof, "tabby"], "{number}.jpg", classifier=False)
    assert one_more.verdict == "cannot tell"


def test_renamed_classes_are_given_away_by_answers_as_a_hint():
    traces, found = look(["1", "2", "3"], "{number}.jpg")
    assert found.verdict == "cannot tell"
    assert traces.evidence[0].kind == "answers on training images"
    assert found.untuned.matched_by == "answers on training images"
    assert found.untuned.accuracy.value == 1.0


def test_answers_that_agree_on_no_class_are_no_hint():
    """The twin: features that tell nothing of ImageNet's classes."""
    _, found = look(["1", "2", "3"], "{number}.jpg", wrong=1.0)
    assert found.verdict == "no sign"
    assert found.untuned.accuracy.value < 0.8


def test_the_untuned_classifier_is_scored_on_the_images_of_matched_classes():
    _, found = look([*NAMES, "my own dog"], "{number}.jpg", places=(*DOGS, 500))
    assert found.untuned.classes == 3
    assert found.untuned.accuracy.n == 6  # of 8 test images
    assert found.untuned.accuracy.value == 1.0
    assert found.untuned.tuned.value == 1.0


def test_a_share_of_named_files_is_a_share_and_the_others_are_judged_apart():
    traces, _ = look(NAMES, "{number}.jpg", classifier=False)
    named_N = np.arange(len(traces.named_N)) < 2
    evidence = replace(look(NAMES, IDS)[0].evidence[0], share=float(named_N.mean()))
    label_N = np.zeros(len(named_N), dtype=np.int64)
    found = weigh(replace(traces, named_N=named_N, evidence=(evidence,)), "net", label_N, label_N + ~named_N)
    assert found.verdict == "seen"
    assert mark(found) == f"saw {say_about(found.share)} of the test images"
    assert (mark(SEEN), mark(CLEAN)) == ("saw the test images", "")
    assert (found.others.n, found.others.value) == (len(named_N) - 2, 0.0)


SEEN = look(NAMES, IDS)[1]
CLEAN = look(NAMES, IDS, card=FORMULA, classifier=False)[1]
PROBABLY = look(IMAGENETTE, "{number}.jpg", classifier=False)[1]
UNLABELLED = look(NAMES, IDS, card=DINO, classifier=False)[1]


def fairly(right, counts, found, *, n=100, gmacs=None):
    """The decision on backbones that are right so often, the pairs given as {(a, b): (only_a, only_b)}."""
    contenders = [contender(name, correct, n, (gmacs or {}).get(name, 1.0)) for name, correct in right.items()]
    pairs = make_pairs(contenders, counts)
    plain = decide(contenders, pairs, margin=0.01, caveats=("small",))
    return decide_fairly(contenders, pairs, found, margin=0.01, caveats=("small",)), plain


def a_over_b(found):
    return fairly({"a": 80, "b": 60}, {("a", "b"): (25, 5)}, found)


def test_if_all_saw_the_test_the_claim_is_about_memory():
    said, plain = a_over_b({"a": SEEN, "b": SEEN})
    assert said.choose == plain.choose == "a"
    assert (said.strength, plain.strength) == ("practical", "proven")
    assert said.sentence.startswith(plain.sentence)
    assert "All of them saw these test images" in said.sentence
    assert said.caveats[-1] == "small"
    assert said.caveats[0] == SEEN.sentence


def test_a_lead_of_a_backbone_that_saw_the_test_does_not_count():
    said, _ = a_over_b({"a": SEEN, "b": CLEAN})
    assert (said.choose, said.strength, said.losses) == ("b", "practical", {})
    assert said.sentence.startswith("These test images cannot compare the backbones: a saw them in pretraining, b did")
    assert "Take b, the only one that these images can judge." in said.sentence
    assert not any("below the best" in reason for reason in said.because)
    assert said.caveats == (SEEN.sentence, "small"), "none that is about a, which is not taken"


def test_a_lead_over_a_backbone_that_saw_the_test_counts():
    said, plain = a_over_b({"a": CLEAN, "b": SEEN})
    assert said.choose == "a"
    assert said.sentence.startswith(plain.sentence)
    assert "b saw these test images in pretraining: its 60.0% [50.2, 69.1] may come from memory." in said.sentence


def test_a_backbone_that_probably_saw_the_test_stays_in_the_decision_with_a_mark():
    said, plain = a_over_b({"a": PROBABLY, "b": CLEAN})
    assert said.choose == plain.choose == "a"
    assert said.sentence == (
        f"{plain.sentence} a probably saw these test images in pretraining: its 80.0% [71.1, 86.7] may be too high "
        "and was compared all the same."
    )
    assert said.caveats[0] == PROBABLY.sentence
    both, _ = a_over_b({"a": PROBABLY, "b": PROBABLY})
    assert both.choose == "a"
    assert "a and b probably saw" in both.sentence


def test_a_backbone_that_probably_saw_the_test_cannot_expose_memory_of_others():
    said, _ = a_over_b({"a": SEEN, "b": PROBABLY})
    assert (said.choose, said.strength) == ("b", "practical")
    assert "a saw them in pretraining, b probably did too" in said.sentence


def test_images_seen_without_labels_may_raise_the_accuracy_but_are_not_memorised():
    said, _ = a_over_b({"a": CLEAN, "b": UNLABELLED})
    assert said.sentence.endswith(
        "b saw these test images in pretraining, without labels: its 60.0% [50.2, 69.1] may be too high."
    )
    mixed, _ = a_over_b({"a": SEEN, "b": UNLABELLED})
    assert mixed.sentence.endswith(
        "All of them saw these test images in pretraining, b without labels: their order on new images may differ."
    )


def test_a_backbone_that_saw_the_test_and_leads_within_the_margin_is_not_called_worse():
    """Even with recall it is not ahead by the margin, so that the cheaper is taken; but ahead it is."""
    right, counts = {"a": 9_500, "b": 9_450}, {("a", "b"): (130, 80)}
    said, plain = fairly(right, counts, {"a": SEEN, "b": CLEAN}, n=10_000, gmacs={"a": 16.0, "b": 4.0})
    assert said.choose == plain.choose == "b"
    assert "ahead" not in said.sentence
    assert said.sentence.endswith(
        "a saw these test images in pretraining: its 95.0% [94.6, 95.4] may come from memory."
    )
    assert any(reason.startswith("a minus b: 0.5 points") for reason in said.because)


def test_memory_does_not_steer_the_choice_among_backbones_that_saw_nothing():
    """By all figures c may lose more than the margin, to a; to b, which saw nothing either, it does not."""
    right = {"a": 9_500, "b": 9_450, "c": 9_420}
    counts = {("a", "b"): (130, 80), ("a", "c"): (160, 80), ("b", "c"): (100, 70)}
    gmacs = {"a": 8.0, "b": 8.0, "c": 4.0}
    said, plain = fairly(right, counts, {"a": SEEN, "b": CLEAN, "c": CLEAN}, n=10_000, gmacs=gmacs)
    assert plain.choose != "c"
    assert said.choose == "c"
    assert said.sentence == (
        "b and c are equivalent within 1 point; c costs half of b's multiply-adds: take c. a saw these test images in "
        "pretraining: its 95.0% [94.6, 95.4] may come from memory and was not compared."
    )
    assert not any("minus a" in reason or "a minus" in reason for reason in said.because)


def test_too_few_images_to_move_an_accuracy_change_no_claim():
    few = replace(SEEN, share=0.004, weight=0.004)
    said, plain = a_over_b({"a": few, "b": few})
    assert (said.sentence, said.choose) == (plain.sentence, "a")
    assert said.caveats[0] == SEEN.sentence
