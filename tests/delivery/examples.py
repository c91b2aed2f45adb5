"""Runs made by hand, for the tests of what is delivered: real figures of made-up probabilities."""

import hashlib
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitrail.backbones import Card
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.engines import EngineTrial, TriedEngine
from vitrail.candidates.decoding import Decoding
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.parity import Parity
from vitrail.candidates.thresholds import fit_refusal
from vitrail.core.machine import Machine, Threads
from vitrail.data import SealedTest, SetAside
from vitrail.data.traces import Traces
from vitrail.delivery.report import Images
from vitrail.evaluation import Contestant, JudgedImages, Verdict, judge
from vitrail.heads.bank import fill_bank
from vitrail.heads.head import Predictions
from vitrail.runs import (
    SCHEMA_VERSION,
    BackboneCost,
    BackboneResult,
    DataSummary,
    Results,
    RunCost,
    SearchSummary,
    SplitSummary,
)
from vitrail.search import (
    CurvePoint,
    FewShot,
    LabelCurve,
    LabelForecast,
    LabelPoint,
    Seeded,
    SplitSpread,
    Trial,
    TuneOptions,
)
from vitrail.statistics.training_variance import HalvesScored

BACKBONES = (
    ("vit_small_patch16_224.augreg_in21k_ft_in1k", 1.25),
    ("resnet50.tv_in1k", 0.8),
    ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 0.7),
    ("deit_small_patch16_224.fb_in1k", 1.15),
)

NASTY = ("<script>alert(1)</script>", "épagneul à l'été", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }} & &amp;")


def make_run(
    classes: Sequence[str],
    *,
    backbones: int = 2,
    per_class: int = 17,
    set_aside: Sequence[SetAside] = (),
    warnings: Sequence[str] = (),
    epochs: int = 24,
    seed: int = 0,
    spread: float = 0.55,
) -> tuple[Results, dict[str, Predictions]]:
    """A finished run on `per_class` test images of each class, and its predictions."""
    generator = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(len(classes)), per_class)
    ids = [hashlib.sha256(f"{seed} {row}".encode()).hexdigest() for row in range(len(label_N))]
    base_NC = _noise(len(classes), label_N, generator, spread)
    chosen = BACKBONES[:backbones]
    cards = load_catalogue()
    contestants = [
        _contestant(cards[name], ids, label_N, _probabilities(base_NC, label_N, strength, generator))
        for name, strength in chosen
    ]
    sealed = SealedTest(dict(zip(ids, label_N.tolist(), strict=True)))
    verdict = judge(
        contestants,
        JudgedImages(ids=tuple(ids), classes=tuple(classes), warnings=tuple(warnings)),
        sealed,
        "choices",
    )
    results = _results(verdict, classes, per_class, set_aside, warnings, epochs)
    return results, {one.name: one for one in verdict.predictions}


def make_images(predictions: dict[str, Predictions], *, size: int = 224) -> Images:
    """A picture of noise for every test example, under a hostile file name."""
    ids = next(iter(predictions.values())).ids

    def read(id_: str) -> bytes:
        noise = np.random.default_rng(int(id_[:8], 16)).integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
        buffer = BytesIO()
        Image.fromarray(noise).resize((size, size)).save(buffer, "JPEG")
        return buffer.getvalue()

    return Images(read=read, paths={id_: f"chiens/<b>été</b> {id_[:6]}.jpg" for id_ in ids})


def _contestant(
    card: Card, ids: Sequence[str], label_N: NDArray[np.int64], probability_NC: NDArray[np.float64]
) -> Contestant:
    """A backbone that was trained on other images, with thresholds set on features of noise."""
    feature_ND = np.random.default_rng(len(ids)).normal(size=(len(ids), 12)).astype(np.float32)
    refusal = fit_refusal(fill_bank(ids, feature_ND), probability_NC, label_N)
    return Contestant(
        name=card.name,
        gmacs=card.gmacs,
        licence=card.licence,
        probability_NC=probability_NC,
        traces=Traces(
            trained_on=(),
            named_after=(),
            pretraining="stated otherwise",
            local_file=False,
            labels_seen=True,
            evidence=(),
            named_N=np.zeros(len(ids), dtype=bool),
            untuned=None,
        ),
        refusal=refusal,
        strange_N=refusal.strange(feature_ND),
        halves=_halves(card.name),
    )


