"""The paths of the service, called in this process."""

import asyncio
import io
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.service import make_form
from PIL import Image
from starlette.requests import ClientDisconnect, Request
from starlette.testclient import TestClient

from tests.delivery.export.conftest import Finished
from vitrail.core.errors import MachineError
from vitrail.core.machine import usable_cores
from vitrail.core.resources import Resources
from vitrail.delivery import model_folder
from vitrail.delivery.model_folder import ModelFolder
from vitrail.delivery.predict import Predictor
from vitrail.delivery.serve.app import Service
from vitrail.delivery.serve.refused import MOST_BODY_BYTES, MOST_IMAGES

pytestmark = pytest.mark.slow
PNG = {"Content-Type": "image/png"}


def files(*contents: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("image", (f"{number}.png", content, "image/png")) for number, content in enumerate(contents)]


def error_of(reply: object) -> tuple[int, str]:
    """Status and code of a refusal, in the one form that they have."""
    body = reply.json()  # type: ignore[attr-defined]
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "text"}
    assert body["error"]["text"].endswith(".")
    return reply.status_code, body["error"]["code"]  # type: ignore[attr-defined]


def test_answers_are_those_of_the_run(client: TestClient, finished: Finished):
    paths = sorted(finished.data.rglob("*.png"))[::5]
    predictor = Predictor.open(finished.run.folder, "vit_mini", resources=Resources(offline=True))
    reply = client.post("/v1/predict", files=files(*(path.read_bytes() for path in paths)))
    assert reply.status_code == 200
    assert reply.json()["error"] is None
    for result, expected in zip(reply.json()["results"], predictor.predict(paths), strict=True):
        assert result["label"] == (None if expected.doubt else expected.label)
        assert result["nearest"] == expected.label
        assert result["probability"] == pytest.approx(expected.probability, abs=1e-4)
        assert [entry["label"] for entry in result["top"]] == [label for label, _ in expected.top]
        assert result["set"] == list(expected.set)
        assert (result["doubt"] is None) == (expected.doubt is None)
        assert (result["width"], result["height"]) == (80, 72)
        assert result["error"] is None


def test_a_body_and_a_form_give_the_same_answer(client: TestClient, picture: bytes):
    raw = client.post("/v1/predict", content=picture, headers=PNG).json()["results"][0]
    form = client.post("/v1/predict", files=files(picture)).json()["results"][0]
    assert raw.pop("name") == "images[0]"
    assert form.pop("name") == "0.png"
    assert raw.pop("milliseconds") > 0
    assert form.pop("milliseconds") > 0
    assert raw == form


def test_an_image_unlike_the_training_images_has_no_label(client: TestClient):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)).save(file, "PNG")
    result = client.post("/v1/predict", content=file.getvalue(), headers=PNG).json()["results"][0]
    assert result["label"] is None
    assert result["doubt"]["code"] == "unlike"
    assert result["nearest"] == result["top"][0]["label"]


def test_an_unreadable_image_has_an_error_beside_the_answers_of_others(client: TestClient, picture: bytes):
    reply = client.post("/v1/predict", files=files(picture, b"text", picture[:-40]))
    assert reply.status_code == 200
    errors = [result["error"] for result in reply.json()["results"]]
    assert errors[0] is None
    assert errors[1]["code"] == errors[2]["code"] == "unreadable"


def test_a_request_without_a_readable_image_is_unprocessable(client: TestClient):
    reply = client.post("/v1/predict", content=b"text", headers=PNG)
    assert reply.status_code == 422
    assert reply.json()["error"] == reply.json()["results"][0]["error"]
    assert reply.json()["error"]["code"] == "unreadable"
    both = client.post("/v1/predict", files=files(b"text", b"more")).json()
    assert both["error"]["text"] != both["results"][0]["error"]["text"]


def test_the_model_is_described(client: TestClient, model: ModelFolder):
    facts = client.get("/v1/model").json()
    assert facts["classes"] == ["blue", "green", "red"]
    assert (facts["name"], facts["format"], facts["precision"]) == ("vit_mini", "onnx", "fp32")
    assert facts["limits"]["bytes"] == MOST_BODY_BYTES
    assert facts["limits"]["pixels"] == model.facts.max_pixels
    assert facts["certificate"]["images"] == model.certificate.fidelity.images
    assert facts["run"] == model.facts.run


def test_health_names_runtime_precision_and_certificate(client: TestClient, service: Service):
    assert client.get("/v1/health/live").json() == {"status": "alive"}
    assert client.get("/v1/health/ready").json() == {"status": "ready"}
    health = client.get("/v1/health").json()
    assert (health["runtime"], health["precision"]) == ("onnx", "fp32")
    assert health["certificate"] == service.model.certificate.shift.conclusion
    service.guard.is_stopping = True
    assert client.get("/v1/health/ready").status_code == 503
    assert client.get("/v1/health/live").status_code == 200
    assert client.get("/v1/health").json()["status"] == "stopping"


