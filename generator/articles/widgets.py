"""Live components in articles: the same ones as on the models' own pages."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from generator.articles.draft import Draft, Filling
from generator.articles.errors import template_line
from generator.articles.shown import Shown, head_of, layer_of, one_of
from generator.errors import UsageError
from generator.pages.components import (
    Component,
    head_component,
    layer_component,
    model_component,
)

VIEWS = ("head_view", "layer_view", "model_view", "neuron_view")


@dataclass(frozen=True, eq=False)
class Widgets:
    """The components that read a model's data in the browser."""

    draft: Draft
    shown: Shown

    def widget(
        self, kind: str, *, model: str, text: str, layer: int | None = None, head: int | None = None
    ) -> Markup:
        """A head, a layer, or all heads of a model on a text, to play with."""
        one_of("widget", kind, VIEWS)
        component = self._component(kind, model, text, layer, head)
        first = self.draft.count("widget") == 1

        def filled(filling: Filling) -> Markup:
            quoted = self.shown.text(model, text).text
            return filling.macro("widget", component, quoted, first, filling.to)

        return self.draft.block(template_line(), "widget", filled)

    def _component(
        self, kind: str, model: str, text: str, layer: int | None, head: int | None
    ) -> Component:
        network, attention = self.shown.language(model), self.shown.attention(model, text)
        neurons = any(one.text == text for one in self.shown.about_texts(model).queries)
        if kind == "model_view":
            return model_component(model, attention, neurons=neurons)
        if layer is None:
            raise UsageError(f"'{kind}' needs the parameter 'layer'.")
        row = layer_of(network, layer).index
        if kind == "layer_view":
            return layer_component(model, attention, row, neurons=neurons)
        if head is None:
            raise UsageError(f"'{kind}' needs the parameter 'head'.")
        if kind == "neuron_view" and not neurons:
            shown = [one.text for one in self.shown.about_texts(model).queries]
            said = f"It has them on: {', '.join(shown)}." if shown else "It has none."
            raise UsageError(f"{model} has no queries and keys of the text '{text}'. {said}")
        return head_component(model, attention, row, head_of(network, head), neurons=neurons)
