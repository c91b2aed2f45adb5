"""Model folders of a small finished run, made once."""

from pathlib import Path

import pytest

from tests.delivery.export.conftest import Finished
from tests.delivery.export.conftest import finished as finished
from tests.sharing import make_once
from vitrail.core.resources import Resources
from vitrail.delivery.export.export import ExportOptions, export_run
from vitrail.delivery.export.layout import RUNTIME


def export_folder(finished: Finished, out: Path, export_format: str, backbone: str = "vit_mini") -> Path:
    pytest.importorskip(RUNTIME[export_format])
    resources = Resources(offline=True)
    options = ExportOptions(format=export_format)
    return export_run(finished.run.folder, out, options, backbone=backbone, resources=resources).folder


@pytest.fixture(scope="session")
def onnx_folder(finished: Finished, common: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return share_folder(finished, common, tmp_path_factory, "onnx")


@pytest.fixture(scope="session")
def openvino_folder(finished: Finished, common: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return share_folder(finished, common, tmp_path_factory, "openvino")


def share_folder(
    finished: Finished, common: Path, tmp_path_factory: pytest.TempPathFactory, export_format: str
) -> Path:
    """The model folder that one test process exports for all."""

    def export(folder: Path) -> None:
        export_folder(finished, folder / "model", export_format)

    return make_once(common, export_format, export, tmp_path_factory.mktemp("shared") / export_format) / "model"
