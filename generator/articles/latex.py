"""Whether KaTeX, which sets equations in the browser, can set some LaTeX: what can be told without it."""

from __future__ import annotations

import functools
import re

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
