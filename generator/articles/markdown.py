"""Markdown to finished HTML, with gaps in it that are filled later.

What a directive makes never passes through Markdown: in its place stands a word that no text holds, a
*gap*, and when the figures are drawn the gap is filled. So a token or a label stays text whatever is in it,
and a block that a directive opens and closes holds ordinary Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from typing import Any

import markdown
from markdown.extensions.toc import slugify
from markupsafe import Markup
from pymdownx.arithmatex import RE_BRACKET_INLINE, RE_SMART_DOLLAR_INLINE

# The same for every article, so that any builder shows the same page.
_EXTENSIONS = (
    "tables", "footnotes", "attr_list", "def_list", "abbr", "md_in_html", "toc", "sane_lists", "smarty",
    "pymdownx.superfences", "pymdownx.highlight", "pymdownx.inlinehilite", "pymdownx.arithmatex",
)  # fmt: skip
# pymdownx's own, and no digit behind the last dollar sign: $5 and $10 are money.
_EQUATION = re.compile(rf"(?:{RE_SMART_DOLLAR_INLINE}(?!\d)|{RE_BRACKET_INLINE})", re.DOTALL)
_OPEN, _CLOSE = "cwgap", "pagwc"
GAP = re.compile(rf"{_OPEN}(\d+){_CLOSE}")
_ALONE = re.compile(rf"<p>\s*({GAP.pattern})\s*</p>")
# A column that needs no name has an empty cell above it, which heads nothing.
_EMPTY_HEADER = re.compile(r"<th( [^>]*)?></th>")
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Heading:
    """A heading with those below it."""

    id: str
    text: str
    level: int
    children: tuple[Heading, ...] = ()


@dataclass(frozen=True)
class Converted:
    """HTML with gaps, and its headings; their texts may hold gaps too."""

    html: str
    headings: tuple[Heading, ...]


def gap(number: int) -> str:
    """The word that stands for what a directive makes."""
    return f"{_OPEN}{number}{_CLOSE}"


def convert(text: str) -> Converted:
    """A whole article. Raw HTML in it is its author's."""
    made = markdown.Markdown(extensions=list(_EXTENSIONS), extension_configs=_configuration())
    made.inlinePatterns["arithmatex-inline"].compiled_re = _EQUATION
    html = made.convert(text)
    html = _EMPTY_HEADER.sub(r"<td\1></td>", html)
    return Converted(_ALONE.sub(r"\1", html), _headings(made.toc_tokens))


def convert_line(text: str) -> str:
    """A caption or the like: one paragraph gives what is in it, more give paragraphs."""
    html = convert(text).html.strip()
    alone = html.startswith("<p>") and html.endswith("</p>") and html.count("<p>") == 1
    return html[3:-4] if alone else html


def fill(html: str, filler: Callable[[int], str]) -> Markup:
    """HTML with each gap filled. What fills a gap is not looked at again: it may hold any text."""
    # The author's Markdown, and what directives have escaped.
    return Markup(GAP.sub(lambda match: filler(int(match[1])), html))


def as_text(html: str) -> str:
    """What a reader sees of HTML, without tags."""
    return unescape(_TAG.sub("", html)).strip()


def _slug(text: str, separator: str) -> str:
    return slugify(GAP.sub("", text), separator) or "section"


def _configuration() -> dict[str, dict[str, Any]]:
    return {
        "toc": {"slugify": _slug},
        "footnotes": {"BACKLINK_TITLE": "Back to the text, footnote {}"},
        "smarty": {"smart_angled_quotes": False},
        "pymdownx.highlight": {"guess_lang": False, "anchor_linenums": False},
        "pymdownx.arithmatex": {"generic": True},
    }


def _headings(tokens: list[dict[str, Any]]) -> tuple[Heading, ...]:
    return tuple(
        Heading(token["id"], unescape(token["name"]), token["level"], _headings(token["children"]))
        for token in tokens
    )
