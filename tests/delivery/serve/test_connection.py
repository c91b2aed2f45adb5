"""Clients that are slow, damaged or too many, over real sockets."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn

from vitrail.delivery.serve import connection
from vitrail.delivery.serve.app import Service
from vitrail.delivery.serve.connection import MOST_HEADER_BYTES
from vitrail.delivery.serve.refused import MOST_BODY_BYTES
from vitrail.delivery.serve.server import listen, make_config

pytestmark = pytest.mark.slow
HEAD = b"GET /v1/health/live HTTP/1.1\r\nHost: localhost\r\n"
SHORT = 0.3  # seconds of a deadline in these tests
LONG = 20.0  # seconds after which a test has failed

Connect = Callable[[], socket.socket]


@pytest.fixture
def server(service: Service) -> uvicorn.Server:
    return uvicorn.Server(make_config(service))


@pytest.fixture
def connect(server: uvicorn.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Connects to the service in a thread of this process, whose deadlines are short."""
    for name in ("HEADER_SECONDS", "REST_SECONDS", "READ_SECONDS"):
        monkeypatch.setattr(connection, name, SHORT)
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        opened.append(socket.create_connection(listener.getsockname(), timeout=LONG))
        return opened[-1]

    yield connect
    for client in opened:
        client.close()
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


def read_all(client: socket.socket) -> bytes:
    """Everything until the service closes the connection."""
    received = b""
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def send_until_cut_off(client: socket.socket, data: bytes) -> float:
    """Send slowly until the service closes the connection; the seconds it took."""
    started = time.monotonic()
    while time.monotonic() - started < LONG:
        try:
            client.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            break
        except TimeoutError:  # nobody reads
            pass
        time.sleep(0.05)
    return time.monotonic() - started


def split_reply(reply: bytes) -> tuple[int, bytes, dict[str, dict[str, str]]]:
    """Status, header and JSON of a reply."""
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower(), json.loads(body)


def ask(client: socket.socket) -> bytes:
    """The whole reply to one of several requests on a connection."""
    client.sendall(HEAD + b"\r\n")
    reply = b""
    while not reply.endswith(b"}"):
        reply += client.recv(65536)
    return reply


def test_a_header_that_does_not_end_is_not_waited_for(connect: Connect):
    silent, begun = connect(), connect()
    begun.sendall(HEAD)
    started = time.monotonic()
    assert read_all(silent) == read_all(begun) == b""
    assert time.monotonic() - started < LONG / 2


def test_bytes_that_trickle_in_do_not_extend_the_time(connect: Connect):
    assert send_until_cut_off(connect(), b"G") < LONG / 2


def test_a_second_request_has_time_of_its_own(connect: Connect):
    client = connect()
    for _ in range(3):
        assert split_reply(ask(client))[0] == 200
        time.sleep(SHORT / 2)
    client.sendall(HEAD)
    assert read_all(client) == b""


def test_the_end_of_a_reply_does_not_wait_for_an_acknowledgement(connect: Connect):
    client, seconds = connect(), []
    for _ in range(60):  # a client delays its acknowledgements after the first ones
        started = time.perf_counter()
        ask(client)
        seconds.append(time.perf_counter() - started)
    assert min(seconds[30:]) < 0.03  # Linux delays them by 40 ms


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 2 * MOST_HEADER_BYTES,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 2 * MOST_HEADER_BYTES + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",  # TLS
    ],
)
def test_what_is_not_http_gets_an_error_in_json(connect: Connect, request_bytes: bytes):
    client = connect()
    client.sendall(request_bytes)
    status, head, body = split_reply(read_all(client))
    assert (status, body["error"]["code"]) == (400, "damaged_request")
    assert b"x-content-type-options: nosniff" in head


def test_a_client_that_sends_too_much_reads_why_and_is_cut_off(connect: Connect):
    client = connect()
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    client.sendall(head + f"Content-Length: {MOST_BODY_BYTES + 1}\r\n\r\n".encode())
    assert SHORT / 2 < send_until_cut_off(client, bytes(1000)) < LONG / 2