def test_metrics_count_requests_images_and_batches(client: TestClient, picture: bytes):
    client.post("/v1/predict", files=files(picture, b"text"))
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = reply.text.splitlines()
    assert 'vitrail_requests_total{path="/v1/predict",status="200"} 1.0' in lines
    assert 'vitrail_images_total{outcome="unreadable"} 1.0' in lines
    assert "vitrail_batch_images_count 1.0" in lines
    assert "vitrail_waiting_images 0.0" in lines
    assert "vitrail_upload_bytes 0.0" in lines


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/nothing", (404, "not_found")),
        ("GET", "/v1/model/", (404, "not_found")),
        ("GET", "/page/none.js", (404, "not_found")),
        ("GET", "/page/..%2f__init__.py", (404, "not_found")),
        ("GET", "/page/%2e%2e/%2e%2e/app.py", (404, "not_found")),
        ("GET", "/page//etc/passwd", (404, "not_found")),
        ("GET", "/docs", (404, "not_found")),
        ("GET", "/v1/predict", (405, "wrong_method")),
        ("DELETE", "/v1/model", (405, "wrong_method")),
        ("POST", "/v1/predict", (415, "unsupported_type")),
    ],
)
def test_what_is_not_there_is_said_in_json(client: TestClient, method: str, path: str, answer: tuple[int, str]):
    reply = client.request(method, path)
    assert error_of(reply) == answer
    assert "allow" in reply.headers if answer[0] == 405 else True


def test_too_many_images_are_refused(client: TestClient, picture: bytes):
    assert error_of(client.post("/v1/predict", files=files(*[picture] * (MOST_IMAGES + 1)))) == (400, "too_many_images")


def test_a_full_service_says_when_to_come_back(client: TestClient, service: Service, picture: bytes):
    with service.admission.admitted("others", service.admission.share):
        with service.admission.admitted("more", service.admission.share):
            reply = client.post("/v1/predict", content=picture, headers=PNG)
            assert error_of(reply) == (503, "busy")
            assert int(reply.headers["retry-after"]) >= 1
        assert client.post("/v1/predict", content=picture, headers=PNG).status_code == 200
    assert service.admission.images == 0


def test_a_fault_is_said_without_its_trace(client: TestClient, picture: bytes, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise KeyError("/secret/path")

    monkeypatch.setattr(model_folder, "to_pixels", fail)
    reply = client.post("/v1/predict", content=picture, headers=PNG)
    assert error_of(reply) == (500, "internal")
    assert "secret" not in reply.text
    assert "Traceback" not in reply.text


@pytest.mark.parametrize("error", [MemoryError(), MachineError("no thread")])
def test_no_memory_for_an_image_is_no_fault(
    client: TestClient, picture: bytes, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(model_folder, "decode_for", fail)
    reply = client.post("/v1/predict", content=picture, headers=PNG)
    assert error_of(reply) == (503, "busy")


def test_images_of_a_client_that_has_left_are_not_decoded(
    service: Service, picture: bytes, monkeypatch: pytest.MonkeyPatch
):
    """Its places and bytes are held until no thread works for it."""
    begun, go_on = threading.Event(), threading.Event()
    held: list[tuple[int, int]] = []

    def wait(data: bytes, *arguments: Any, **options: Any) -> Any:
        begun.set()
        assert go_on.wait(20)
        held.append((service.admission.images, service.admission.upload_bytes))
        return decode_for(data, *arguments, **options)

    decode_for = model_folder.decode_for
    monkeypatch.setattr(model_folder, "decode_for", wait)
    body = make_form([picture] * MOST_IMAGES)
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        assert await asyncio.to_thread(begun.wait, 20)
        asyncio.get_running_loop().call_later(0.2, go_on.set)
        return {"type": "http.disconnect"}

    async def leave() -> None:
        headers = [(b"content-type", b"multipart/form-data; boundary=0123456789abcdef")]
        request = Request({"type": "http", "method": "POST", "client": ("c", 1), "headers": headers}, receive)
        with pytest.raises(ClientDisconnect):
            await service.predict(request)
        assert (service.admission.images, service.admission.upload_bytes) == (0, 0)

    asyncio.run(leave())
    assert held == [(MOST_IMAGES, len(body))] * len(held)
    assert 1 <= len(held) <= usable_cores()
    assert b"vitrail_batch_images_count 0.0" in service.metrics.text()


def test_a_key_guards_model_answers_and_metrics(model: ModelFolder, picture: bytes):
    service = Service(model, api_key="0123456789abcdef", is_loopback=True)
    client = TestClient(service.guard, base_url="http://localhost")
    key = {"Authorization": "Bearer 0123456789abcdef"}
    for path in ("/v1/model", "/metrics"):
        assert error_of(client.get(path)) == (401, "no_key")
        assert client.get(path, headers=key).status_code == 200
    for path in ("/v1/predict", "/v1/predict%0A"):  # the router takes the second for the first
        assert error_of(client.post(path, content=picture, headers=PNG)) == (401, "no_key")
    assert client.post("/v1/predict", content=picture, headers=PNG | key).status_code == 200
    assert client.get("/v1/health/ready").status_code == 200
    service.classifier.close()


def test_the_document_needs_nothing_else(client: TestClient):
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        *("/v1/predict", "/v1/model", "/v1/health", "/v1/health/live", "/v1/health/ready", "/metrics")
    }
    text = json.dumps(document)
    assert all(reference.startswith("#/") for reference in text.split('"$ref": "')[1:])
    assert "http" not in text.replace("HTTPValidationError", "")
    assert "422" not in document["paths"]["/v1/model"]["get"]["responses"]


def test_the_folder_is_not_read_again(client: TestClient, picture: bytes, onnx_folder: Path):
    moved = onnx_folder.with_name("moved")
    onnx_folder.rename(moved)
    try:
        assert client.post("/v1/predict", content=picture, headers=PNG).status_code == 200
    finally:
        moved.rename(onnx_folder)
