"""Model folders of a small finished run, made once."""

from pathlib import Path

import pytest

from tests.delivery.export.conftest import Finished
from tests.delivery.export.conftest import finished as finished
from vitrail.core.resources import Resources
from vitrail.delivery.export.export import ExportOptions, export_run
from vitrail.delivery.export.layout import RUNTIME


def export_folder(finished: Finished, out: Path, export_format: str, backbone: str = "vit_mini") -> Path:
    pytest.importorskip(RUNTIME[export_format])
    resources = Resources(offline=True)
    options = ExportOptions(format=export_format)
    return export_run(finished.run.folder, out, options, backbone=backbone, resources=resources).folder


@pytest.fixture(scope="session")
def onnx_folder(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_folder(finished, tmp_path_factory.mktemp("onnx") / "model", "onnx")


@pytest.fixture(scope="session")
def openvino_folder(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_folder(finished, tmp_path_factory.mktemp("openvino") / "model", "openvino")
