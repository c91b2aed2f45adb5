"""Heads of every kind in the files of other runtimes, for any number of images."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.heads.test_head import fitted
from vitrail.backbones import openvino_engine
from vitrail.backbones.engines import Precision
from vitrail.core.errors import UsageError, WeightsError
from vitrail.delivery.export import graphs
from vitrail.delivery.export.graphs import FORMATS, REFUSED, ExportFormat, Target, require_target, write_graph
from vitrail.delivery.export.layout import RUNTIME
from vitrail.heads import Head
from vitrail.heads.module import HeadModule
from vitrail.heads.scores import FORM_OF

CROP = 6


class Network(nn.Module):
    """Features that are a linear function of the pixels, a head, and a distance that is their first feature."""

    weight_PD: Tensor

    def __init__(self, head: Head) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        width = len(head.scaling.mean_D)
        self.register_buffer("weight_PD", torch.randn(CROP * CROP * 3, width, generator=draws) / 500)
        self.head = HeadModule(head)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        feature_BD = (pixels.float() - 128).flatten(1) @ self.weight_PD
        return self.head(feature_BD), feature_BD[:, 0]


def run_graph(export_format: str, folder: Path, pixel_BHWC: np.ndarray) -> list[np.ndarray]:
    if export_format == "onnx":
        import onnxruntime

        return onnxruntime.InferenceSession(folder / "model.onnx").run(
            ["probability", "distance"], {"pixels": pixel_BHWC}
        )
    if export_format == "torch":
        program = torch.export.load(folder / "model.pt2").module()
        return [output.numpy() for output in program(torch.from_numpy(pixel_BHWC))]
    import openvino

    model = openvino.Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [model(pixel_BHWC)[name].copy() for name in ("probability", "distance")]


@pytest.mark.parametrize("export_format", FORMATS)
@pytest.mark.parametrize(
    ("kind", "scaling"), [*((kind, "standardise") for kind in FORM_OF), ("knn", "l2"), ("mlp", "none")]
)
def test_a_head_of_every_kind_answers_as_on_torch(tmp_path: Path, export_format: ExportFormat, kind: str, scaling: Any):
    if find_spec(RUNTIME[export_format]) is None:
        pytest.skip(f"needs {RUNTIME[export_format]}")
    network = Network(fitted(kind, scaling)[0]).eval()
    write_graph(Target(format=export_format), network, crop=CROP, facts={"classes": ["é <b>", "\n"]}, folder=tmp_path)
    draws = np.random.default_rng(0)
    for images in (1, 2, 7):
        pixel_BHWC = draws.integers(0, 256, (images, CROP, CROP, 3)).astype(np.uint8)
        with torch.inference_mode():
            outputs = network(torch.from_numpy(pixel_BHWC))
        for ours, theirs in zip(outputs, run_graph(export_format, tmp_path, pixel_BHWC), strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(theirs, ours.numpy(), atol=5e-6, rtol=1e-5)


@pytest.mark.parametrize("export_format", ["onnx", "openvino"])
def test_weights_in_float16_take_half_the_space_and_answer_nearly_the_same(tmp_path: Path, export_format: ExportFormat):
    if find_spec(RUNTIME[export_format]) is None:
        pytest.skip(f"needs {RUNTIME[export_format]}")
    network = Network(fitted("knn", "l2")[0]).eval()
    pixel_BHWC = np.random.default_rng(0).integers(0, 256, (3, CROP, CROP, 3)).astype(np.uint8)
    answers, sizes = {}, {}
    for precision in ("fp32", "fp16"):
        folder = tmp_path / precision
        folder.mkdir()
        write_graph(Target(format=export_format, precision=precision), network, crop=CROP, facts={}, folder=folder)
        answers[precision] = run_graph(export_format, folder, pixel_BHWC)
        sizes[precision] = weight_bytes(export_format, folder)
    assert sizes["fp16"] < 0.6 * sizes["fp32"]
    for half, whole in zip(answers["fp16"], answers["fp32"], strict=True):
        np.testing.assert_allclose(half, whole, atol=5e-3)
        assert not np.array_equal(half, whole), "else nothing was rounded"


def weight_bytes(export_format: str, folder: Path) -> int:
    if export_format == "openvino":
        return (folder / "model.bin").stat().st_size
    import onnx

    return sum(len(weight.raw_data) for weight in onnx.load(folder / "model.onnx").graph.initializer)


def test_a_weight_that_float16_cannot_hold_stays(tmp_path: Path):
    if find_spec("onnxruntime") is None:
        pytest.skip("needs onnxruntime")
    network = Network(fitted("ridge", "none")[0]).eval()
    network.weight_PD[0, 0] = 1e6
    write_graph(Target(format="onnx", precision="fp16"), network, crop=CROP, facts={}, folder=tmp_path)
    pixel_BHWC = np.full((1, CROP, CROP, 3), 129, np.uint8)
    assert run_graph("onnx", tmp_path, pixel_BHWC)[1] == pytest.approx(1e6, rel=1e-4)


@pytest.mark.parametrize("pair", REFUSED)
def test_what_is_not_exported_is_refused_with_its_reason(pair: tuple[ExportFormat, Precision]):
    export_format, precision = pair
    with pytest.raises(UsageError, match=f"for {export_format} is not exported in {precision}, because .*: choose"):
        require_target(export_format, precision)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match="no precision 'int4': choose fp32, bf16, fp16, int8"):
        require_target("onnx", "int4")


def test_a_processor_without_bf16_units_exports_none(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(openvino_engine, "openvino_capabilities", lambda: ("FP32",))
    with pytest.raises(UsageError, match="no bfloat16 units"):
        require_target("openvino", "bf16")


def test_what_cannot_be_written_is_an_error_that_names_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object, **keywords: object) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setitem(graphs.WRITERS, "onnx", refuse)
    with pytest.raises(WeightsError, match=r"cannot be written as onnx fp32 \(RuntimeError: no such operation\)"):
        write_graph(Target(format="onnx"), nn.Identity(), crop=CROP, facts={}, folder=tmp_path)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(graphs, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs onnx, onnxscript, onnxruntime: pip install 'vitrail\[export\]'"):
        require_target("onnx", "fp32")
