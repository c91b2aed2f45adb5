import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from vitrail.backbones import BackboneSpec, open_backbone, to_pixels
from vitrail.backbones import engines as engines_module
from vitrail.backbones.engines import choose_engine
from vitrail.core.errors import UsageError
from vitrail.core.progress import Silent

openvino = pytest.mark.skipif(choose_engine("auto", "auto").name != "openvino", reason="needs OpenVINO")


def start(engine: str, precision: str = "auto", *, threads: int = 2, name: str = "vit_mini", **how):
    opened = open_backbone(BackboneSpec(name=name), engine=engine, precision=precision, progress=Silent())
    return opened.start(threads=threads, **how)


def pixels(count: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def cosine(one_ND: np.ndarray, other_ND: np.ndarray) -> float:
    norms_N = np.linalg.norm(one_ND, axis=1) * np.linalg.norm(other_ND, axis=1)
    return float(((one_ND * other_ND).sum(axis=1) / norms_N).min())


@openvino
@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
def test_openvino_in_fp32_computes_what_torch_does(name):
    theirs, ours = start("torch", name=name)(pixels(5)), start("openvino", "fp32", name=name)(pixels(5))
    assert (np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)).max() < 1e-4


@openvino
@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
def test_the_default_precision_keeps_the_direction_of_a_feature(name):
    assert cosine(start("auto", name=name)(pixels(9)), start("torch", name=name)(pixels(9))) > 0.999


@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_a_row_does_not_depend_on_its_neighbours(engine):
    running, pixel_BHWC = start(engine), pixels(37)
    together = running(pixel_BHWC)
    assert together.shape == (37, 128)
    assert together.dtype == np.float32
    for place in (0, 17, 36):
        np.testing.assert_array_equal(running(pixel_BHWC[place : place + 1])[0], together[place])
    np.testing.assert_array_equal(running(pixel_BHWC[::-1])[::-1], together)


@openvino
@pytest.mark.parametrize("precision", ["fp32", "auto"])
@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
def test_a_feature_is_the_same_at_every_batch(name, precision):
    whole = start("openvino", precision, name=name, batch=16)(pixels(19))
    for batch in (1, 2, 3, 8):
        np.testing.assert_array_equal(start("openvino", precision, name=name, batch=batch)(pixels(19)), whole)


@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_several_poolings_come_from_one_pass(engine):
    both, own = start(engine, pooling="cls+mean")(pixels(5)), start(engine)(pixels(5))
    assert both.shape == (5, 256)
    assert cosine(both[:, :128], own) > 0.9999
    assert cosine(both[:, 128:], start(engine, pooling="mean")(pixels(5))) > 0.9999
    assert cosine(both[:, 128:], own) < 0.99


@pytest.mark.parametrize("name", ["vit_mini", "resnet_mini"])
def test_torch_in_bf16_keeps_the_direction_of_a_feature(name):
    if not engines_module._has_bf16_units():
        pytest.skip("needs a processor with bfloat16 units")
    exact, half = start("torch", name=name)(pixels(9)), start("torch", "bf16", name=name)(pixels(9))
    assert cosine(half, exact) > 0.999
    assert not np.array_equal(half, exact)


@openvino
def test_a_converted_model_is_kept_and_a_damaged_one_made_again(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path))
    wanted = start("openvino")(pixels(3))
    (weights,) = tmp_path.glob("v1/engines/*/model.bin")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 255
    weights.write_bytes(content)
    np.testing.assert_array_equal(start("openvino")(pixels(3)), wanted)
    (again,) = tmp_path.glob("v1/engines/*/model.bin")
    assert again.read_bytes() != bytes(content)


def test_an_unknown_or_missing_engine_is_wrong_usage(monkeypatch):
    with pytest.raises(UsageError, match="abacus"):
        choose_engine("abacus", "auto")
    with pytest.raises(UsageError, match="fp64"):
        choose_engine("auto", "fp64")
    monkeypatch.setattr(engines_module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="openvino"):
        choose_engine("openvino", "auto")
    assert choose_engine("auto", "auto").name == "torch"


