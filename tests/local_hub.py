"""A model hub on loopback that answers what huggingface_hub's real client asks.

Large files are redirected to another address, as the Hub does with its storage.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = 1_000_000


@dataclass
class Repo:
    files: dict[str, bytes]
    commit: str
    token: str | None = None  # needed for the files, not for the description
    card: dict[str, str] = field(default_factory=dict)  # what the head of README.md says

    @classmethod
    def of_folder(cls, folder: Path, commit: str) -> Repo:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        return cls(files, commit)


@dataclass
class Hub:
    repos: dict[str, Repo]
    url: str = ""
    asked: list[str] = field(default_factory=list)  # "GET /path", in order

    def downloads(self) -> set[str]:
        """Files whose content was sent, by path."""
        return {line.removeprefix("SENT ") for line in self.asked if line.startswith("SENT ")}


@contextlib.contextmanager
def serving(repos: dict[str, Repo]) -> Iterator[Hub]:
    hub = Hub(repos)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if parts[0] == "datasets":  # their files stand below this word, those of models do not
            parts = parts[1:]
        if parts[:2] in (["api", "models"], ["api", "datasets"]):
            self._describe("/".join(parts[2:4]), parts[4:])
        elif parts[0] == "storage":
            self._storage("/".join(parts[1:3]), "/".join(parts[3:]))
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._refuse(404, "EntryNotFound")

    def _find(self, name: str, revision: str) -> Repo | None:
        repo = self.hub.repos.get(name)
        if repo is None:
            self._refuse(404, "RepoNotFound")
        elif revision not in {"main", repo.commit}:
            self._refuse(404, "RevisionNotFound")
            return None
        return repo

    def _describe(self, name: str, rest: list[str]) -> None:
        repo = self._find(name, "/".join(rest[1:]) or "main")
        if repo is None:
            return
        if rest and rest[0] == "tree":
            self._json([_entry(path, data) for path, data in repo.files.items()])
            return
        files = [{"rfilename": path} for path in repo.files]
        about = {"id": name, "sha": repo.commit, "private": False, "tags": [], "siblings": files}
        self._json(about | {"cardData": repo.card})

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repo = self._find(name, revision)
        if repo is None:
            return
        if repo.token and self.headers.get("Authorization") != f"Bearer {repo.token}":
            self._refuse(401, "GatedRepo")
            return
        if path not in repo.files:
            self._refuse(404, "EntryNotFound")
            return
        data = repo.files[path]
        headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{_git_id(data)}"'}
        if len(data) < LARGE:
            self._send(data, headers, path)
            return
        digest = hashlib.sha256(data).hexdigest()
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        # Another host: the client follows redirects on the same one before it reads the headers.
        storage = self.hub.url.replace("127.0.0.1", "localhost")
        headers["Location"] = f"{storage}/storage/{name}/{path}"
        self._send(b"", headers, path, status=302)

    def _storage(self, name: str, path: str) -> None:
        self._send(self.hub.repos[name].files[path], {}, path)

    def _refuse(self, status: int, code: str) -> None:
        self._send(b"", {"X-Error-Code": code, "X-Error-Message": code}, "", status)

    def _json(self, value: object) -> None:
        self._send(json.dumps(value).encode(), {"Content-Type": "application/json"}, "")

    def _send(self, data: bytes, headers: dict[str, str], path: str, status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)
            if path and status == 200:
                self.hub.asked.append(f"SENT {path}")


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _entry(path: str, data: bytes) -> dict[str, object]:
    entry = {"type": "file", "path": path, "size": len(data), "oid": _git_id(data)}
    if len(data) >= LARGE:
        digest = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 134}
    return entry
