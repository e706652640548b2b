"""A small server for a built site, on this machine only unless asked otherwise."""

from __future__ import annotations

import functools
import http.server
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

from generator.errors import CutawayError, UsageError


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet: a page asks for dozens of pictures."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a missing address with the site's own page, as a static host does."""
        page = Path(self.directory) / "404.html"
        if code != HTTPStatus.NOT_FOUND or not page.is_file():
            super().send_error(code, message, explain)
            return
        body = page.read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a reader who left a page before its pictures came."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def make_server(site: Path, host: str, port: int) -> http.server.ThreadingHTTPServer:
    """A server for a built site, or for that of an exhibit's folder.

    Raises UsageError if there is no site, CutawayError if it cannot listen.
    """
    if not (site / "index.html").is_file() and (site / "site" / "index.html").is_file():
        site = site / "site"
    if not (site / "index.html").is_file():
        raise UsageError(f"{site} holds no built site.", hint="Run: cutaway build")
    handler = functools.partial(_Handler, directory=str(site))
    try:
        return _Server((host, port), handler)
    except OSError as error:
        raise CutawayError(
            f"Cannot listen on {host}:{port}: {error.strerror}.", hint="Choose another --port."
        ) from error


def serve_folder(site: Path, host: str, port: int) -> None:
    """Serve until interrupted."""
    with make_server(site, host, port) as server:
        print(f"The site is at http://{host}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
