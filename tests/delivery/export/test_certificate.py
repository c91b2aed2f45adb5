"""The gates of a certificate, on answers made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from vitrail.delivery.export.certificate import (
    Answers,
    Certificate,
    Fidelity,
    Judged,
    Shift,
    Speed,
    TimedBatch,
    compare_exactly,
    compare_with_run,
)
from vitrail.delivery.export.loss import LossCheck
from vitrail.evaluation import Criteria
from vitrail.heads.refusal import Refusal

N, CLASSES = 200, ("a", "b", "c")
DISTANCE = 0.5


def make_images() -> Judged:
    return Judged(ids=[f"{n:03d}" for n in range(N)], label_N=np.arange(N) % 3, group_N=None, classes=CLASSES)


def make_answers(seed: int = 0) -> Answers:
    """Right on every image, with probabilities from 0.5 up; each a quarter of the distance from the threshold."""
    top_N = np.random.default_rng(seed).uniform(0.5, 1.0, N)
    probability_NC = np.repeat((1 - top_N[:, None]) / 2, 3, axis=1)
    probability_NC[np.arange(N), np.arange(N) % 3] = top_N
    return Answers(probability_NC=probability_NC, distance_N=np.where(np.arange(N) % 2, 0.25, 0.75))


def make_refusal() -> Refusal:
    bank_BD = np.eye(4, dtype=np.float16)
    return Refusal(
        set_on="out-of-fold",
        images=N,
        groups=N,
        alpha=0.1,
        threshold_RC=np.full((4, 3), 0.4),
        precision=0.95,
        risk=0.1,
        confidence=0.6,
        neighbours=1,
        alarms=0.01,
        distance=DISTANCE,
        bank_BD=bank_BD,
    )


def compare(torch: Answers, export: Answers) -> Fidelity:
    return compare_exactly(make_images(), torch, export, make_refusal(), reduced=0)


def shift(
    stored_NC: np.ndarray, export: Answers, images: Judged | None = None, criteria: Criteria | None = None
) -> Shift:
    return compare_with_run(
        images or make_images(),
        stored_NC,
        export,
        make_refusal(),
        criteria or Criteria(),
        engine="openvino",
        precision="bf16",
    )


def answer_wrongly(answers: Answers, images: int) -> Answers:
    """The same with other classes for the first images."""
    probability_NC = answers.probability_NC.copy()
    probability_NC[:images] = np.roll(probability_NC[:images], 1, axis=1)
    return replace(answers, probability_NC=probability_NC)


def test_equal_answers_pass():
    assert compare(make_answers(), make_answers()).fault() is None
    equal = shift(make_answers().probability_NC, make_answers())
    assert equal.fault() is None
    assert equal.flips == ()


@pytest.mark.parametrize(("difference", "passes"), [(0.9e-4, True), (1.1e-4, False), (np.nan, False)])
def test_one_probability_decides(difference: float, passes: bool):
    answers = make_answers()
    probability_NC = answers.probability_NC.copy()
    probability_NC[17, 0] += difference
    fidelity = compare(answers, replace(answers, probability_NC=probability_NC))
    assert (fidelity.fault() is None) is passes


def test_a_flip_between_equal_probabilities_is_a_tie():
    answers = make_answers()
    tied_NC = answers.probability_NC.copy()
    tied_NC[3] = (0.50002, 0.49998, 0.0)
    flipped_NC = tied_NC.copy()
    flipped_NC[3] = (0.49998, 0.50002, 0.0)
    fidelity = compare(replace(answers, probability_NC=tied_NC), replace(answers, probability_NC=flipped_NC))
    assert (len(fidelity.flips), fidelity.ties, fidelity.fault()) == (1, 1, None)
    assert (fidelity.flips[0].id, fidelity.flips[0].before, fidelity.flips[0].after) == ("003", "a", "b")


@pytest.mark.parametrize(("distance", "passes"), [(0.501, False), (DISTANCE + 1e-6, True)])
def test_an_image_that_is_strange_on_one_side_only_is_a_fault_unless_it_lies_on_the_threshold(
    distance: float, passes: bool
):
    answers = make_answers()
    before_N, after_N = answers.distance_N.copy(), answers.distance_N.copy()
    before_N[8], after_N[8] = distance, DISTANCE - 1e-6
    fidelity = compare(replace(answers, distance_N=before_N), replace(answers, distance_N=after_N))
    assert (fidelity.fault() is None) is passes


def test_a_threshold_does_not_excuse_a_wrong_distance():
    """Torch's distance is on the threshold; the export's is far from it, and on the other side."""
    answers = make_answers()
    before_N, after_N = answers.distance_N.copy(), answers.distance_N.copy()
    before_N[8], after_N[8] = DISTANCE + 1e-6, 0.0
    fidelity = compare(replace(answers, distance_N=before_N), replace(answers, distance_N=after_N))
    assert (fidelity.strange, fidelity.fault() is None) == (1, False)


@pytest.mark.parametrize("image", [0, 1], ids=["strange", "familiar"])
def test_a_distance_that_is_not_a_number_is_a_fault_in_every_precision(image: int):
    broken = make_answers()
    broken.distance_N[image] = np.nan
    for loss in (None, make_loss("excluded"), make_loss("shown", accepted=True)):
        faults = make_certificate(broken, loss=loss, runtime="torch").faults()
        assert faults == ("a distance to the training images is not a number",)


def test_a_lower_accuracy_than_the_runs_is_a_fault():
    lower = shift(make_answers().probability_NC, answer_wrongly(make_answers(), 20))
    assert lower.fault() == lower.conclusion
    assert "its accuracy is lower than the run's (export less run: -10.0 points" in lower.conclusion
    assert len(lower.flips) == 20
    assert lower.promises.sets[0].coverage.n == N


def test_a_few_other_answers_are_listed_and_the_test_is_called_too_small():
    few = shift(make_answers().probability_NC, answer_wrongly(make_answers(), 2))
    assert few.fault() is None
    assert "this test is too small to show that it is within 1 point (" in few.conclusion
    assert [flip.id for flip in few.flips] == ["000", "001"]


def test_the_export_is_compared_by_the_metric_that_the_run_was_decided_by():
    """Class c has 10 images: if all of them become wrong, balanced accuracy loses a third, accuracy 5 points."""
    images = replace(make_images(), label_N=np.where(np.arange(N) < 10, 2, np.arange(N) % 2))
    stored_NC = np.full((N, 3), 0.1)
    stored_NC[np.arange(N), images.label_N] = 0.8
    export_NC = stored_NC.copy()
    export_NC[:10] = (0.8, 0.1, 0.1)
    export = replace(make_answers(), probability_NC=export_NC)
    by_top1 = shift(stored_NC, export, images)
    by_class = shift(stored_NC, export, images, Criteria(decide_by="balanced"))
    assert (by_top1.pair_metric, by_class.pair_metric) == ("top1", "balanced")
    assert by_top1.pair.difference.value == pytest.approx(-0.05)
    assert by_class.pair.difference.value == pytest.approx(-1 / 3)
    assert "its balanced accuracy is lower than the run's" in str(by_class.fault())


def make_certificate(export: Answers, *, loss: LossCheck | None, runtime: str = "onnxruntime") -> Certificate:
    timed = TimedBatch(batch=1, images_per_s=9.0, slowest=8.0, fastest=10.0, calls=5)
    return Certificate(
        certificate_version=1,
        run="",
        backbone="vit",
        format="",
        precision="",
        model={},
        bytes=0,
        runtime={"numpy": "2", runtime: "1"},
        imported=("numpy", "torch"),
        fidelity=compare(make_answers(), export),
        shift=shift(make_answers().probability_NC, export),
        loss=loss,
        speed=Speed(processor="", threads=1, alone=timed, best=timed),
    )


def make_loss(outcome: str, *, accepted: bool = False) -> LossCheck:
    return LossCheck(outcome=outcome, most=0.003, accepted=accepted, conclusion="too small")  # type: ignore[arg-type]


def test_a_reduced_precision_is_judged_by_its_loss_alone():
    other = answer_wrongly(make_answers(), 20)
    in_fp32 = make_certificate(other, loss=None, runtime="torch").faults()
    assert [fault.split()[0] for fault in in_fp32] == ["a", "its"], "fidelity and shift"
    assert make_certificate(other, loss=make_loss("excluded"), runtime="torch").faults() == ()
    assert make_certificate(other, loss=make_loss("undecided"), runtime="torch").faults() == ("too small",)
    assert make_certificate(other, loss=make_loss("shown", accepted=True), runtime="torch").faults() == ()


def test_what_is_not_a_number_is_a_fault_even_if_a_loss_is_accepted():
    broken = make_answers()
    broken.probability_NC[3] = np.nan
    faults = make_certificate(broken, loss=make_loss("shown", accepted=True), runtime="torch").faults()
    assert faults == ("a probability is not a number",)


def test_only_the_runtime_of_the_model_may_be_imported():
    foreign = make_certificate(make_answers(), loss=None).faults()
    assert foreign == ("the process that answered has imported torch",)
    assert make_certificate(make_answers(), loss=None, runtime="torch").faults() == ()
