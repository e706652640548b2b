"""Lighthouse on a page of each kind of a built site: prints the scores, fails below the bars.

    python tests/lighthouse.py [site]      needs npm and a Chromium; `make lighthouse` runs it

It is served as a static host serves it, compressed and with a cache time, on this machine only.
"""

from __future__ import annotations

import gzip
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

VERSION = "lighthouse@12.8.2"
BARS = {"performance": 95, "accessibility": 100, "best-practices": 100, "seo": 95}
# The heaviest page of each kind that the site has.
PAGES = {
    "front page": "index.html",
    "model": "models/*/index.html",
    "layer": "models/*/layers/*/index.html",
    "glossary": "glossary/index.html",
    "article": "articles/*/index.html",
    "lecture": "lectures/*/index.html",
    "head": "models/*/layers/*/heads/*/index.html",
    "unit": "models/*/layers/*/units/*/index.html",
}
_TEXT = (".html", ".css", ".js", ".svg", ".json", ".xml", ".csv", ".txt")


class _Host(http.server.SimpleHTTPRequestHandler):
    """Answers as static hosts do: text compressed, everything kept for a while."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Cache-Control", "public, max-age=31536000")
        if path.suffix in _TEXT and "gzip" in self.headers.get("Accept-Encoding", ""):
            data = gzip.compress(data, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def served(site: Path) -> Iterator[str]:
    handler = partial(_Host, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def report(address: str, tools: Path) -> dict:
    """What Lighthouse says of a page."""
    out = tools / "report.json"
    command = [
        *("npx", "--prefix", str(tools), "lighthouse", address, "--quiet", "--output=json"),
        *(f"--output-path={out}", "--chrome-flags=--headless --no-sandbox --disable-gpu"),
    ]
    subprocess.run(command, check=True, env=os.environ | {"CHROME_PATH": browser()})
    return json.loads(out.read_text(encoding="utf-8"))


def browser() -> str:
    """The browser that the tests drive."""
    from chromium import find_browser
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = find_browser(playwright)
    if found is None:
        sys.exit("no browser: 'make browser' installs one")
    return found


def main(site: Path) -> int:
    """Measure, print, and say whether a bar is missed."""
    tools = Path(
        os.environ.get("LIGHTHOUSE_HOME", Path(tempfile.gettempdir()) / "cutaway-lighthouse")
    )
    tools.mkdir(parents=True, exist_ok=True)
    if shutil.which("npm") is None:
        sys.exit("npm is missing")
    if not (tools / "node_modules" / "lighthouse").is_dir():
        install = ["npm", "install", "--silent", "--prefix", str(tools), VERSION]
        subprocess.run(install, check=True)
    missed = 0
    with served(site) as root:
        for kind, pattern in PAGES.items():
            page = max(
                site.glob(pattern), key=lambda path: (path.stat().st_size, path), default=None
            )
            if page is None:
                print(f"{kind:10} none")
                continue
            found = report(root + page.relative_to(site).as_posix(), tools)
            scores = {name: round(100 * found["categories"][name]["score"]) for name in BARS}
            below = {name for name, bar in BARS.items() if scores[name] < bar}
            missed += len(below)
            said = [f"{n} {v}{' BELOW' if n in below else ''}" for n, v in scores.items()]
            print(f"{kind:10} " + "  ".join(said))
            for name in sorted(below):
                for reference in found["categories"][name]["auditRefs"]:
                    audit = found["audits"][reference["id"]]
                    if audit["score"] is not None and audit["score"] < 0.9:
                        print(f"         {name}: {audit['title']} {audit.get('displayValue', '')}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "site")))
