"""What the browser tests share: the pages they open, and an ear for all that a page complains of."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
)

_VISION = "models/efficientnet-lite0"
_CNN = f"{_VISION}/layers"
_DECODER = "models/smollm2-135m"
HEAD = f"{_DECODER}/layers/3/heads/4/index.html"
NEXT_HEAD = f"{_DECODER}/layers/3/heads/5/index.html"
LAYER = f"{_DECODER}/layers/3/index.html"
POINTWISE = f"{_CNN}/blocks.1.0.conv_pw/index.html"
DECODER = f"{_DECODER}/index.html"
UNIT = f"{_CNN}/blocks.1.0/units/5/index.html"
ARTICLE = "articles/tour/index.html"
SLIDES = "articles/tour/slides/index.html"
GLOSSARY = "glossary/index.html"
# One page of each kind.
KINDS = {
    "gallery": "index.html",
    "figures": "figures/index.html",
    "glossary": GLOSSARY,
    "vision model": "models/efficientnet-lite0/index.html",
    "encoder": "models/minilm-l6/index.html",
    "decoder": DECODER,
    "stem": f"{_CNN}/conv_stem/index.html",
    "depthwise": f"{_CNN}/blocks.1.0.conv_dw/index.html",
    "pointwise": POINTWISE,
    "block": f"{_CNN}/blocks.1.0/index.html",
    "fully connected": f"{_CNN}/classifier/index.html",
    "encoder layer": "models/minilm-l6/layers/2/index.html",
    "decoder layer": LAYER,
    "head": HEAD,
    "unit": UNIT,
    "all heads": f"{_DECODER}/attention/index.html",
    "context": f"{_DECODER}/context/index.html",
    "atlas": f"{_DECODER}/atlas/index.html",
    "decoding": f"{_DECODER}/decoding/index.html",
    "dictionaries": f"{_DECODER}/dictionaries/index.html",
    "classes": f"{_VISION}/classes/index.html",
    "evolution": f"{_VISION}/evolution/index.html",
    "features": f"{_VISION}/features/index.html",
    "building blocks": f"{_VISION}/building-blocks/index.html",
    "controls": f"{_VISION}/controls/index.html",
    "pictures": f"{_VISION}/pictures/index.html",
    "own picture": f"{_VISION}/try/index.html",
    "own text": "models/minilm-l6/try/index.html",
    "card of a CNN": f"{_VISION}/card/index.html",
    "card of an encoder": "models/minilm-l6/card/index.html",
    "section": "articles/index.html",
    "article": ARTICLE,
}

# Many numbers travel as text: as a list of numbers each of them is named and taken apart on its own.
SENT = """
const sent = (values) => {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = "";
  for (let at = 0; at < raw.length; at += 8192) text += String.fromCharCode(...raw.subarray(at, at + 8192));
  return btoa(text);
};
"""


def received(text: str, kind: type[np.generic]) -> np.ndarray:
    """The numbers that a page has `sent`."""
    return np.frombuffer(base64.b64decode(text), kind)


class Profiles:
    """Browser profiles, taken by one visitor after another: a new one costs a second, a new page a third.

    Whoever takes one finds it as new: an own page, no storage, no cookies, no cache.
    """

    def __init__(self, browser: Browser, roots: Iterable[str]) -> None:
        self._browser = browser
        self._origins = [_origin(root) for root in roots]
        self._free: dict[str, list[BrowserContext]] = {}

    def take(self, options: dict[str, Any]) -> tuple[BrowserContext, Page]:
        """A profile with these options that nobody is using, and its only page."""
        free = self._free.setdefault(repr(sorted(options.items())), [])
        if not free:
            context = self._browser.new_context(**options)
            return context, context.new_page()
        context = free.pop()
        left = context.pages
        page = context.new_page()  # before the others close: it goes on in their process
        for one in left:
            one.close()
        context.clear_cookies()
        devtools = context.new_cdp_session(page)
        devtools.send("Network.clearBrowserCache")
        for origin in self._origins:
            everything = {"origin": origin, "storageTypes": "all"}
            devtools.send("Storage.clearDataForOrigin", everything)
        devtools.detach()
        return context, page

    def give_back(self, options: dict[str, Any], context: BrowserContext) -> None:
        """For the next who asks for the same options."""
        self._free[repr(sorted(options.items()))].append(context)


def _origin(root: str) -> str:
    parts = urlsplit(root)
    return f"{parts.scheme}://{parts.netloc}"


class Visitor:
    """A browser profile as new at the root of a site, and what its pages asked for and complained of."""

    def __init__(self, context: BrowserContext, page: Page, root: str) -> None:
        self._context, self.page, self.root = context, page, root
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.changed = False
        self._ears: dict[str, Callable[[Any], None]] = {
            "console": self._on_console,
            "weberror": self._on_error,
            "request": self._on_request,
            "requestfailed": self._on_failure,
            "response": self._on_response,
            "dialog": self._on_dialog,
        }
        for event, ear in self._ears.items():
            context.on(event, ear)

    @property
    def context(self) -> BrowserContext:
        """The profile, to be changed: nobody else gets it afterwards."""
        self.changed = True
        return self._context

    def leave(self) -> BrowserContext:
        """Hear nothing more; the profile that was used."""
        for event, ear in self._ears.items():
            self._context.remove_listener(event, ear)
        return self._context

    def open(self, address: str) -> Page:
        """Go to an address from the site's root."""
        self.page.goto(self.root + address)
        return self.page

    @property
    def place(self) -> str:
        """The page's address from the site's root."""
        return self.page.url.removeprefix(self.root)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.type} on {self.place}: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self.problems.append(f"error: {error.error}")

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)
        # What a page from a folder makes itself has no origin.
        own = "blob:null/" if self.root.startswith("file:") else "blob:" + self.root
        if not request.url.startswith((self.root, "data:", own)):
            self.problems.append(f"leaves the site: {request.url}")

    def _on_failure(self, request: Request) -> None:
        # A page that is left early gives up what it had not got yet.
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.failure}: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    def _on_dialog(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()


class Visitors:
    """Makes visitors; at the end none of them may have met a problem."""

    def __init__(self, profiles: Profiles, roots: dict[str, str]) -> None:
        self._profiles, self._roots = profiles, roots
        self._made: list[tuple[Visitor, dict[str, Any]]] = []

    def __call__(self, origin: str = "server", **options: Any) -> Visitor:
        visitor = Visitor(*self._profiles.take(options), self._roots[origin])
        self._made.append((visitor, options))
        return visitor

    def close(self) -> list[str]:
        """Send all away and return what they complained of."""
        for visitor, options in self._made:
            if visitor.changed:
                visitor.leave().close()
            else:
                self._profiles.give_back(options, visitor.leave())
        return [problem for visitor, _ in self._made for problem in visitor.problems]
