"""A hub on this machine that takes commits: the part of the hub's interface that an upload of models uses."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

MODELS = re.compile(r"/api/models/(?P<repository>[^/]+/[^/]+?)(/(?P<what>branch|preupload|commit)/(?P<branch>[^/]+))?")
LFS = re.compile(r"/(?P<repository>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
LARGE = (".onnx", ".bin", ".safetensors")


@dataclass
class Repository:
    """The files of each branch, and the titles of the commits."""

    private: bool
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {}})
    titles: list[str] = field(default_factory=list)


@dataclass
class UploadHub:
    """What is there, who may write, and what shall go wrong."""

    token: str = "hf_token_of_eve"
    owner: str = "eve"
    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    metadata_errors: list[str] = field(default_factory=list)
    refuse: int | None = None  # a status to answer every commit with
    requests: list[str] = field(default_factory=list)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: UploadHub

    def do_GET(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def do_PUT(self) -> None:
        self._take()

    def log_message(self, *_: Any) -> None:
        """Tests read what was asked from the hub."""

    def _take(self) -> None:
        hub, path = self.hub, urlsplit(self.path).path
        body = self._read_body()
        hub.requests.append(f"{self.command} {path}")
        if path.startswith("/large/"):  # the address alone allows it, as in a store of objects
            digest = path.removeprefix("/large/")
            if hashlib.sha256(body).hexdigest() != digest:
                return self._fail(400)
            hub.large[digest] = body
            return self._send({})
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._fail(401, message="Invalid credentials in Authorization header")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            errors = [{"message": message} for message in hub.metadata_errors]
            self._send({"errors": errors, "warnings": []}, status=400 if errors else 200)
        elif (match := LFS.fullmatch(path)) or (match := MODELS.fullmatch(path)):
            repository = hub.repositories.get(match["repository"])
            if repository is None:
                return self._fail(404, code="RepoNotFound")
            if match.re is LFS:
                self._offer(json.loads(body)["objects"])
            else:
                self._models(repository, match["repository"], match["what"], match["branch"], body)
        else:
            self._fail(404)
        return None

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _create(self, wanted: dict[str, Any]) -> None:
        hub, owner = self.hub, wanted.get("organization") or self.hub.owner
        if owner != hub.owner:
            return self._fail(403, message="You don't have the rights to create a model under this namespace")
        name = f"{owner}/{wanted['name']}"
        private = wanted.get("private", False) or wanted.get("visibility") == "private"
        hub.repositories[name] = Repository(private=private)
        return self._send({"url": f"{hub.endpoint}/{name}"})

    def _models(self, repository: Repository, name: str, what: str | None, branch: str | None, body: bytes) -> None:
        if what is None:
            return self._send({"id": name, "private": repository.private, "sha": "0" * 40, "siblings": []})
        assert branch is not None
        if what == "branch":
            if branch in repository.branches:
                return self._fail(409)
            repository.branches[branch] = dict(repository.branches["main"])
            return self._send({})
        if branch not in repository.branches:
            return self._fail(404, code="RevisionNotFound")
        if what == "preupload":
            kinds = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            return self._send({"files": kinds})
        if self.hub.refuse:
            return self._fail(self.hub.refuse)
        return self._commit(repository, name, branch, [json.loads(line) for line in body.splitlines()])

    def _offer(self, objects: list[dict[str, Any]]) -> None:
        offers = [
            {**each, "actions": {"upload": {"href": f"{self.hub.endpoint}/large/{each['oid']}"}}} for each in objects
        ]
        self._send({"transfer": "basic", "objects": offers})

    def _commit(self, repository: Repository, name: str, branch: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                repository.titles.append(value["summary"])
            elif line["key"] == "file":
                repository.branches[branch][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.branches[branch][value["path"]] = self.hub.large[value["oid"]]
        oid = hashlib.sha1(repr(lines).encode(), usedforsecurity=False).hexdigest()
        self._send({"commitUrl": f"{self.hub.endpoint}/{name}/commit/{oid}", "commitOid": oid, "success": True})

    def _fail(self, status: int, *, code: str | None = None, message: str | None = None) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self._send({"error": message or "no"}, status=status, headers={k: v for k, v in headers.items() if v})

    def _send(self, document: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        for header, value in (headers or {}).items():
            self.send_header(header, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def taking_uploads() -> Iterator[UploadHub]:
    """A hub that answers on loopback until the block ends."""
    hub = UploadHub()
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
