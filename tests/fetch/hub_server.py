"""A hub on this machine that speaks just enough of the hub's language for the files of one repository."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WHERE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
WEIGHTS = "model.safetensors"


def commit_of(content: bytes) -> str:
    """The commit that holds these bytes."""
    return hashlib.sha1(b"commit" + content, usedforsecurity=False).hexdigest()


@dataclass
class Hub:
    """What is served, what shall go wrong, and what was asked."""

    repository: str = "timm/tiny"
    commits: dict[str, bytes] = field(default_factory=dict)
    others: dict[str, bytes] = field(default_factory=dict)  # files beside the weights, the same in every commit
    newest: str = ""
    endpoint: str = ""
    break_after: int | None = None  # bytes of a body after which the connection is cut
    refuse: int | None = None  # a status to answer everything with
    forget_commit: bool = False  # answer as a server that is no hub
    etag: str | None = None  # announced instead of the digest
    announced: int | None = None  # a length to announce before the bytes are sent, instead of the true one
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)

    def push(self, content: bytes) -> str:
        """A new commit on main; gives its name."""
        self.newest = commit_of(content)
        self.commits[self.newest] = content
        return self.newest

    def asked(self, method: str) -> list[str | None]:
        """The Range header of each request for the file with this method."""
        return [wanted for kind, path, wanted in self.requests if kind == method and WHERE.fullmatch(path)]


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: Any) -> None:
        """Tests read what was asked from the hub."""

    def _answer(self, *, body: bool) -> None:
        hub, place = self.hub, WHERE.fullmatch(self.path)
        hub.requests.append((self.command, self.path, self.headers.get("Range")))
        if hub.refuse:
            return self._fail(hub.refuse, None)
        if place is None:
            return self._fail(404, "EntryNotFound")
        if place["repository"] != hub.repository:
            return self._fail(404, "RepoNotFound")
        commit = hub.newest if place["revision"] == "main" else place["revision"]
        if commit not in hub.commits:
            return self._fail(404, "RevisionNotFound")
        files = {WEIGHTS: hub.commits[commit], **hub.others}
        if place["file"] not in files:
            return self._fail(404, "EntryNotFound")
        self._send(commit, files[place["file"]], body=body)
        return None

    def _fail(self, status: int, code: str | None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, commit: str, content: bytes, *, body: bool) -> None:
        hub, first = self.hub, 0
        if wanted := self.headers.get("Range"):
            first = int(wanted.removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        lie = hub.announced is not None and not body
        self.send_header("Content-Length", str(hub.announced if lie else len(content) - first))
        self.send_header("ETag", f'"{hub.etag or hashlib.sha256(content).hexdigest()}"')
        if not hub.forget_commit:
            self.send_header("X-Repo-Commit", commit)
        self.end_headers()
        if not body:
            return
        if hub.break_after is None:
            self.wfile.write(content[first:])
        else:
            self.wfile.write(content[first : first + hub.break_after])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers on loopback until the block ends."""
    hub = Hub()
    handler = type("_Bound", (_Answer,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
