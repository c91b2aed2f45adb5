"""A connection that may not keep the service waiting: uvicorn's, with deadlines and with errors in JSON.

uvicorn waits for ever for the rest of a header, for a client that sends on after its reply, and for one that does not
read. A deadline begins with each of these and is not extended by bytes that trickle in. The time for a body is kept
where bodies are read (`uploads.py`).

What is cheap to send must be cheap to read: h11 reads header lines and chunks in Python, a quarter of a megabyte of
chunks of one byte in half a second, while nobody else is served. So headers are short, and a body states its length.
"""

import asyncio
import re
import socket
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from vitrail.delivery.serve.guard import HEADERS, list_headers
from vitrail.delivery.serve.refused import Reply
from vitrail.delivery.serve.replies import ErrorText, Failure, as_json

MOST_CONNECTIONS = 512
MOST_OF_A_CLIENT = MOST_CONNECTIONS // 2
MOST_HEADER_BYTES = 16_000
HEADER_END = re.compile(rb"\n\r?\n")
HEADER_SECONDS = 10.0  # for a whole header
REST_SECONDS = 2.0  # for the rest of a body whose request has been refused: a client that is cut off sees no reply
READ_SECONDS = 30.0  # in which a client must read on
STOP_SECONDS = 0.25  # for a request that is on its way when the service stops
FULL = Reply(503, "busy", "The service has as many connections as it takes. Try again a little later.", 1)
TOO_MANY = Reply(
    429, "too_many_connections", f"A client may have {MOST_OF_A_CLIENT} connections. Close some before opening more.", 1
)
DAMAGED = Reply(400, "damaged_request", "This is not a request of HTTP/1.1 with a header of at most 16 kB.")
NO_LENGTH = Reply(411, "no_length", "The body is sent in chunks. Send it whole, with a Content-Length.")


class RequestReader(h11.Connection):
    """h11's side of a connection, which raises RemoteProtocolError for requests that are not read; `refusal` says why.

    A body in chunks is also how requests are smuggled past a proxy that reads its length in another way.
    """

    refusal = DAMAGED

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MOST_HEADER_BYTES)

    def next_event(self) -> Any:
        """The next part of a request."""
        if self.their_state is h11.IDLE:  # h11 has no limit for a header that arrives in one piece
            received = self.trailing_data[0]
            if len(received) > MOST_HEADER_BYTES and not HEADER_END.search(received, 0, MOST_HEADER_BYTES):
                raise h11.RemoteProtocolError("the header is too long")
        event = super().next_event()
        if isinstance(event, h11.Request) and any(name == b"transfer-encoding" for name, _ in event.headers):
            self.refusal = NO_LENGTH
            raise h11.RemoteProtocolError("the body has no stated length")
        return event


class Connection(H11Protocol):
    """One client's connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = self._reader = RequestReader()
        self._is_refused = False
        self._waits_for: str | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._read_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client, or turn it away if there are too many."""
        super().connection_made(transport)
        # asyncio does so only for sockets that name their protocol, and a listener that is handed in does not. A reply
        # is written in two pieces, and the second would wait 40 ms for the client's acknowledgement of the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > MOST_CONNECTIONS:
            self._turn_away(FULL)
        elif self._count_of_client() > MOST_OF_A_CLIENT:
            self._turn_away(TOO_MANY)
        else:
            self._wait_for("header")

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request; those after one that is refused are not read."""
        if not self._is_refused:
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """Go on after a reply."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._wait_for(None)
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for a client that does not read, until its deadline."""
        super().pause_writing()
        self._read_deadline = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with a client that reads."""
        super().resume_writing()
        if self._read_deadline is not None:
            self._read_deadline.cancel()
            self._read_deadline = None

    def shutdown(self) -> None:
        """Close the connection once its request is answered, and once one that is on its way had time to arrive."""
        if self._is_idle():
            self.loop.call_later(STOP_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or not read; the connection ends when the client has seen why.

        Bytes after a request with `Connection: close` are ignored, and the request has its reply.
        """
        self._is_refused = True
        if self._is_idle():
            self._send(self._reader.refusal)
            self.transport.write_eof()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nobody uses."""
        super().timeout_keep_alive_handler()
        self._watch()

    def _count_of_client(self) -> int:
        """Connections from the address of this one."""
        address = self.client and self.client[0]
        clients = [other.client for other in self.connections if isinstance(other, Connection)]
        return sum(client is not None and client[0] == address for client in clients)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()
            self._watch()

    def _watch(self) -> None:
        """Begin or end a deadline, by what the client has to do next."""
        if self.transport.is_closing():
            self._wait_for("reading")  # what is written; else a closed connection stays until it has been read
        elif self._is_refused and self._is_idle():
            self._wait_for("rest")
        elif self.conn.their_state is h11.IDLE:
            self._wait_for("header" if self.conn.trailing_data[0] else None)
        else:
            is_refused = self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete
            self._wait_for("rest" if is_refused else None)

    def _wait_for(self, what: str | None) -> None:
        if what == self._waits_for:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._waits_for = what
        seconds = {"header": HEADER_SECONDS, "rest": REST_SECONDS, "reading": READ_SECONDS}
        self._deadline = None if what is None else self.loop.call_later(seconds[what], self.transport.abort)

    def _turn_away(self, reply: Reply) -> None:
        """Send a reply before there is a request, and close."""
        self._send(reply)
        self.transport.close()
        self._watch()

    def _send(self, reply: Reply) -> None:
        """Send a reply outside of any request."""
        body = as_json(Failure(error=ErrorText(code=reply.code, text=reply.text)))
        headers = [*list_headers(reply, body), *HEADERS.items(), (b"connection", b"close")]
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
