"""Listening, and stopping without losing what was accepted."""

import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from vitrail.core.errors import UsageError
from vitrail.delivery.serve.app import Service
from vitrail.delivery.serve.connection import Connection

LONGEST_STOP = 30  # seconds for what was accepted
KEEP_SECONDS = 15  # an idle connection is kept
BACKLOG = 512
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(service: Service, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Answer requests until the process is told to stop (SIGTERM, or Ctrl+C), then finish what was accepted.

    A second signal ends it at once.
    """
    try:
        _Server(make_config(service), service, on_ready).run(sockets=[listener])
    finally:
        service.classifier.close()


def make_config(service: Service) -> uvicorn.Config:
    """How uvicorn runs the service."""
    return uvicorn.Config(
        service.guard,
        backlog=BACKLOG,
        http=Connection,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="error",
        loop="asyncio",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=LONGEST_STOP,
        timeout_keep_alive=KEEP_SECONDS,
        ws="none",
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address of this machine.

    Raises:
        UsageError: there is no such address, or another program has the port.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"The service cannot listen at {host}, port {port} ({error.strerror or error}): choose another address "
            "with --host or --port."
        ) from error


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach the service."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


class _Server(uvicorn.Server):
    """uvicorn's server, which tells the service that it stops, and does not die of the signal afterwards."""

    def __init__(self, config: uvicorn.Config, service: Service, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._on_ready = service, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and answer what was accepted."""
        self._service.guard.is_closing = True
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal."""
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and at the second signal at once."""
        self.force_exit = self.should_exit
        self._service.guard.is_stopping = self.should_exit = True
