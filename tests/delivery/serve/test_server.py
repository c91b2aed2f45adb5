"""`vitrail serve` as a process: it starts, answers, and stops without losing what it accepted."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from benchmarks.service import Server, start_server

from tests.delivery.export.conftest import Finished
from tests.delivery.serve.conftest import wait_until_refused
from vitrail.core.errors import UsageError
from vitrail.delivery.serve.server import is_loopback, listen

pytestmark = pytest.mark.slow
PNG = {"Content-Type": "image/png"}


def run_serve(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A server that does not start."""
    command = [sys.executable, "-m", "vitrail", "serve", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_it_serves_on_this_machine_alone_and_says_so(server: Server, picture: bytes):
    assert server.url.startswith("http://127.0.0.1:")
    assert "vit_mini (onnx fp32, certified on " in server.log.read_text()
    reply = httpx.post(f"{server.url}/v1/predict", content=picture, headers=PNG, timeout=60)
    assert reply.status_code == 200
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "server" not in reply.headers


def test_a_prediction_of_a_folder_never_imports_torch(onnx_folder: Path, picture: bytes, tmp_path: Path):
    (tmp_path / "image.png").write_bytes(picture)
    program = f"""
import sys
from pathlib import Path
from starlette.testclient import TestClient
from vitrail.cli.main import app
from vitrail.delivery.model_folder import ModelFolder
from vitrail.delivery.serve.app import Service
from vitrail.delivery.serve.server import serve
service = Service(ModelFolder.open(Path({str(onnx_folder)!r}), threads=1), api_key=None, is_loopback=True)
client = TestClient(service.guard, base_url="http://localhost")
image = Path({str(tmp_path / "image.png")!r}).read_bytes()
assert client.post("/v1/predict", content=image, headers={PNG}).status_code == 200
service.classifier.close()
assert "torch" not in sys.modules, "torch"
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=200)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_every_accepted_request_is_answered(
    onnx_folder: Path, picture: bytes, number: signal.Signals
):
    server = start_server(onnx_folder)
    statuses: list[int] = []
    cut_off: list[str] = []

    def send() -> None:
        with httpx.Client(timeout=60) as client:
            while True:
                try:
                    statuses.append(client.post(f"{server.url}/v1/predict", content=picture, headers=PNG).status_code)
                except httpx.ConnectError:  # it takes no more connections
                    return
                except httpx.TransportError as error:
                    cut_off.append(repr(error))
                    return

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    while len(statuses) < 20:
        time.sleep(0.01)
    server.process.send_signal(number)
    for thread in threads:
        thread.join(60)
    assert server.wait() == 0
    assert set(statuses) <= {200, 429, 503}
    assert 200 in statuses
    assert not cut_off


def test_a_body_that_is_on_its_way_is_answered_after_the_signal(onnx_folder: Path, picture: bytes):
    server = start_server(onnx_folder)
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(picture)}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(head.encode() + b"\r\n\r\n" + picture[:100])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        wait_until_refused(server.url)
        client.sendall(picture[100:])
        reply = b""
        while data := client.recv(65536):
            reply += data
    assert reply.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in reply
    assert server.wait() == 0


def test_a_port_that_is_taken_is_an_error_of_usage(server: Server, onnx_folder: Path):
    done = run_serve(onnx_folder, "--port", str(server.port))
    assert done.returncode == 2
    assert "choose another" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_folder_without_a_passed_certificate_is_not_served(onnx_folder: Path, tmp_path: Path):
    copy = shutil.copytree(onnx_folder, tmp_path / "copy")
    (copy / "certificate.json").unlink()
    done = run_serve(copy)
    assert done.returncode == 1
    assert "certificate" in done.stderr


def test_options_of_a_run_do_not_fit_a_model_folder(onnx_folder: Path):
    done = run_serve(onnx_folder, "-b", "vit_mini")
    assert done.returncode == 2


def test_listening_elsewhere_without_a_key_is_noted(onnx_folder: Path, picture: bytes):
    server = start_server(onnx_folder, "--host", "0.0.0.0")
    assert "no API key is set" in server.log.read_text()
    url = f"http://127.0.0.1:{server.port}/v1/predict"
    assert httpx.post(url, content=picture, headers=PNG | {"Host": "a.name"}, timeout=60).status_code == 200
    assert server.stop() == 0


def test_a_key_from_a_file_is_asked_for(onnx_folder: Path, tmp_path: Path):
    (tmp_path / "key").write_text("0123456789abcdef\n")
    server = start_server(onnx_folder, "--api-key-file", tmp_path / "key")
    assert httpx.get(f"{server.url}/v1/model", timeout=60).status_code == 401
    key = {"Authorization": "Bearer 0123456789abcdef"}
    assert httpx.get(f"{server.url}/v1/model", headers=key, timeout=60).status_code == 200
    assert server.stop() == 0


def test_a_run_is_exported_once_and_served(finished: Finished, tmp_path: Path):
    """The second start finds the export in the cache; neither process that serves has torch."""
    environment = {"VITRAIL_CACHE": str(tmp_path / "cache")}
    arguments = (finished.run.folder, "--data", finished.data, "-b", "vit_mini", "--offline")
    server = start_server(*arguments, environment=environment)
    assert httpx.get(f"{server.url}/v1/health", timeout=60).json()["model"] == "vit_mini"
    assert server.stop() == 0
    (folder,) = (tmp_path / "cache").rglob("certificate.json")
    written = folder.stat().st_mtime_ns
    again = start_server(*arguments, environment=environment)
    assert again.stop() == 0
    assert folder.stat().st_mtime_ns == written


def test_a_run_whose_export_fails_is_not_served(finished: Finished, tmp_path: Path):
    done = run_serve(finished.run.folder, "--data", tmp_path, "--offline")
    assert done.returncode == 1
    assert "no certified export" in " ".join(done.stderr.split())


def test_addresses():
    with listen("127.0.0.1", 0) as here, listen("0.0.0.0", 0) as everywhere:
        assert is_loopback(here)
        assert not is_loopback(everywhere)
    with pytest.raises(UsageError, match="--host"):
        listen("no.such.host.invalid", 0)
    with pytest.raises(UsageError, match="--host"):
        listen("192.0.2.1", 0)
