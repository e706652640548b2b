"""Live components in articles: the same ones as on the models' own pages."""

from __future__ import annotations

from dataclasses import dataclass, replace

from markupsafe import Markup

from generator.articles.draft import Draft, Filling
from generator.articles.errors import template_line
from generator.articles.shown import Shown, head_of, layer_of, one_of
from generator.errors import UsageError
from generator.pages.blocks_data import blocks_channels, script_data
from generator.pages.components import (
    Component,
    head_component,
    inline,
    layer_component,
    model_component,
)

VIEWS = ("head_view", "layer_view", "model_view", "neuron_view", "building_blocks")


@dataclass(frozen=True, eq=False)
class Widgets:
    """The components that read a model's data in the browser."""

    draft: Draft
    shown: Shown

    def widget(
        self,
        kind: str,
        *,
        model: str,
        text: str = "",
        layer: int | None = None,
        head: int | None = None,
        image: str = "",
    ) -> Markup:
        """A head, a layer or all heads of a model on a text, or a picture taken apart, to play with."""
        one_of("widget", kind, VIEWS)
        if kind == "building_blocks":
            return self._blocks(model, image)
        component = self._component(kind, model, text, layer, head)
        first = self.draft.count("widget") == 1

        def filled(filling: Filling) -> Markup:
            quoted = self.shown.text(model, text).text
            return filling.macro("widget", component, quoted, first, filling.to)

        return self.draft.block(template_line(), "widget", filled)

    def _blocks(self, model: str, image: str) -> Markup:
        """The building blocks of one picture, with the data that their script reads."""
        findings = self.shown.about_pictures(model)
        usable = {name: found for name, found in findings.blocks.items() if not found.reason}
        name = one_of("picture", image, usable, f"{model} has no building blocks of the")
        if self.draft.count("building_blocks") > 1:
            raise UsageError(
                "an article can have one 'building_blocks' widget; show others as figures."
            )
        picture, layer = self.shown.image(model, name), layer_of(findings.model, usable[name].layer)

        def filled(filling: Filling) -> Markup:
            channels = blocks_channels(findings, filling.pages)
            address = filling.article.source.address
            one = {name: usable[name]}
            data = script_data(
                findings.model, layer, (picture,), one, channels, filling.pages, address
            )
            return filling.macro("blocks", name, picture, inline(data), filling.to)

        return self.draft.block(template_line(), "widget", filled)

    def _component(
        self, kind: str, model: str, text: str, layer: int | None, head: int | None
    ) -> Component:
        network = self.shown.language(model)
        for name, value in (("text", text or None), ("layer", layer), ("head", head)):
            if value is None and name in _NEEDED[kind]:
                raise UsageError(f"'{kind}' needs the parameter '{name}'.")
        attention = self.shown.attention(model, text)
        queries = self.shown.about_texts(model).queries
        neurons = any(one.text == text for one in queries)
        if kind == "model_view" or layer is None:
            return model_component(model, attention, neurons=neurons)
        row = layer_of(network, layer).index
        if kind == "layer_view" or head is None:
            return layer_component(model, attention, row, neurons=neurons)
        one = head_component(model, attention, row, head_of(network, head), neurons=neurons)
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
}
