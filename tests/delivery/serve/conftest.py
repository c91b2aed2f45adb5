"""A service on a model folder of a small finished run: called in this process, and as a server of its own."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from benchmarks.service import Server, start_server

from tests.delivery.export.conftest import Finished
from tests.delivery.serve.browsing import browser as browser
from tests.delivery.serve.browsing import open_page as open_page
from vitrail.delivery.model_folder import ModelFolder

READY_SECONDS = 120.0  # on a machine with other work

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from starlette.testclient import TestClient  # noqa: E402

from vitrail.delivery.serve.app import Service  # noqa: E402


@pytest.fixture(scope="session")
def model(onnx_folder: Path) -> ModelFolder:
    return ModelFolder.open(onnx_folder, threads=1)


@pytest.fixture
def service(model: ModelFolder) -> Iterator[Service]:
    service = Service(model, api_key=None, is_loopback=True)
    yield service
    service.classifier.close()


@pytest.fixture
def client(service: Service) -> TestClient:
    return TestClient(service.guard, base_url="http://localhost:8000", raise_server_exceptions=False)


@pytest.fixture(scope="session")
def picture(finished: Finished) -> bytes:
    return sorted(finished.data.rglob("*.png"))[0].read_bytes()


@pytest.fixture(scope="session")
def server(onnx_folder: Path) -> Iterator[Server]:
    server = start_server(onnx_folder)
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0


def wait_until_refused(url: str) -> None:
    """Wait until a server takes no more connections."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/v1/health/live", timeout=10)
        except httpx.TransportError:
            return
        time.sleep(0.02)
    raise AssertionError("the server still answers")
