"""What the Markdown of an article would turn into something else in silence, with the line of each.

Looked at is the text as it is written, with code and directives blanked out: lines stay where they are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from generator.errors import did_you_mean
from generator.paths import data_root

_TOKEN = re.compile(r"\\(?:[A-Za-z]+\*?|.)|[{}]|%[^\n]*", re.DOTALL)
_NAMED = re.compile(r"\\(begin|end)\s*\{([^{}]*)\}")
_OWN = re.compile(r"\\(?:newcommand|renewcommand|providecommand|def|gdef|let)\s*\{?(\\[A-Za-z]+)")


def problem(tex: str) -> str:
    """What is wrong with the braces, environments, delimiters or commands of some LaTeX; "" if nothing is."""
    known, own = commands(), set(_OWN.findall(tex))
    braces = sides = 0
    for token in _TOKEN.findall(tex):
        braces += (token == "{") - (token == "}")
        sides += (token == r"\left") - (token == r"\right")
        if braces < 0:
            return "a brace closes that none opens"
        if sides < 0:
            return r"a \right without a \left"
        name = token.rstrip("*")
        if re.fullmatch(r"\\[A-Za-z]+", name) and name not in known | own:
            near = did_you_mean(name, known)
            return f"{name} is not known to KaTeX. {near if near.startswith('Did') else ''}".rstrip(
                ". "
            )
    if braces:
        return "a brace is not closed"
    if sides:
        return r"a \left without a \right"
    return _environments(tex)


def _environments(tex: str) -> str:
    opened: list[str] = []
    for kind, name in _NAMED.findall(tex):
        if kind == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            return rf"\end{{{name}}} without its \begin"
    return rf"\begin{{{opened[-1]}}} without its \end" if opened else ""


@functools.cache
def commands() -> frozenset[str]:
    """The commands that KaTeX knows: its own source quotes each."""
    path = data_root() / "site_src" / "javascripts" / "vendor" / "katex" / "katex.min.js"
    found = re.findall(r"\\\\([A-Za-z]+)", path.read_text(encoding="utf-8"))
    return frozenset(f"\\{name}" for name in found)


_FENCED = re.compile(
    r"^[ >]*(?P<fence>`{3,}|~{3,}).*?(?:^[ >]*(?P=fence)[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE
)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)\1(?!`)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->|\{/\*.*?\*/\}", re.DOTALL)
_STATEMENT = re.compile(r"\{%.*?%\}", re.DOTALL)
_PRINTED = re.compile(r"\{\{.*?\}\}", re.DOTALL)
# As pandoc has it: no space behind the first dollar sign or before the last, and no digit behind that.
INLINE = r"(?<![\\$])\$(?![\s$])((?:\\.|[^\\$])+?)(?<!\s)\$(?!\d)"
_EQUATION = re.compile(
    rf"\{{%-?\s*call\s+equation\b.*?%\}}(.*?)\{{%-?\s*endcall|\$\$(.+?)\$\$|{INLINE}", re.DOTALL
)
_SPACED = re.compile(
    r"(?<![\\$\w])\$[ \t]+[^$\n]{1,80}?[ \t]\$(?![\w$])|(?<![\\$\w])\$[ \t]\S{1,20}\$"
)
_ITEM = re.compile(r"( *)([-*+]|\d{1,3}[.)]) +\S")
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$|\s*\|\s*:?-+:?\s*\|\s*$")
# Elements that end where their author says so, and hold what comes until then.
_CLOSED = re.compile(
    "div|section|article|aside|details|summary|figure|figcaption|table|ul|ol|dl|blockquote|center|span|a|b|i|em|"
    "strong|sub|sup|small|mark|kbd|button|video|audio|iframe|svg|object|select|form|main|header|footer|nav"
)
TWO_BRACES = (
    "Two braces start a directive: in an equation write them with a space between, `{ {a} }`, "
    "elsewhere between {% raw %} and {% endraw %}."
)


@dataclass(frozen=True)
class Remark:
    """What is wrong on a line."""

    line: int
    text: str
    hint: str = ""


def mistakes(text: str) -> Iterator[Remark]:
    """What cannot be meant: equations that are no LaTeX, braces that vanish, elements that nobody closes."""
    plain = _blank(text, _FENCED, _CODE, _COMMENT)
    for match in _EQUATION.finditer(plain):
        tex = next(group for group in match.groups() if group is not None)
        line = _line(plain, match.start(match.lastindex or 0))
        for printed in _PRINTED.finditer(tex):
            if not re.search(r"[A-Za-z_]", printed[0]):
                yield Remark(
                    line, f"'{printed[0]}' in an equation would lose its braces.", TWO_BRACES
                )
        wrong = problem(_STATEMENT.sub("", _PRINTED.sub("1", tex)))
        if wrong:
            yield Remark(
                line, f"the equation '{_short(tex)}' is no LaTeX that can be set: {wrong}."
            )
    yield from _unclosed(_blank(plain, _STATEMENT, _PRINTED, _EQUATION))


def remarks(text: str) -> Iterator[Remark]:
    """What is shown otherwise than most readers of Markdown expect."""
    plain = _blank(text, _FENCED, _CODE, _COMMENT, _STATEMENT, _PRINTED)
    for match in _SPACED.finditer(_blank(plain, re.compile(INLINE))):
        said = f"'{match[0]}' is not set as an equation: write no space within the dollar signs"
        yield Remark(_line(plain, match.start()), said)
    yield from _lists(text, plain)


def unclosed_block(text: str) -> Remark | None:
    """The last directive that opens a block which nothing closes."""
    open_blocks: list[tuple[str, int, str]] = []
    for match in re.finditer(r"\{%[-+]?\s*(\w+)(.*?)[-+]?%\}", text, re.DOTALL):
        word = match[1]
        if open_blocks and open_blocks[-1][0] == "raw" and word != "endraw":
            continue
        if word in {"call", "for", "if", "raw", "filter", "with", "macro"}:
            open_blocks.append((word, _line(text, match.start()), match[0]))
        elif word.startswith("end") and open_blocks and open_blocks[-1][0] == word[3:]:
            open_blocks.pop()
    if not open_blocks:
        return None
    word, line, opening = open_blocks[-1]
    return Remark(line, f"'{opening}' is not closed: there is no 'end{word}' for it.")


def _lists(text: str, plain: str) -> Iterator[Remark]:
    depth, before, above = (
        -1,
        "",
        "",
    )  # of the item that the line above belongs to; -1 outside lists
    for number, (written, line) in enumerate(
        zip(text.splitlines(), plain.splitlines(), strict=True), start=1
    ):
        item = _ITEM.match(line)
        if not written.strip():
            depth = depth if before.strip() else -1
        elif item:
            indent = len(item[1])
            if depth >= 0 and 0 < indent - depth < 4:
                said = f"nested by {indent - depth} spaces, which gives no list of its own: four are needed"
                yield Remark(number, said)
            elif depth < 0 and indent < 4 and _is_prose(before):
                yield Remark(
                    number, "a list right below a paragraph runs into it: leave a line empty"
                )
            depth = indent
        elif not line.startswith(" ") and not before.strip():
            depth = -1
        if _RULE.match(line) and "|" in before and _is_prose(above):
            yield Remark(
                number - 1, "a table right below a paragraph runs into it: leave a line empty"
            )
        before, above = line if line.strip() or not written.strip() else "{", before


def _is_prose(line: str) -> bool:
    return bool(line.strip()) and not re.match(
        r"\s*([#>|<{:]|[-*+] |\d+[.)] |---|===|\[\^?[^\]]+\]:)", line
    )


def _unclosed(plain: str) -> Iterator[Remark]:
    # Indented text may be code, or belong to a list: told is what is open either way.
    without = _elements(re.sub(r"^( {4}|\t).*$", "", plain, flags=re.MULTILINE))
    for tag, line in _elements(plain):
        if (tag, line) in without:
            yield Remark(
                line, f"the element <{tag}> is not closed: all that follows would be in it."
            )


def _elements(html: str) -> list[tuple[str, int]]:
    """The elements that some HTML leaves open, each with its line."""
    reader = _Elements()
    reader.feed(html)
    reader.close()
    return reader.open


@dataclass(eq=False)
class _Elements(HTMLParser):
    open: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for every tag that opens."""
        if _CLOSED.fullmatch(tag):
            self.open.append((tag, self.getpos()[0]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for a tag with a slash at its end, which HTML takes for an opening one."""
        if tag not in {"svg"}:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Called by the parser for every tag that closes."""
        for place in reversed(range(len(self.open))):
            if self.open[place][0] == tag:
                del self.open[place]
                return


def _blank(text: str, *patterns: re.Pattern[str]) -> str:
    for pattern in patterns:
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    return text


def _line(text: str, place: int) -> int:
    return 1 + text.count("\n", 0, place)


def _short(tex: str) -> str:
    words = " ".join(tex.split())
    return words if len(words) < 60 else f"{words[:57]}..."
