from dataclasses import replace

import numpy as np
import pytest

from vitrail.backbones import Backbone, BackboneSpec, EngineRequest, open_backbone
from vitrail.backbones import engines as engines_module
from vitrail.backbones.engine_trial import PARITY_COSINE, least_cosine, pick, sample_pixels, trial_in_words, try_engines
from vitrail.backbones.engines import EngineTrial, TriedEngine, choose_engine, list_engines
from vitrail.core.errors import UsageError, WeightsError
from vitrail.core.progress import Silent

openvino = pytest.mark.skipif(choose_engine("auto", "auto").name != "openvino", reason="needs OpenVINO")


def backbone(name: str = "vit_mini") -> Backbone:
    return open_backbone(BackboneSpec(name=name), progress=Silent())


def tried(*rates: float | None, faulty: int | None = None) -> list[TriedEngine]:
    rows = [TriedEngine(name="torch", precision="fp32", device="cpu", images_per_s=rate) for rate in rates]
    return [replace(row, fault="differs") if place == faulty else row for place, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        (tried(100.0), 0),
        (tried(100.0, 177.0, 50.0), 1),
        (tried(100.0, 109.0), 0),  # a near tie stays with the default
        (tried(100.0, 150.0, 165.0), 1),  # and else with what stands first: float32 before others
        (tried(100.0, 150.0, 170.0), 2),
        (tried(100.0, 400.0, 150.0, faulty=1), 2),  # fast, but its features differ
        (tried(None, 50.0, faulty=0), 1),
        (tried(None, None, faulty=0), 0),
    ],
)
def test_the_first_engine_about_as_fast_as_the_fastest_is_picked(rows, chosen):
    assert pick(rows) == chosen


def test_the_least_cosine_is_over_images_and_components_and_non_finite_features_never_pass():
    exact_NPD = np.random.default_rng(0).normal(size=(8, 2, 5)).astype(np.float32)
    assert least_cosine(exact_NPD, exact_NPD) == pytest.approx(1.0)
    for place in ((0, 0), (7, 1)):
        turned_NPD = exact_NPD.copy()
        turned_NPD[place] *= -1
        assert least_cosine(turned_NPD, exact_NPD) == pytest.approx(-1.0)
    turned_NPD[7, 1, 0] = np.nan
    assert not least_cosine(turned_NPD, exact_NPD) >= PARITY_COSINE


def test_the_sample_images_are_eight_different_ones_at_the_size_of_the_network():
    pixel_NHWC = sample_pixels(backbone().card.preprocessing)
    assert pixel_NHWC.shape == (8, 32, 32, 3)
    assert len({pixels.tobytes() for pixels in pixel_NHWC}) == 8


@openvino
@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
def test_every_engine_of_this_machine_is_tried_and_one_that_keeps_the_features_is_chosen(name):
    choices = list_engines(EngineRequest())
    choice, trial = try_engines(backbone(name), choices, threads=1)
    assert [(row.name, row.precision) for row in trial.tried] == [(each.name, each.precision) for each in choices]
    assert all(row.cosine >= PARITY_COSINE and row.images_per_s > 0 for row in trial.tried)
    assert choice == choices[pick(trial.tried)]
    assert (trial.threads, trial.seconds > 0) == (1, True)


@openvino
def test_an_engine_that_fails_or_changes_the_features_is_not_chosen_and_says_why(monkeypatch):
    class Wrong:
        batch, streams = 8, 1

        def __call__(self, pixel_BHWC):
            return -np.ones((len(pixel_BHWC), 256), np.float32)

    start = Backbone.start

    def broken(self, **how):
        if self.engine.name == "openvino" and self.engine.precision == "fp32":
            raise RuntimeError("no room\nfor it")
        return Wrong() if self.engine.name == "openvino" else start(self, **how)

    monkeypatch.setattr(Backbone, "start", broken)
    choices = list_engines(EngineRequest())
    choice, trial = try_engines(backbone(), choices, threads=1)
    faults = {(row.name, row.precision): row.fault for row in trial.tried if row.name == "openvino"}
    assert choice.name == "torch"
    assert faults["openvino", "fp32"] == "it failed: no room"
    if ("openvino", "bf16") in faults:
        assert "differ too much from those in float32" in faults["openvino", "bf16"]


def test_weights_that_do_not_fit_end_the_trial(tmp_path):
    wrong = replace(backbone(), file=backbone("resnet_mini").file)
    with pytest.raises(WeightsError):
        try_engines(wrong, list_engines(EngineRequest()), threads=1)


def test_a_request_narrows_the_list():
    assert list_engines(EngineRequest(engine="torch", precision="fp32")) == (choose_engine("torch", "fp32"),)
    assert {choice.name for choice in list_engines(EngineRequest(engine="torch"))} == {"torch"}
    assert {choice.precision for choice in list_engines(EngineRequest(precision="fp32"))} == {"fp32"}
    with pytest.raises(UsageError, match="abacus"):
        list_engines(EngineRequest(engine="abacus"))


@pytest.mark.parametrize(
    ("half", "listed"),
    [
        ("bf16", [("torch", "bf16"), ("torch", "fp32"), ("torch", "fp16")]),
        ("fp16", [("torch", "fp16"), ("torch", "fp32")]),
    ],
)
def test_a_gpu_tries_the_precisions_of_torch_that_it_has_units_for(monkeypatch, half, listed):
    monkeypatch.setattr(engines_module, "_accelerator", lambda: "cuda")
    monkeypatch.setattr(engines_module, "_half_of_cuda", lambda: half)
    choices = list_engines(EngineRequest())
    assert [(choice.name, choice.precision) for choice in choices] == listed
    assert {choice.device for choice in choices} == {"cuda"}
    assert len(list_engines(EngineRequest(engine="torch-compile"))) == 1


@openvino
def test_a_processor_without_bfloat16_tries_float32_alone(monkeypatch):
    monkeypatch.setattr(engines_module, "_processor", lambda: {"cpu_name": "AMD EPYC 7B13"})
    monkeypatch.setattr("vitrail.backbones.engines.openvino_capabilities", lambda: ("FP32",))
    assert [(each.name, each.precision) for each in list_engines(EngineRequest())] == [
        ("openvino", "fp32"),
        ("torch", "fp32"),
    ]


def test_a_trial_in_words_has_the_choice_first_and_the_others_by_their_speed():
    rows = (
        TriedEngine(name="openvino", precision="fp32", device="cpu", images_per_s=72.4, cosine=1.0),
        TriedEngine(name="openvino", precision="bf16", device="cpu", images_per_s=1140.0, cosine=0.9999),
        TriedEngine(name="torch", precision="fp32", device="cpu", fault="it failed: no room"),
        TriedEngine(name="torch", precision="bf16", device="cpu", images_per_s=177.3, cosine=0.9999),
    )
    trial = EngineTrial(processor="AMD", threads=2, created="2026-11-29T15:43:08+00:00", seconds=4.21, tried=rows)
    assert trial_in_words(trial) == (
        "openvino bf16 at 1,140 images/s; torch bf16 at 177 images/s, openvino fp32 at 72.4 images/s, "
        "torch fp32 cannot be used because it failed: no room (measured in 4.2 s on AMD with 2 threads, 2026-11-29)"
    )
    one = replace(trial, threads=1, tried=rows[:1])
    assert trial_in_words(one) == "openvino fp32 at 72.4 images/s (measured in 4.2 s on AMD with 1 thread, 2026-11-29)"
