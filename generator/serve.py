"""A small server for a built site, on this machine only unless asked otherwise."""

from __future__ import annotations

import functools
import http.server
from pathlib import Path

from generator.errors import CutawayError, UsageError


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet: a page asks for dozens of pictures."""


def make_server(site: Path, host: str, port: int) -> http.server.ThreadingHTTPServer:
    """A server for the folder. Raises UsageError if it holds no site, CutawayError if it cannot listen."""
    if not (site / "index.html").is_file():
        raise UsageError(f"{site} holds no built site.", hint="Run: cutaway build")
    handler = functools.partial(_Handler, directory=str(site))
    try:
        return http.server.ThreadingHTTPServer((host, port), handler)
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
