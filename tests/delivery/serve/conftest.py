"""A service on a model folder of a small finished run: called in this process, and as a server of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.delivery.export.conftest import Finished
from tests.delivery.serve.browsing import browser as browser
from tests.delivery.serve.browsing import open_page as open_page
from vitrail.delivery.model_folder import ModelFolder

KEY = "a key for tests, in a header".replace(" ", "-")
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


@dataclass
class Server:
    """`vitrail serve` in a process of its own."""

    process: "subprocess.Popen[str]"
    url: str
    words: str  # what it printed before it was ready

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return self.process.returncode


def start_server(*arguments: str | Path, environment: dict[str, str] | None = None) -> Server:
    """Start it on a free port, and wait until it says where it serves."""
    command = [sys.executable, "-m", "vitrail", "serve", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | (environment or {}),
    )
    assert process.stdout is not None
    words = ""
    for line in process.stdout:
        words += line
        if match := re.search(r" at (http://\S+)$", line):
            return Server(process, match[1], words)
    raise AssertionError(f"the server ended with {process.wait()}: {words}")


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
