"""Certificates made by hand: real comparisons of made-up answers."""

from collections.abc import Sequence

import numpy as np

from vitrail.delivery.export.certificate import (
    CERTIFICATE_VERSION,
    Answers,
    Certificate,
    Judged,
    Speed,
    TimedBatch,
    compare_exactly,
    compare_with_run,
)
from vitrail.delivery.export.loss import check_loss
from vitrail.evaluation import Criteria
from vitrail.heads.refusal import Refusal

N = 200


def make_refusal(classes: int) -> Refusal:
    return Refusal(
        set_on="out-of-fold",
        images=N,
        groups=N,
        alpha=0.1,
        threshold_RC=np.full((4, classes), 0.6),
        precision=0.95,
        risk=0.1,
        confidence=0.6,
        neighbours=1,
        alarms=0.01,
        distance=0.5,
        bank_BD=np.eye(4, dtype=np.float16),
    )


def make_certificate(
    classes: Sequence[str] = ("a", "b", "c"), *, flips: int = 0, reduced: int = N, int8: bool = False
) -> Certificate:
    """One of 200 test images whose first `flips` have another answer in the run; in int8 with an accepted loss."""
    label_N = np.arange(N) % len(classes)
    top_N = np.random.default_rng(0).uniform(0.7, 1.0, N)
    probability_NC = np.repeat((1 - top_N[:, None]) / (len(classes) - 1), len(classes), axis=1)
    probability_NC[np.arange(N), label_N] = top_N
    stored_NC = probability_NC.copy()
    stored_NC[:flips] = np.roll(stored_NC[:flips], 1, axis=1)
    answers = Answers(probability_NC=probability_NC, distance_N=np.full(N, 0.25))
    images = Judged(ids=[f"{n:03d}" for n in range(N)], label_N=label_N, group_N=None, classes=classes)
    refusal = make_refusal(len(classes))
    shift = compare_with_run(images, stored_NC, answers, refusal, Criteria(), engine="openvino", precision="bf16")
    alone = TimedBatch(batch=1, images_per_s=201.4, slowest=180.0, fastest=210.0, calls=50)
    return Certificate(
        certificate_version=CERTIFICATE_VERSION,
        run="5e" * 32,
        backbone="vit_tiny_patch16_224.augreg_in21k_ft_in1k",
        format="onnx",
        precision="int8" if int8 else "fp32",
        model={"model.onnx": "ab" * 32},
        bytes=23_456_789,
        runtime={"numpy": "2.4.6", "pillow": "13.0.0", "onnxruntime": "1.32.0"},
        imported=("PIL", "numpy", "onnxruntime"),
        fidelity=compare_exactly(images, answers, answers, refusal, reduced=reduced),
        shift=shift,
        loss=check_loss(shift.pair, "accuracy", accepted=True) if int8 else None,
        speed=Speed(
            processor="A processor with eight cores",
            threads=2,
            alone=alone,
            best=TimedBatch(batch=16, images_per_s=1234.5, slowest=1100.0, fastest=1300.0, calls=20),
        ),
    )


def make_paths() -> dict[str, str]:
    """The path of each test image, by id."""
    return {f"{n:03d}": f"roses/{n:03d}.jpg" for n in range(N)}
