"""A model hub on loopback that answers what huggingface_hub's real client asks, to read and to write.

Large files are redirected to another address, as the Hub does with its storage, and are sent to one by the
protocol of git LFS. Spaces stand among the repositories as "spaces/user/name".
"""

from __future__ import annotations

import base64
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
    writers: dict[str, str] = field(default_factory=dict)  # the user whose each token is
    stored: dict[str, bytes] = field(default_factory=dict)  # large files that were sent, by SHA-256
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)  # answers, by a part of a path
    commits: list[dict[str, object]] = field(default_factory=list)  # what each one changed

    def downloads(self) -> set[str]:
        """Files whose content was sent, by path."""
        return {line.removeprefix("SENT ") for line in self.asked if line.startswith("SENT ")}


@contextlib.contextmanager
def serving(repos: dict[str, Repo]) -> Iterator[Hub]:
    hub = Hub(repos)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    # It is asked to end after every test: half a second is how often it would look.
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
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

    def do_POST(self) -> None:
        self._write()

    def do_PUT(self) -> None:
        self._write()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if self._refused(path):
            return
        if parts[0] == "datasets":  # their files stand below this word, those of models do not
            parts = parts[1:]
        if parts[0] == "spaces" and parts[3:4] == ["resolve"]:
            self._resolve("/".join(parts[:3]), parts[4], "/".join(parts[5:]))
        elif parts[:2] == ["api", "spaces"]:
            self._describe("/".join(parts[1:4]), parts[4:])
        elif parts[:2] in (["api", "models"], ["api", "datasets"]):
            self._describe("/".join(parts[2:4]), parts[4:])
        elif parts[0] == "storage":
            length = 4 if parts[1] == "spaces" else 3
            self._storage("/".join(parts[1:length]), "/".join(parts[length:]))
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._refuse(404, "EntryNotFound")

    def _refused(self, path: str) -> bool:
        """Whether a request gets an answer that the test has asked for."""
        for part, (status, message) in self.hub.refuse.items():
            if part in f"{self.command} {path}":
                self._send(b"", {"X-Error-Message": message}, "", status)
                return True
        return False

    def _write(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            sent = self._chunks()
        parts = path.strip("/").split("/")
        if self._refused(path):
            return
        if parts[0] == "upload":  # storage, which knows no tokens
            assert hashlib.sha256(sent).hexdigest() == parts[1]
            self.hub.stored[parts[1]] = sent
            self._send(b"", {}, "")
            return
        user = self.hub.writers.get(
            (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        )
        if user is None:
            message = {"X-Error-Message": "Invalid credentials in Authorization header"}
            self._send(b"", message, "", 401)
        elif parts[:2] == ["api", "validate-yaml"]:
            self._json({"errors": [], "warnings": []})
        elif parts == ["api", "repos", "create"]:
            self._create(json.loads(sent), user)
        elif path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(sent))
        else:
            self._change(parts, sent, user)

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _create(self, asked: dict[str, str], user: str) -> None:
        owner, space = asked.get("organization") or user, asked.get("type") == "space"
        name = f"{'spaces/' if space else ''}{owner}/{asked['name']}"
        if owner != user:
            self._send(b"", {"X-Error-Message": "You have no rights there"}, "", 403)
        elif name in self.hub.repos:
            self._send(b"", {"X-Error-Message": "You already created this repo"}, "", 409)
        else:
            files = {".gitattributes": b"*.bin filter=lfs\n"}
            if space:
                assert asked["sdk"] == "static"
                files |= {
                    "README.md": b"---\nsdk: static\n---\n",
                    "index.html": b"Hello",
                    "style.css": b"p{}",
                }
            self.hub.repos[name] = Repo(files, _commit_of(files))
            self._json({"url": f"{self.hub.url}/{name}"})

    def _batch(self, asked: dict[str, list[dict[str, object]]]) -> None:
        objects = []
        for one in asked["objects"]:
            href = f"{self.hub.url}/upload/{one['oid']}"
            there = one["oid"] in self.hub.stored
            objects.append(one | ({} if there else {"actions": {"upload": {"href": href}}}))
        answer = json.dumps({"transfer": "basic", "objects": objects}).encode()
        self._send(answer, {"Content-Type": "application/vnd.git-lfs+json"}, "")

    def _change(self, parts: list[str], sent: bytes, user: str) -> None:
        """Say how files are to be sent, or take a commit."""
        name = "/".join(parts[1:4] if parts[1] == "spaces" else parts[2:4])
        repo = self._find(name, "main")
        if repo is None:
            return
        if parts[2] != user:
            self._send(b"", {"X-Error-Message": "You need write access"}, "", 403)
        elif parts[4] == "preupload":
            modes = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["size"] >= LARGE else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(sent)["files"]
            ]
            self._json({"files": modes})
        else:
            self._commit(name, repo, [json.loads(line) for line in sent.splitlines()])

    def _commit(self, name: str, repo: Repo, lines: list[dict[str, dict[str, str]]]) -> None:
        header, *changes = lines
        if header["value"].get("parentCommit", repo.commit) != repo.commit:
            self._send(b"", {"X-Error-Message": "The branch has moved"}, "", 412)
            return
        files, told = dict(repo.files), {"sent": {}, "removed": [], **header["value"]}
        for one in changes:
            kind, value = one["key"], one["value"]
            if kind == "deletedFile":
                del files[value["path"]]
                told["removed"].append(value["path"])
                continue
            content = value.get("content", "")
            data = base64.b64decode(content) if kind == "file" else self.hub.stored[value["oid"]]
            files[value["path"]] = told["sent"][value["path"]] = data
        self.hub.commits.append(told)
        repo.files, repo.commit = files, _commit_of(files)
        self._json(
            {"commitUrl": f"{self.hub.url}/{name}/commit/{repo.commit}", "commitOid": repo.commit}
        )

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
        if self.command != "HEAD":
            self.wfile.write(data)
            if path and status == 200:
                self.hub.asked.append(f"SENT {path}")


def _commit_of(files: dict[str, bytes]) -> str:
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _entry(path: str, data: bytes) -> dict[str, object]:
    entry = {"type": "file", "path": path, "size": len(data), "oid": _git_id(data)}
    if len(data) >= LARGE:
        digest = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 134}
    return entry
