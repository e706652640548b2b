"""The directives of articles: figures, citations, references, and blocks of the page's grid."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from markupsafe import Markup, escape

from generator.articles.catalogue import Catalogue
from generator.articles.choose import Choices
from generator.articles.claims import Claims
from generator.articles.document import WIDTHS, Document, Renderer, Wanted
from generator.articles.errors import named, template_line
from generator.articles.kinds import figure
from generator.articles.knobs import NOT_WITHIN
from generator.articles.links import Links
from generator.articles.numbers import Numbers
from generator.articles.reference import reference_of
from generator.articles.widgets import Widgets
from generator.errors import UsageError
from generator.figures.figure import placed
from generator.formatting import NO_BREAK
from generator.techniques.naming import one_of

Directive = Callable[..., Any]


def directives(document: Document, catalogue: Catalogue) -> dict[str, Directive]:
    """Everything that the text of an article can call, by name. Errors name file, line and directive."""
    text, links = Blocks(document, catalogue), Links(document, catalogue)
    numbers, widgets = Numbers(document, catalogue), Widgets(document, catalogue)
    claims = Claims(document)
    found: dict[str, Directive] = {
        "figure": text.figure,
        "cite": text.cite,
        "ref": text.ref,
        "aside": text.aside,
        "area": text.area,
        "exercise": text.exercise,
        "answer": text.answer,
        "equation": text.equation,
        "head": links.head,
        "unit": links.unit,
        "layer": links.layer,
        "model": links.model,
        "page": links.page,
        "stat": numbers.stat,
        "best": numbers.best,
        "rows": numbers.rows,
        "rank": numbers.rank,
        "claim": claims.claim,
        "_quantity": claims.quantity,
        "widget": widgets.widget,
        "choose": Choices(document, catalogue).choose,
    }
    found["reference"] = reference_of(found, catalogue)
    return {name: _named(name, function, document) for name, function in found.items()}


def _named(name: str, function: Directive, document: Document) -> Directive:
    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        with document.mistakes, named(document.source.path, template_line(), name):
            if document.variant and name in NOT_WITHIN:
                raise UsageError("cannot stand in a choice.")
            try:
                return function(*arguments, **keywords)
            except TypeError as error:
                # Jinja calls with whatever the author wrote; Python's own words say what is missing.
                if error.__traceback__ and error.__traceback__.tb_next is None:
                    raise UsageError(f"{str(error).split('.')[-1]}.") from error
                raise
        return Markup("")  # of a mistake, so that those behind it are found too

    return call


@dataclass(frozen=True, eq=False)
class Blocks:
    """Figures, citations, references, asides, areas, exercises and equations."""

    document: Document
    catalogue: Catalogue

    def figure(
        self,
        kind: str,
        *,
        id: str = "",
        caption: str = "",
        alt: str | None = None,
        layout: str = "text",
        **parameters: Any,
    ) -> Markup:
        """A numbered figure of what a model does. `alt` and `caption` have measured defaults."""
        if alt is not None and not alt.strip():
            raise UsageError("a figure needs alt text; leave 'alt' out for a measured one.")
        made = figure(self.catalogue, kind, parameters)
        width = WIDTHS[one_of("layout", layout, WIDTHS)]
        number, line = self.document.count("Figure"), template_line()
        called = f"Figure{NO_BREAK}{number}"
        name = self.document.anchor(line, id or f"fig-{number}", called)
        source = self.document.source
        path = f"{source.section}/{source.stem}/{name}/{kind.replace('_', '-')}"
        drawn = placed(made, path, width)
        words = caption or str(escape(made.caption))
        model = str(parameters.get("model", ""))
        said, variant = (alt or made.alt, words, layout), self.document.variant
        wanted = Wanted(name, kind, model, number, drawn, *said, variant)
        self.document.figures.append(wanted)

        def filled(filling: Renderer) -> Markup:
            figures, text = wanted.figures, filling.line(wanted.caption)
            return filling.macro("figure", wanted, figures, text, filling.to)

        return self.document.block(line, "figure", filled)

    def cite(self, *keys: str) -> Markup:
        """Links to references, numbered in the order of first citation."""
        if not keys:
            raise UsageError("names no key of the bibliography.")
        numbers = [(key, self.document.cite(key)) for key in keys]
        said = f"[{', '.join(str(number) for _, number in numbers)}]"
        return self.document.gap(template_line(), "cite", lambda f: f.macro("cite", numbers), said)

    def ref(self, id: str, text: str = "") -> Markup:
        """A link to a figure, an equation, an exercise or a section of this article."""

        variant = self.document.variant

        def filled(filling: Renderer) -> Markup:
            called, target = filling.refer(id, variant)
            return filling.macro("ref", target, text or called)

        return self.document.gap(template_line(), "ref", filled, text or self.document.known(id))

    def aside(self, caller: Callable[[], str]) -> Markup:
        """A note in the gutter."""
        return self._block("aside", '<aside class="c-aside">', caller, "</aside>")

    def area(self, layout: str, caller: Callable[[], str]) -> Markup:
        """A part of the text that is as wide as the layout says."""
        one_of("layout", layout, WIDTHS)
        opening = f'<div class="c-area c-layout-{layout}" data-layout="{layout}">'
        return self._block("area", opening, caller, "</div>")

    def exercise(self, caller: Callable[[], str], id: str = "") -> Markup:
        """A numbered exercise."""
        number, line = self.document.count("Exercise"), template_line()
        called = f"Exercise{NO_BREAK}{number}"
        name = self.document.anchor(line, id or f"exercise-{number}", called)
        opening = (
            f'<section class="c-exercise" id="{escape(name)}">'
            f'<h3 class="c-exercise__title">Exercise {number}</h3>'
        )
        return self._block("exercise", opening, caller, "</section>")

    def answer(self, caller: Callable[[], str]) -> Markup:
        """The answer to an exercise, which folds out."""
        opening = '<details class="c-answer"><summary>Answer</summary><div class="c-answer__text">'
        return self._block("answer", opening, caller, "</div></details>")

    def equation(self, caller: Callable[[], str], id: str = "") -> Markup:
        """A numbered equation in LaTeX."""
        number, line = self.document.count("Equation"), template_line()
        called = f"Equation{NO_BREAK}{number}"
        name = self.document.anchor(line, id or f"eq-{number}", called)
        latex = str(caller()).strip()

        def filled(filling: Renderer) -> Markup:
            return filling.macro("equation", name, number, filling.html(str(escape(latex))))

        return self.document.block(line, "equation", filled)

    def _block(
        self, directive: str, opening: str, caller: Callable[[], str], closing: str
    ) -> Markup:
        """Markdown between two tags that it does not see."""
        line = template_line()
        inside = textwrap.dedent(str(caller())).strip()
        first = self.document.block(line, directive, lambda _: Markup(opening))
        last = self.document.block(line, directive, lambda _: Markup(closing))
        return Markup("{}{}{}").format(first, Markup(inside), last)
