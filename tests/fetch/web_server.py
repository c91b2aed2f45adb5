"""A web server on this machine that serves files with byte ranges, and goes wrong when it is told to."""

import hashlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Web:
    """What is served by path, what shall go wrong, and which ranges were asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    break_after: int | None = None  # bytes of a body after which the connection is cut
    interrupt_after: int | None = None  # bytes of a body after which somebody types Ctrl-C
    client: subprocess.Popen[str] | None = None  # the process that Ctrl-C reaches
    ranges: bool = True  # whether parts of a file are served
    etags: bool = True
    lengths: bool = True  # whether the length is announced
    slow_s: float = 0.0  # before a body
    redirect: str = ""
    codes: dict[str, str] = field(default_factory=dict)  # the hub's code of an error, by path
    requests: list[tuple[str, str | None]] = field(default_factory=list)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        web, wanted = self.web, self.headers.get("Range")
        web.requests.append((self.path, wanted))
        if web.redirect:
            self.send_response(302)
            self.send_header("Location", web.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = web.files.get(self.path.partition("?")[0])
        if content is None and (code := web.codes.get(self.path.partition("?")[0])):
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if content is None:
            self.send_error(404)
            return
        etag = f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"'
        first = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and web.ranges else 0
        if self.headers.get("If-Range", etag) != etag:
            first = 0
        if first and first >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if web.lengths:
            self.send_header("Content-Length", str(len(content) - first))
        else:
            self.close_connection = True
        if web.etags:
            self.send_header("ETag", etag)
        self.end_headers()
        time.sleep(web.slow_s)
        body = content[first:]
        end = web.break_after if web.interrupt_after is None else web.interrupt_after
        with suppress(ConnectionError):  # a client that has seen enough hangs up
            self.wfile.write(body[:end])
            self.wfile.flush()
            if web.interrupt_after is not None:
                while web.client is None:  # it connects before whoever started it can say so
                    time.sleep(0.01)
                web.client.send_signal(signal.SIGINT)
                self.rfile.read(1)  # until the client hangs up
        if web.break_after is not None:
            self.close_connection = True
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Tests read `requests`."""


@contextmanager
def serving_files() -> Iterator[Web]:
    """A server that answers on loopback until the block ends."""
    web = Web()
    handler = type("_Bound", (_Answer,), {"web": web})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        web.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()
