"""The mathematics of definitions: written once between backticks, set in HTML and in LaTeX."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_MATHS = re.compile(r"`([^`]+)`")
_INDEX = str.maketrans("ⱼₖᵢ", "jki")
_LATEX = {
    "−": "-", "·": r"\cdot ", "≥": r"\ge ", "λ": r"\lambda ", "²": "^2", "ln ": r"\ln ", "Σ": r"\sum ",
}  # fmt: skip


def set_maths(words: str) -> Markup:
    """A definition as HTML that needs no script: mathematics in italics, indices lowered."""
    return Markup(_MATHS.sub(lambda found: _html(found[1]), str(escape(words))))


def as_markdown(words: str) -> str:
    """A definition as Markdown with LaTeX between dollar signs."""
    return _MATHS.sub(lambda found: f"${as_latex(found[1])}$", words)


def as_latex(maths: str) -> str:
    """What stands between backticks, as LaTeX."""
    made = re.sub("Σ([ⱼₖᵢ])", lambda found: rf"\sum_{found[1].translate(_INDEX)} ", maths)
    made = re.sub(r"\bA\[([^]]+)\]", r"A_{\1}", made)
    made = made.replace("÷", "/")
    for sign, command in _LATEX.items():
        made = made.replace(sign, command)
    return made


def _html(maths: str) -> str:
    made = re.sub("([ⱼₖᵢ])", lambda found: f"<sub>{found[1].translate(_INDEX)}</sub>", maths)
    made = re.sub(r"\bA\[([^]]+)\]", r"A<sub>\1</sub>", made)
    made = re.sub(r"W_([A-Z])", r"W<sub>\1</sub>", made)
    return f"<var>{made}</var>"
