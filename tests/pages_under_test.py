"""What the browser tests share: the pages they open, and an ear for all that a page complains of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

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
# One page of each kind.
KINDS = {
    "gallery": "index.html",
    "figures": "figures/index.html",
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
    "classes": f"{_VISION}/classes/index.html",
    "evolution": f"{_VISION}/evolution/index.html",
    "features": f"{_VISION}/features/index.html",
    "building blocks": f"{_VISION}/building-blocks/index.html",
    "controls": f"{_VISION}/controls/index.html",
    "card of a CNN": f"{_VISION}/card/index.html",
    "card of an encoder": "models/minilm-l6/card/index.html",
    "section": "articles/index.html",
    "article": ARTICLE,
}


@dataclass
class Visitor:
    """A fresh browser profile at the root of a site, and what its pages asked for and complained of."""

    context: BrowserContext
    root: str
    page: Page = field(init=False)
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for event, ear in (
            ("console", self._on_console),
            ("weberror", lambda error: self.problems.append(f"error: {error.error}")),
            ("request", self._on_request),
            ("requestfailed", self._on_failure),
            ("response", self._on_response),
            ("dialog", self._on_dialog),
        ):
            self.context.on(event, ear)
        self.page = self.context.new_page()

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

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith((self.root, "data:", "blob:" + self.root)):
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

    def __init__(self, browser: Browser, roots: dict[str, str]) -> None:
        self._browser, self._roots = browser, roots
        self._made: list[Visitor] = []

    def __call__(self, origin: str = "server", **options: Any) -> Visitor:
        visitor = Visitor(self._browser.new_context(**options), self._roots[origin])
        self._made.append(visitor)
        return visitor

    def close(self) -> list[str]:
        """Send all away and return what they complained of."""
        for visitor in self._made:
            visitor.context.close()
        return [problem for visitor in self._made for problem in visitor.problems]
