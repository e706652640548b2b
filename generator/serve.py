"""A small server for a built site, on this machine only unless asked otherwise."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import sys
import time
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from generator.errors import CutawayError, UsageError
from generator.paths import data_root

if TYPE_CHECKING:  # a preview imports torch
    from generator.preview import Preview
    from generator.unfinished import Growing

    Changing = Preview | Growing

_CHANGES = "__changes"
_LOOK = 0.1  # seconds between two looks for a change


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet: a page asks for dozens of pictures."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a missing address with the site's own page, as a static host does."""
        page = Path(self.directory) / "404.html"
        if code != HTTPStatus.NOT_FOUND or not page.is_file():
            super().send_error(code, message, explain)
            return
        body = self._as_sent(page.read_text(encoding="utf-8")).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _as_sent(self, page: str) -> str:
        return page


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a reader who left a page before its pictures came."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Live(_Handler):
    """Shows a site that changes; pages load themselves anew when it does."""

    _version = 0  # of what is sent

    def __init__(self, *args: Any, changing: Changing, **kwargs: Any) -> None:
        self._changing = changing
        super().__init__(*args, **kwargs)

    def _as_sent(self, page: str) -> str:
        script = f'<script data-version="{self._version}">{_live_script()}</script>'
        return page.replace("</body>", f"{script}</body>", 1)

    def do_GET(self) -> None:
        """Answer with what is made now, or with what was built."""
        address = unquote(urlsplit(self.path).path).lstrip("/")
        if address == _CHANGES:
            self._tell_changes()
            return
        address += "index.html" if not address or address.endswith("/") else ""
        # Of before: what comes while the page is made loads it again.
        self._version = self._changing.version
        text, drawn = self._changing.page(address), self._changing.file(address)
        built = Path(self.translate_path(f"/{address}"))
        if drawn is not None:
            self._send(address, drawn.read_bytes())
        elif text is None and not (built.is_file() and built.suffix == ".html"):
            super().do_GET()
        else:
            text = built.read_text(encoding="utf-8") if text is None else text
            self._send(address, self._as_sent(text).encode())

    def _send(self, address: str, data: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(address))
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def _tell_changes(self) -> None:
        """An event for every change (server-sent events), until the reader leaves."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        told, now = "", self._changing
        with contextlib.suppress(ConnectionError):
            while True:
                said = json.dumps(
                    {"version": now.version, "mistake": now.mistake, "making": now.making}
                )
                if said != told:
                    told = said
                    self.wfile.write(f"data: {said}\n\n".encode())
                else:
                    self.wfile.write(b":\n\n")  # whoever has left is noticed
                self.wfile.flush()
                time.sleep(_LOOK)


@cache
def _live_script() -> str:
    return (data_root() / "templates" / "live.js").read_text(encoding="utf-8")


def built_folder(site: Path) -> Path:
    """The folder of a built site, which may be that of an exhibit's folder. Raises UsageError."""
    if not (site / "index.html").is_file() and (site / "site" / "index.html").is_file():
        site = site / "site"
    if not (site / "index.html").is_file():
        raise UsageError(f"{site} holds no built site.", hint="Run: cutaway build")
    return site


def make_server(
    site: Path, host: str, port: int, changing: Changing | None = None
) -> http.server.ThreadingHTTPServer:
    """A server for a built site, or for that of an exhibit's folder; one that is `changing` as it is now.

    Raises UsageError if there is no site, CutawayError if it cannot listen.
    """
    folder = str(built_folder(site))
    handler: Callable[..., Any] = functools.partial(_Handler, directory=folder)
    if changing is not None:
        handler = functools.partial(_Live, directory=folder, changing=changing)
    try:
        return _Server((host, port), handler)
    except OSError as error:
        raise CutawayError(
            f"Cannot listen on {host}:{port}: {error.strerror}.", hint="Choose another --port."
        ) from error


def serve_folder(site: Path, host: str, port: int, changing: Changing | None = None) -> None:
    """Serve until interrupted."""
    with make_server(site, host, port, changing) as server:
        print(f"The site is at http://{host}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
