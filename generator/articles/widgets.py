"""Live components in articles: the same ones as on the models' own pages."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import Any

from markupsafe import Markup

from generator.articles.catalogue import Catalogue
from generator.articles.document import Document, Renderer
from generator.articles.errors import template_line
from generator.articles.kinds import Kind, widget, widgets_of
from generator.errors import UsageError
from generator.run import PICTURES
from generator.techniques.naming import one_of


@dataclass(frozen=True, eq=False)
class Widgets:
    """The components that read a model's data in the browser."""

    document: Document
    catalogue: Catalogue

    def widget(
        self,
        kind: str,
        *,
        model: str,
        text: str = "",
        layer: int | str | None = None,
        head: int | None = None,
        image: str = "",
        stack: str = "",
    ) -> Markup:
        """A head, a layer or all heads of a model on a text, or a picture taken apart, to play with."""
        kinds = widgets_of(self.catalogue.techniques)
        asked = kinds[one_of("widget", kind, kinds)]
        self._check(model, kind, asked)
        stated: dict[str, Any] = {
            "text": text,
            "layer": layer,
            "head": head,
            "image": image,
            "stack": stack,
        }
        given = {
            name: value
            for name, value in stated.items()
            if value not in ("", None) and name in asked.parameters
        }
        made = widget(self.catalogue, kind, {"model": model, **given})
        number = self.document.count(kind)
        if kind == "building_blocks" and number > 1:
            raise UsageError(
                "an article can have one 'building_blocks' widget; show others as figures."
            )
        self.document.drawings.extend(made.drawings)
        stated = {"model": model, **given}
        command = " ".join((kind, *(f"--{name} {quote(str(it))}" for name, it in stated.items())))
        styles, scripts = (
            [name for name in names if self.document.count(f"{folder}/{name}") == 1]
            for folder, names in (("stylesheets", made.styles), ("javascripts", made.scripts))
        )

        def filled(filling: Renderer) -> Markup:
            shown = made.view(filling.to)
            return filling.macro(
                "widget", made, shown, styles, scripts, number, command, filling.to
            )

        return self.document.block(template_line(), "widget", filled)

    def _check(self, model: str, kind: str, asked: Kind) -> None:
        run, technique = self.catalogue.run(model), asked.technique
        if technique is None or run.reads in technique.takes:
            return
        made_of = " or ".join(technique.takes)
        raise UsageError(
            f"'{model}' takes {run.reads}, and '{kind}' is made of a model that takes {made_of}.",
            hint="A head on a picture is shown by 'patch_view'." if run.reads == PICTURES else "",
        )
