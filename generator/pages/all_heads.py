"""The page of all heads of a model, or of one stack of an encoder-decoder: the model view on each text."""

from __future__ import annotations

from collections.abc import Mapping

from generator.figures.figure import Figure
from generator.findings import StackFindings
from generator.models.stacks import CROSS, DECODER
from generator.pages.components import model_component
from generator.pages.context import Place, layer_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.quotes import Quote
from generator.pages.stack_views import attention_address, heads_title


def attention_page(
    stack: StackFindings,
    quotes: Mapping[str, Quote],
    place: Place,
    pages: Pages,
    *,
    note: str = "",
    rollout: Figure | None = None,
) -> Page:
    """The model view: all heads on each text. `note` says what is particular about them, if anything."""
    model, title = stack.model, heads_title("All", stack)
    neurons = [one.text for one in stack.queries]
    return pages.page(
        "attention_view.html",
        attention_address(stack),
        f"{title} · {model.title}",
        f"The attention maps of {stack.count} heads of {model.title} side by side, on {len(quotes)} texts.",
        searchable=False,
        model=model,
        heading=title,
        note=note,
        causal=stack.causal,
        count=stack.count,
        rollout=rollout,
        two_texts=stack.stack in (DECODER, CROSS),
        place=place,
        views=[
            {
                "quote": quotes[attention.text],
                "component": model_component(
                    model.id, attention, neurons=attention.text in neurons
                ),
                "sheets": _sheets(stack, attention.text, pages),
            }
            for attention in stack.attentions
        ],
    )


def _sheets(stack: StackFindings, text: str, pages: Pages) -> list[dict[str, object]]:
    """The drawn sheet of each layer, for readers without a script."""
    found: list[dict[str, object]] = []
    for layer in stack.layers:
        path = f"models/{stack.model.id}/layers/{layer.name}/heads-{text}.webp"
        if pages.has(path):
            alt = f"Attention maps of the heads of layer {layer.name} on this text"
            figure = pages.figure(path, alt, ink=True, pixelated=True)
            found.append({"figure": figure, "link": layer_link(stack.model, layer)})
    return found
