"""What every request passes before the application sees it, and every reply afterwards.

The Host header is checked while the service listens on this machine only: otherwise a page on the web could reach it
through a name that it lets point here (DNS rebinding). What a form on another page sends is refused: a browser sends
files in such a form without asking the service first. The API key is compared in constant time.
"""

import asyncio
import hmac
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from vitrail.delivery.serve.metrics import Metrics
from vitrail.delivery.serve.refused import Reply
from vitrail.delivery.serve.replies import ErrorText, Failure, as_json

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_HOST = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
READING = ("GET", "HEAD", "OPTIONS")
NO_KEY = frozenset({"/", "/openapi.json", "/v1/health", "/v1/health/live", "/v1/health/ready"})
PAGE_FILES = "/page/"  # need no key either
KNOWN_PATHS = NO_KEY | {"/v1/model", "/v1/predict", "/metrics"}  # others are counted together, so metrics do not grow
STOPPED = Reply(503, "stopping", "The service stops before it could answer. Send this again to another, or later.", 1)
HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}


@dataclass(slots=True)
class Guard:
    """The application with its checks in front."""

    application: Application
    metrics: Metrics
    api_key: str | None = field(repr=False)
    is_loopback: bool
    is_stopping: bool = False  # as readiness says it
    is_closing: bool = False  # nobody can connect any more, so connections are not kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(item for item in HEADERS.items() if item[0] not in own)]
                if self.is_closing:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            refusal = self._refuse(scope)
            if refusal is None:
                await self.application(scope, receive, send_guarded)
            else:
                await send_reply(refusal, send_guarded)
        except asyncio.CancelledError:  # the service stops, and has waited as long as it may
            if status:
                raise
            await send_reply(STOPPED, send_guarded)
        finally:
            path = scope["path"] if scope["path"] in KNOWN_PATHS else "other"
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.request_s.observe(time.perf_counter() - begun)

    def _refuse(self, scope: Scope) -> Reply | None:
        """Why a request is refused; None if it is not."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self.is_loopback and not LOOPBACK_HOST.fullmatch(headers.get(b"host", "")):
            return Reply(
                421, "wrong_host", "This service answers on this machine only. Open it as localhost or 127.0.0.1."
            )
        if scope["method"] not in READING and _is_from_another_page(headers):
            return Reply(403, "wrong_origin", "Another page has sent this request. Use the page of the service itself.")
        if self.api_key is not None and _needs_key(scope["path"]) and not self._has_key(headers):
            return Reply(401, "no_key", "The API key is missing or wrong. Send it as `Authorization: Bearer KEY`.")
        return None

    def _has_key(self, headers: dict[bytes, str]) -> bool:
        assert self.api_key is not None, "only asked for if there is one"
        scheme, _, key = headers.get(b"authorization", "").partition(" ")
        return hmac.compare_digest(key.strip().encode(), self.api_key.encode()) and scheme.lower() == "bearer"


def _needs_key(path: str) -> bool:
    """Whether a path is not one that anybody may read.

    The open paths are listed, not the others: the router also takes "/v1/predict" with a newline after it.
    """
    return path not in NO_KEY and not path.startswith(PAGE_FILES)


def _is_from_another_page(headers: dict[bytes, str]) -> bool:
    """Whether a browser says so; other clients say nothing.

    Browsers that do not send Sec-Fetch-Site, or not over plain HTTP, send the Origin.
    """
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and origin.partition("://")[2] != headers.get(b"host")


async def send_reply(reply: Reply, send: Send) -> None:
    """Send why a request is refused."""
    body = as_json(Failure(error=ErrorText(code=reply.code, text=reply.text)))
    await send({"type": "http.response.start", "status": reply.status, "headers": list_headers(reply, body)})
    await send({"type": "http.response.body", "body": body})


def list_headers(reply: Reply, body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a refusal."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if reply.retry_after is not None:
        headers.append((b"retry-after", str(reply.retry_after).encode()))
    if reply.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers
