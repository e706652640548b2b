"""The page of all heads of a model, or of one stack of an encoder-decoder: the model view on each text."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from generator.figures.figure import Figure
from generator.inputs.texts import CuratedText
from generator.models.layer import Layer
from generator.models.model import Model
from generator.pages.components import model_component
from generator.pages.context import Place, layer_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.probes.attention import Attention


def attention_address(model: str) -> str:
    """The page of all heads of a model."""
    return f"models/{model}/attention/index.html"


@dataclass(frozen=True)
class AllHeads:
    """What the page of all heads is about: some layers of a model, and what to call their heads.

    `note` says what is particular about them; empty if nothing.
    """

    address: str
    title: str
    layers: Sequence[Layer]
    heads: int
    note: str = ""


def attention_page(
    model: Model,
    shown: AllHeads,
    texts: Sequence[CuratedText],
    attentions: Sequence[Attention],
    place: Place,
    pages: Pages,
    *,
    neurons: Collection[str] = (),
    rollout: Figure | None = None,
    targets: Mapping[str, Mapping[str, object]] | None = None,
) -> Page:
    """The model view: all heads on each text. `neurons` names the texts with vector files.

    `targets` has what is said of the second text of an encoder-decoder, by text.
    """
    count = len(shown.layers) * shown.heads
    return pages.page(
        "attention_view.html",
        shown.address,
        f"{shown.title} · {model.title}",
        f"The attention maps of {count} heads of {model.title} side by side, on {len(texts)} texts.",
        searchable=False,
        model=model,
        shown=shown,
        causal=attentions[0].causal,
        count=count,
        rollout=rollout,
        place=place,
        views=[
            {
                "text": text,
                "target": targets[text.id] if targets else None,
                "component": model_component(model.id, attention, neurons=text.id in neurons),
                "sheets": _sheets(model, shown.layers, text, pages),
            }
            for text, attention in zip(texts, attentions, strict=True)
        ],
    )


def _sheets(
    model: Model, layers: Sequence[Layer], text: CuratedText, pages: Pages
) -> list[dict[str, object]]:
    """The drawn sheet of each layer, for readers without a script."""
    found: list[dict[str, object]] = []
    for layer in layers:
        path = f"models/{model.id}/layers/{layer.name}/heads-{text.id}.webp"
        if pages.has(path):
            alt = f"Attention maps of the heads of layer {layer.name} on this text"
            figure = pages.figure(path, alt, ink=True, pixelated=True)
            found.append({"figure": figure, "link": layer_link(model, layer)})
    return found
