"""`vitrail serve` in a process of its own, and a client for it that costs little: plain HTTP/1.1 over asyncio."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from vitrail.core.machine import usable_cores

SERVES_AT = re.compile(r" at (http://\S+)\n")
LONGEST_STOP = 60.0


@dataclass(frozen=True)
class Server:
    """A server that is ready; `ready_s` is the time from its start, `log` the file with what it prints."""

    process: "subprocess.Popen[bytes]"
    url: str
    ready_s: float
    log: Path

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def memory(self) -> int:
        """Resident bytes now."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def cpu_s(self) -> float:
        """Seconds of CPU so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop, and wait; its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end, and delete its log; its exit code."""
        code = self.process.wait(LONGEST_STOP)
        self.log.unlink()
        return code


def start_server(*arguments: str | Path, environment: dict[str, str] | None = None) -> Server:
    """Start `vitrail serve` on a free port, and wait until it says where it serves.

    Raises:
        RuntimeError: it ended before, with what it printed.
    """
    command = [sys.executable, "-m", "vitrail", "serve", *map(str, arguments), "--port", "0"]
    handle, name = tempfile.mkstemp(prefix="vitrail-serve-", suffix=".log")  # a pipe that nobody reads would fill up
    log = Path(name)
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=handle, stderr=handle, env=os.environ | {"PYTHONUNBUFFERED": "1"} | (environment or {})
    )
    os.close(handle)
    while process.poll() is None:
        if match := SERVES_AT.search(log.read_text()):
            return Server(process, match[1], time.perf_counter() - begun, log)
        time.sleep(0.005)
    raise RuntimeError(f"the server ended with {process.returncode}: {log.read_text()}")


def say_load() -> str:
    """How busy the machine is with other work."""
    return f"Load average when this page was begun: {os.getloadavg()[0]:.1f} on {usable_cores()} cores."


@dataclass(frozen=True)
class HttpReply:
    """A reply; `status` is 0 if the connection was closed without one."""

    status: int
    head: bytes
    body: bytes


CUT_OFF = HttpReply(0, b"", b"")


class Connection:
    """One connection that is kept, opened again when the server closes it; `source` is the client's own address."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._port, self._source = port, source
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> HttpReply:
        """Send a request and read the reply; raises ConnectionRefusedError if nobody listens."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._source, 0))
        reader, writer = self._streams
        try:
            writer.write(request)
            head = b"HTTP/1.1 100"
            while head.startswith(b"HTTP/1.1 1"):  # Continue: the reply comes after it
                head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            return CUT_OFF
        if b"connection: close" in head:
            await self.close()
        return HttpReply(int(head[9:12]), head, body)

    async def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def send_once(port: int, request: bytes) -> HttpReply:
    """The reply to a request on a connection of its own."""
    connection = Connection(port)
    try:
        return await connection.send(request)
    finally:
        await connection.close()


def make_request(
    body: bytes, content_type: str = "image/jpeg", path: str = "/v1/predict", extra: Sequence[str] = ()
) -> bytes:
    """The bytes of a POST."""
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}"]
    head += [f"Content-Length: {len(body)}", *extra]
    return "\r\n".join([*head, "", ""]).encode() + body


def make_form(images: Sequence[bytes], boundary: str = "0123456789abcdef") -> bytes:
    """The body of a form with several images."""
    parts = []
    for number, image in enumerate(images):
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{number}"\r\n\r\n'.encode()
        )
        parts.append(image + b"\r\n")
    return b"".join([*parts, f"--{boundary}--\r\n".encode()])