def test_a_refusal_arrives_while_the_client_still_sends(connect: Connect, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "REST_SECONDS", LONG)
    client = connect()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {10**8}\r\n\r\n"
    client.sendall(head.encode())
    for _ in range(36):
        client.sendall(bytes(1_000_000))
    reply = b""
    while not reply.endswith(b"}}"):
        reply += client.recv(65536)
    status, _, body = split_reply(reply)
    assert (status, body["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize("length", [b"", b"Content-Length: 5\r\n"])  # with it, a proxy may read another request
def test_a_body_in_chunks_is_refused_and_not_read(connect: Connect, monkeypatch: pytest.MonkeyPatch, length: bytes):
    monkeypatch.setattr(connection, "REST_SECONDS", LONG)
    client = connect()
    client.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" + length + b"\r\n")
    for _ in range(10):
        client.sendall(b"1\r\nx\r\n" * 200_000)
    client.shutdown(socket.SHUT_WR)
    status, head, body = split_reply(read_all(client))
    assert (status, body["error"]["code"]) == (411, "no_length")
    assert b"connection: close" in head


def test_bytes_after_the_last_request_do_not_damage_its_reply(connect: Connect):
    client = connect()
    client.sendall(HEAD + b"Connection: close\r\n\r\n" + b"nonsense\r\n\r\n")
    status, _, body = split_reply(read_all(client))
    assert (status, body) == (200, {"status": "alive"})


def test_a_refused_client_that_sends_on_is_cut_off(connect: Connect):
    client = connect()
    client.sendall(b"nonsense\r\n\r\n")
    assert SHORT / 2 < send_until_cut_off(client, bytes(1000)) < LONG / 2


def test_a_client_that_does_not_read_is_cut_off(connect: Connect):
    client = connect()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    client.settimeout(SHORT)
    assert send_until_cut_off(client, 50 * request) < LONG / 2


def test_more_connections_than_it_takes_are_turned_away(connect: Connect, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(connection, "HEADER_SECONDS", LONG)
    kept = [connect(), connect()]
    status, head, body = split_reply(read_all(connect()))
    assert (status, body["error"]["code"]) == (503, "busy")
    assert b"retry-after: 1" in head
    kept[0].sendall(HEAD + b"Connection: close\r\n\r\n")
    assert split_reply(read_all(kept[0]))[0] == 200


def test_one_client_does_not_have_all_connections(connect: Connect, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "MOST_OF_A_CLIENT", 1)
    monkeypatch.setattr(connection, "HEADER_SECONDS", LONG)
    kept = connect()
    status, head, body = split_reply(read_all(connect()))
    assert (status, body["error"]["code"]) == (429, "too_many_connections")
    assert b"retry-after: 1" in head
    kept.sendall(HEAD + b"Connection: close\r\n\r\n")
    assert split_reply(read_all(kept))[0] == 200


def test_a_closed_connection_whose_client_does_not_read_is_cut_off(connect: Connect, server: uvicorn.Server):
    """What is written is under the mark at which uvicorn stops writing."""
    client = connect()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(HEAD + b"\r\n")
    while not server.server_state.connections:
        time.sleep(0.01)
    (served,) = server.server_state.connections
    assert isinstance(served, connection.Connection)
    served.loop.call_soon_threadsafe(fill_and_close, served)
    started = time.monotonic()
    while server.server_state.connections and time.monotonic() - started < LONG:
        time.sleep(0.01)
    assert time.monotonic() - started < LONG / 2


def fill_and_close(served: connection.Connection) -> None:
    """Write until some bytes stay unsent, and close the connection as when nobody has used it for a while."""
    while not served.transport.get_write_buffer_size():
        served.transport.write(bytes(10_000))
    served.timeout_keep_alive_handler()
