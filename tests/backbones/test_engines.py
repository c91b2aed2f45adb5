import json
import subprocess
import sys
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


def start(engine: str, precision: str = "auto", *, threads: int = 2, name: str = "vit_mini"):
    opened = open_backbone(BackboneSpec(name=name), engine=engine, precision=precision, progress=Silent())
    return opened.start(threads=threads)


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
def test_a_converted_model_is_kept_and_a_damaged_one_made_again(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path))
    wanted = start("openvino")(pixels(3))
    (weights,) = tmp_path.glob("engines/*/model.bin")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 255
    weights.write_bytes(content)
    np.testing.assert_array_equal(start("openvino")(pixels(3)), wanted)
    (again,) = tmp_path.glob("engines/*/model.bin")
    assert again.read_bytes() != bytes(content)


def test_what_is_not_there_is_wrong_usage(monkeypatch):
    with pytest.raises(UsageError, match="abacus"):
        choose_engine("abacus", "auto")
    with pytest.raises(UsageError, match="fp64"):
        choose_engine("auto", "fp64")
    monkeypatch.setattr(engines_module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="openvino"):
        choose_engine("openvino", "auto")
    assert choose_engine("auto", "auto").name == "torch"


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
