"""Live components in articles: the same ones as on the models' own pages."""

from __future__ import annotations

from dataclasses import dataclass, replace

from markupsafe import Markup

from generator.articles.catalogue import Catalogue
from generator.articles.document import Document, Renderer
from generator.articles.errors import template_line
from generator.errors import UsageError
from generator.run import PAIRS, PICTURES, Run
from generator.techniques.answers import ANSWERS
from generator.techniques.attention import ATTENTION
from generator.techniques.attention_figures import attention_on
from generator.techniques.building_blocks import pictures_taken, widget_data
from generator.techniques.components import (
    Component,
    head_component,
    inline,
    layer_component,
    model_component,
)
from generator.techniques.measured_stack import stack_named
from generator.techniques.naming import one_of
from generator.techniques.patch_data import head_data
from generator.techniques.pictures import photograph

VIEWS = ("head_view", "layer_view", "model_view", "neuron_view", "patch_view", "building_blocks")


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
        one_of("widget", kind, VIEWS)
        given = {"text": text or None, "layer": layer, "head": head, "image": image or None}
        for name in _NEEDED[kind]:
            if given[name] is None:
                raise UsageError(f"'{kind}' needs the parameter '{name}'.")
        if kind == "building_blocks":
            return self._blocks(model, image)
        if kind == "patch_view":
            assert layer is not None and head is not None  # both are needed
            return self._patches(model, layer, head, image)
        component = self._component(kind, model, text, layer, head, stack)
        first, base = self.document.count("widget") == 1, self._base()
        run = self.catalogue.run(model)
        quoted = run.text(text).text
        target = run[ANSWERS][text].target if run.reads == PAIRS else ""

        def filled(filling: Renderer) -> Markup:
            return filling.macro("widget", component, quoted, target, first, base, filling.to)

        return self.document.block(template_line(), "widget", filled)

    def _patches(self, model: str, layer: int | str, head: int, image: str) -> Markup:
        """A head of a vision transformer on one picture, its patches to be pointed at."""
        run = self._of_pictures(model)
        heads = stack_named(run.model)
        row, column = heads.layer_named(layer), heads.head_numbered(head)
        picture, number = run.image(image), self.document.count("patch_view")
        seen = photograph(run, picture)
        self.document.drawings.append(seen.drawing)
        base = self._base()

        def filled(filling: Renderer) -> Markup:
            address = filling.article.source.address
            data = head_data(run, row, column, address, (image,))
            name = (
                f"{heads.head(row, column)} of {run.model.title} on the picture of {picture.label}"
            )
            return filling.macro("patches", name, picture, seen, data, number, base, filling.to)

        return self.document.block(template_line(), "widget", filled)

    def _blocks(self, model: str, image: str) -> Markup:
        """The building blocks of one picture, with the data that their script reads."""
        run = self._of_pictures(model)
        known = pictures_taken(run)
        name = one_of("picture", image, known, f"{model} has no building blocks of the")
        if self.document.count("building_blocks") > 1:
            raise UsageError(
                "an article can have one 'building_blocks' widget; show others as figures."
            )
        picture = run.image(name)

        def filled(filling: Renderer) -> Markup:
            data = inline(widget_data(run, name, filling.article.source.address))
            return filling.macro("blocks", name, picture, data, filling.to)

        return self.document.block(template_line(), "widget", filled)

    def _of_pictures(self, model: str) -> Run:
        run = self.catalogue.run(model)
        if run.reads != PICTURES:
            raise UsageError(
                f"'{model}' takes {run.reads}, and this is made of a model that takes pictures."
            )
        return run

    def _base(self) -> bool:
        """Whether this is the first component of the article that needs the script that they share."""
        return self.document.count("base") == 1

    def _component(
        self,
        kind: str,
        model: str,
        text: str,
        layer: int | str | None,
        head: int | None,
        stack: str,
    ) -> Component:
        run = self.catalogue.run(model)
        if run.reads == PICTURES:
            raise UsageError(
                f"'{model}' takes pictures, and '{kind}' shows a head on a text.",
                hint="A head on a picture is shown by 'patch_view'.",
            )
        heads = stack_named(run.model, stack)
        attention = attention_on(run, text, heads.stack)
        queries = run[ATTENTION][heads.stack.name].queries
        neurons = any(one.text == text for one in queries)
        if kind == "model_view" or layer is None:
            return model_component(model, attention, neurons=neurons)
        row = heads.layer_named(layer)
        if kind == "layer_view" or head is None:
            return layer_component(model, attention, row, neurons=neurons)
        one = head_component(model, attention, row, heads.head_numbered(head), neurons=neurons)
        if kind == "head_view":
            return one
        if not neurons:
            said = f"It has them on: {', '.join(one.text for one in queries) or 'none'}."
            raise UsageError(f"{model} has no queries and keys of the text '{text}'. {said}")
        return replace(one, opens="neurons")


_NEEDED = {
    "head_view": ("text", "layer", "head"),
    "neuron_view": ("text", "layer", "head"),
    "layer_view": ("text", "layer"),
    "model_view": ("text",),
    "patch_view": ("layer", "head", "image"),
    "building_blocks": (),
}