@openvino
@pytest.mark.parametrize(
    ("able", "precision"),
    [
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, "fp32"),
        ({"cpu_name": "AMD EPYC 9B14", "avx512_bf16": True}, "bf16"),
        ({"cpu_name": "AMD EPYC 7B13"}, "fp32"),
        ({"architecture": "aarch64", "bf16": True}, "bf16"),
    ],
)
def test_auto_is_bf16_only_where_that_is_faster(monkeypatch, able, precision):
    monkeypatch.setattr(engines_module, "_processor", lambda: able)
    monkeypatch.setattr("vitrail.backbones.engines.openvino_capabilities", lambda: ("FP32", "BF16"))
    assert choose_engine("openvino", "auto").precision == precision
    assert choose_engine("openvino", "bf16").precision == "bf16"
    if find_spec("nncf"):
        assert choose_engine("openvino", "int8").rest == precision


@pytest.mark.parametrize(
    ("device", "asked", "chosen"),
    [
        ("cpu", ("auto", "fp32"), ("openvino", "fp32", "cpu")),
        ("cpu", ("torch", "auto"), ("torch", "fp32", "cpu")),
        ("cuda", ("auto", "auto"), ("torch", "bf16", "cuda")),
        ("cuda", ("auto", "fp16"), ("torch", "fp16", "cuda")),
        ("cuda", ("torch-compile", "auto"), ("torch-compile", "bf16", "cuda")),
        ("cuda", ("openvino", "fp32"), ("openvino", "fp32", "cpu")),
        ("cuda", ("auto", "int8"), ("openvino", "int8", "cpu")),
        ("mps", ("auto", "auto"), ("torch", "fp32", "mps")),
        ("mps", ("auto", "fp16"), ("torch", "fp16", "mps")),
    ],
)
def test_auto_chooses_by_what_the_machine_has(monkeypatch, device, asked, chosen):
    monkeypatch.setattr(engines_module, "_accelerator", lambda: device)
    monkeypatch.setattr(engines_module, "_half_of_cuda", lambda: "bf16")
    choice = choose_engine(*asked)
    assert (choice.name, choice.precision, choice.device) == chosen


@openvino
@pytest.mark.parametrize(
    ("device", "asked", "names"),
    [
        ("cpu", ("torch", "fp16"), "fp16"),
        ("cpu", ("torch", "int8"), "engine openvino"),
        ("cpu", ("torch-compile", "auto"), "CUDA"),
        ("cpu", ("openvino", "fp16"), "fp16"),
        ("mps", ("torch-compile", "auto"), "CUDA"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(monkeypatch, device, asked, names):
    monkeypatch.setattr(engines_module, "_accelerator", lambda: device)
    with pytest.raises(UsageError, match=names):
        choose_engine(*asked)


@openvino
def test_starting_an_engine_opens_no_connection():
    code = (
        "import socket\n"
        "def refuse(*arguments, **options): raise SystemExit('a connection was opened')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from tests.backbones.test_engines import start, pixels\n"
        "start('openvino')(pixels(1))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@openvino
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
        ("deit_tiny_patch16_224.fb_in1k", "deit_tiny_patch16_224.fb_in1k"),
        ("resnet50.tv_in1k", "resnet50.pqf_in1k"),
        ("resnet18.tv_in1k", "resnet18.pqf_in1k"),
    ],
)
def test_on_real_weights_the_default_precision_keeps_the_direction_of_timms_features(shared, name, file):
    spec = BackboneSpec(name=name, file=shared / "weights" / f"{file}.safetensors")
    opened = open_backbone(spec, progress=Silent())
    images = json.loads(safe_open(shared / "golden" / f"{file}.safetensors", "np").metadata()["images"])
    pixel_BHWC = np.stack(
        [
            to_pixels(Image.open(shared / "golden" / "images" / image).convert("RGB"), opened.card.preprocessing)
            for image in images
        ]
    )
    golden_ND = load_file(shared / "golden" / f"{file}.safetensors")["features"]
    assert cosine(opened.start(threads=2)(pixel_BHWC), golden_ND) > 0.999


def test_a_torch_that_does_not_describe_the_processor_computes_in_float32(monkeypatch):
    import torch

    monkeypatch.delattr(torch.cpu, "get_capabilities")  # torch 2.6 has no such function
    monkeypatch.setattr(engines_module, "_accelerator", lambda: "cpu")
    assert choose_engine("auto", "auto").precision == "fp32"
    assert choose_engine("torch", "auto").precision == "fp32"