def _halves(name: str) -> HalvesScored:
    """Two heads on halves of 300 training images, right for four in five."""
    draws = np.random.default_rng(len(name))
    first_N, second_N = draws.random((2, 300)) < 0.8
    return HalvesScored(
        first_N=first_N,
        second_N=second_N,
        label_N=np.arange(300) % 3,
        fold_N=np.arange(300) % 5,
        group_N=np.arange(300),
        share=0.4,
    )


def _noise(
    classes: int, label_N: NDArray[np.int64], generator: np.random.Generator, spread: float
) -> NDArray[np.float64]:
    """Images scattered around their class, and classes around their kind, so that some are easily mixed up."""
    kinds = max(2, classes // 6)
    kind_KD = generator.normal(size=(kinds, 24))
    class_CD = kind_KD[np.arange(classes) % kinds] + spread * generator.normal(size=(classes, 24))
    image_ND = class_CD[label_N] + 1.15 * generator.normal(size=(len(label_N), 24))
    return -((image_ND[:, None] - class_CD[None]) ** 2).sum(axis=2)


def _probabilities(
    base_NC: NDArray[np.float64], label_N: NDArray[np.int64], strength: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    logit_NC = base_NC * 0.5 * strength + generator.normal(scale=1.3 / strength**2, size=base_NC.shape)
    shifted_NC = np.exp(logit_NC - logit_NC.max(axis=1, keepdims=True))
    return shifted_NC / shifted_NC.sum(axis=1, keepdims=True)


def _results(
    verdict: Verdict,
    classes: Sequence[str],
    per_class: int,
    set_aside: Sequence[SetAside],
    warnings: Sequence[str],
    epochs: int,
) -> Results:
    cards = load_catalogue()
    return Results(
        schema_version=SCHEMA_VERSION,
        vitrail_version="0.1.0",
        created="2025-11-03T10:21:07+00:00",
        command="vitrail bench ../data/chiens & <é> -b vit_small --out runs/chiens",
        options=BenchOptions(search=TuneOptions(dropouts=(0.0, 0.2, 0.5))),
        requested=tuple(one.name for one in verdict.backbones),
        data=DataSummary(
            name="chiens",
            fingerprint="5e" * 32,
            classes=tuple(classes),
            counts={
                part: dict.fromkeys(classes, number)
                for part, number in (("train", 18), ("val", 5), ("test", per_class))
            },
            set_aside=tuple(set_aside),
            duplicates={"files": 3, "examples": 3, "two_labels": 1, "two_labels_files": 2, "across_splits": 0},
            warnings=tuple(warnings),
            near_pairs=(),
            leaked=(),
            slices=(),
        ),
        split=SplitSummary(
            how="As given; val cut from train; stratified by class, groups whole.",
            seed=0,
            fractions=(0.6, 0.2, 0.2),
            fingerprint="a7" * 32,
            test_openings=1,
            first_opened="2026-11-02",
        ),
        backbones=tuple(
            BackboneResult(
                name=one.name,
                card=cards[one.name],
                weights_sha256="0d" * 32,
                engine="openvino",
                precision="bf16",
                device="cpu",
                threads=Threads(decode=2, compute=2),
                trial=TRIAL,
                ranges="",
                decoding=Decoding(large=812, images=64, cosine_least=0.991, cosine_mean=0.9997, changed=1),
                parity=Parity(images=64, cosine_least=0.9996, cosine_median=0.9999, top1_agreement=63 / 64),
                feature_key="91" * 16,
                cost=_cost(cards[one.name].gmacs, len(classes) * (23 + per_class)),
                search=_search(k, epochs),
                test=one.test,
                per_class=one.per_class,
                contamination=one.contamination,
                refusal=one.refusal,
                reliability=one.reliability,
                retraining=one.retraining,
                conditions=one.conditions,
                top1_without_leaked=None,
                recipe="default",
                departures=(),
            )
            for k, one in enumerate(verdict.backbones)
        ),
        pairs=verdict.pairs,
        retrained=verdict.retrained,
        winner=verdict.winner,
        shares=verdict.shares,
        decision=verdict.decision,
        cost=RunCost(
            wall_s=212.4,
            parts={"reading": 3.5, "features": 120.0, "search": 61.0, "refits": 21.0, "checks": 5.1, "verdict": 0.6},
            other_s=1.2,
            user_s=371.0,
            decode_s=41.5,
            peak_rss_bytes=1_310_000_000,
            starts=1,
        ),
        machine=Machine(
            cpu="AMD EPYC 9R14",
            cores=2,
            memory=8_000_000_000,
            gpu=None,
            os="Linux 6.1",
            versions={"python": "3.11.2", "torch": "2.13.0", "openvino": "2026.1.0", "numpy": "2.4.0"},
        ),
    )


TRIAL = EngineTrial(
    processor="AMD EPYC 9R14",
    threads=2,
    created="2026-11-29T15:43:08+00:00",
    seconds=4.2,
    tried=(
        TriedEngine(name="openvino", precision="bf16", device="cpu", images_per_s=177.0, cosine=0.9999),
        TriedEngine(name="torch", precision="fp32", device="cpu", images_per_s=54.0, cosine=1.0),
    ),
)


def _cost(gmacs: float, images: int) -> BackboneCost:
    forward = images * gmacs * 0.0031
    return BackboneCost(
        images=images,
        forward_s=forward,
        decode_s=images * 0.004,
        user_s=forward * 1.9,
        images_per_s=images / forward,
        gmacs=gmacs,
        cached=0.0,
    )


def _search(k: int, epochs: int) -> SearchSummary:
    curve = tuple(
        CurvePoint(
            epoch=epoch,
            train_loss=0.25 + 4.2 * float(np.exp(-epoch / (4 + k))),
            val_loss=0.72 + 3.6 * float(np.exp(-epoch / (4 + k))) + 0.006 * epoch,
            train_accuracy=0.97 - 0.9 * float(np.exp(-epoch / (3 + k))),
            val_accuracy=0.81 - 0.75 * float(np.exp(-epoch / (3 + k))),
        )
        for epoch in range(1, epochs + 1)
    )
    setting: dict[str, float | int | str] = {"dropout": 0.2, "learning_rate": 0.001} if k % 2 else {"strength": 0.01}
    winner = Trial(
        kind="softmax" if k % 2 else "logistic",
        setting=setting,
        val_nll=0.71,
        val_nll_se=0.02,
        val_accuracy=0.8,
        val_balanced_accuracy=0.79,
        weight_norm=12.5,
        seconds=1.2,
    )
    seeds = tuple(Seeded(seed=seed, val_nll=0.71, val_accuracy=0.8 + 0.002 * seed) for seed in range(3 * (k % 2)))
    return SearchSummary(
        trials=57,
        ended_early=False,
        streamed=False,
        notes=(),
        seconds=31.0 + k,
        user_s=52.0 + k,
        winner=winner,
        temperature=1.08,
        seeds=seeds,
        splits=SplitSpread(
            n=240,
            pool=960,
            accuracies=(0.79 + 0.01 * k, 0.81, 0.83),
            mean=0.81 + 0.01 * k / 3,
            deviation=0.02,
            sampling=0.025,
        ),
        few_shot=_few_shot(k),
        label_curves=_label_curves(k),
        curve=curve,
        pooling="cls",
    )


def _few_shot(k: int) -> tuple[FewShot, ...]:
    means = [0.3 + 0.04 * k + 0.15 * step for step in range(4)]
    return tuple(
        FewShot(shots=shots, draws=20, mean=mean, deviation=0.02, low=mean - 0.04, high=mean + 0.04)
        for shots, mean in zip((1, 2, 5, 10), means, strict=True)
    )


def _label_curves(k: int) -> tuple[LabelCurve, ...]:
    points = tuple(
        LabelPoint(images_per_class=18 * part, accuracy=top - 0.02 * k, low=top - 0.05, high=top + 0.03)
        for part, top in ((1 / 8, 0.55), (1 / 4, 0.66), (1 / 2, 0.74), (1.0, 0.79))
    )
    forecast = LabelForecast(labels=276, images_per_class=23, gain=0.031, low=0.012, high=0.046, level=0.9)
    sentence = "276 more labels in all 12 classes (23 more a class) are worth about +3.1 points."
    return (LabelCurve(classes=NASTY, points=points, forecast=forecast, sentence=sentence),)
