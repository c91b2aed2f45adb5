"""What every request passes, and what every reply carries."""

import asyncio
from typing import Any

import pytest

from vitrail.delivery.serve.admission import Admission
from vitrail.delivery.serve.guard import Guard
from vitrail.delivery.serve.metrics import Metrics

KEY = "0123456789abcdef"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"no-cache")]})
    await send({"type": "http.response.body", "body": b"yes"})


def call(
    guard: Guard, path: str = "/v1/predict", method: str = "POST", **headers: str
) -> tuple[int, dict[bytes, bytes]]:
    """The status and the headers of a reply."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    named = {"host": "localhost:8000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in named.items()]
    scope = {"type": "http", "path": path, "method": method, "headers": encoded}
    asyncio.run(guard(scope, None, send))  # type: ignore[arg-type]
    return sent[0]["status"], dict(sent[0]["headers"])


def make_guard(*, api_key: str | None = None, is_loopback: bool = True) -> Guard:
    return Guard(answer, Metrics(Admission(images_per_s=1.0)), api_key, is_loopback)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LocalHost:1234", 200),
        ("127.0.0.1:8000", 200),
        ("127.0.0.2:8000", 200),  # --host 127.0.0.2
        ("[::1]:8000", 200),
        ("", 421),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:8000", 421),
        ("127.0.0.1.2:8000", 421),
        ("localhost:8000@evil.example", 421),
        ("127.0.0.1:8000\nx", 421),
    ],
)
def test_only_names_of_this_machine_are_answered_while_it_alone_is_served(host: str, status: int):
    assert call(make_guard(), host=host)[0] == status
    assert call(make_guard(is_loopback=False), host=host)[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8000"}, 200),
        ({"origin": "http://localhost:8001"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "same-origin", "origin": "https://behind.a.proxy"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site", "origin": "http://localhost:8000"}, 403),
    ],
)
def test_a_form_on_another_page_is_refused(headers: dict[str, str], status: int):
    assert call(make_guard(), **headers)[0] == status
    assert call(make_guard(), path="/", method="GET", **headers)[0] == 200  # a link to the page is fine


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/model", "/metrics", "/v1/predict\n", "/v1/page/x", "/another"])
def test_a_key_is_needed_if_there_is_one(path: str):
    guard = make_guard(api_key=KEY)
    status, headers = call(guard, path)
    assert (status, headers[b"www-authenticate"]) == (401, b"Bearer")
    for wrong in ("Bearer", f"Bearer {KEY[:-1]}", f"Bearer {KEY}x", f"Basic {KEY}", KEY, "Bearer \xff", ""):
        assert call(guard, path, authorization=wrong)[0] == 401
    assert call(guard, path, authorization=f"Bearer {KEY}")[0] == 200
    assert call(guard, path, authorization=f"bearer  {KEY}")[0] == 200


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/openapi.json", "/v1/health", "/v1/health/ready"])
def test_page_document_and_health_need_no_key(path: str):
    assert call(make_guard(api_key=KEY), path, "GET")[0] == 200


def test_every_reply_has_the_headers_and_keeps_its_own():
    for status, headers in (call(make_guard()), call(make_guard(), host="evil.example")):
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]
        assert headers[b"referrer-policy"] == b"no-referrer"
        assert headers[b"cache-control"] == (b"no-cache" if status == 200 else b"no-store")
        assert b"connection" not in headers


def test_a_service_that_nobody_can_connect_to_keeps_no_connection():
    guard = make_guard()
    guard.is_stopping = True
    assert b"connection" not in call(guard)[1]  # a client that came back now would find a port about to close
    guard.is_closing = True
    assert call(guard)[1][b"connection"] == b"close"


def test_a_request_that_is_given_up_at_the_end_is_told_so():
    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    guard = make_guard()
    guard.application = never
    status, headers = call(guard)
    assert (status, headers[b"retry-after"]) == (503, b"1")


def test_metrics_do_not_grow_with_paths():
    guard = make_guard()
    for number in range(50):
        call(guard, f"/{number}")
    text = guard.metrics.text().decode()
    assert 'vitrail_requests_total{path="other",status="200"} 50.0' in text


def test_the_key_is_not_shown():
    assert KEY not in repr(make_guard(api_key=KEY))
