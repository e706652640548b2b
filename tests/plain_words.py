"""What a page says, and the faults of its words that can be found by looking."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_APART = {"code", "pre", "script", "style", "blockquote", "svg", "title", "kbd", "noscript"}
_QUOTED = ("c-quote", "c-token", "c-reference", "arithmatex")
_VOID = {"br", "hr", "img", "input", "link", "meta", "source", "wbr", "image", "rect", "path"}
_THINGS = (
    "heads|layers|units|texts|pictures|tokens|words|blocks|groups|rows|inputs|sequences|statements"
)
FAULTS = {
    "one of many": re.compile(
        rf"(?<![×/–−+·=] )(?<!ayer )(?<!lock )(?<![\w.,·/×–−+-])1 (?:{_THINGS})\b"
    ),
    "a hyphen for a minus sign": re.compile(r"(?<=[\s(])-\d"),
    "minus zero": re.compile(r"[−-]0(?:\.0+)?(?![\d.,]| to | ?×)\b"),
    "behind for after": re.compile(r"behind (?:each |the last )?(?:layer|block)"),
}
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s?% ± (\d+(?:\.\d+)?)")


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            classes = dict(attrs).get("class") or ""
            self._open.append((tag, tag in _APART or any(one in classes for one in _QUOTED)))
        if tag in {
            "td",
            "th",
            "p",
            "li",
            "dd",
            "dt",
            "div",
            "figcaption",
            "caption",
            "option",
            "h1",
            "h2",
        }:
            self.said.append("\n")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(apart for _, apart in self._open):
            self.said.append(data.replace("\n", " "))


def words_of(html: str) -> str:
    """What a reader sees, without code, quotations and equations."""
    parser = _Words()
    parser.feed(html)
    return "".join(parser.said)


def faults_of(html: str) -> list[str]:
    """What is wrong with the words of a page, each with what stands around it."""
    said = words_of(html)
    found = [(name, match) for name, rule in FAULTS.items() for match in rule.finditer(said)]
    for match in _SHARE.finditer(said):
        share, error = map(float, match.groups())
        if share - error < 0 or share + error > 100:
            found.append(("a share beyond its bounds", match))
    return [f"{name}: {said[max(0, m.start() - 40) : m.end() + 30]!r}" for name, m in found]
