"""The pages of the layers of a transformer that reads texts, each followed by those of its heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from generator.addresses import layer_address
from generator.figures.figure import Figure
from generator.findings import StackFindings
from generator.formatting import number, percent, thousands
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.tokens import window_text
from generator.pages.context import Place, around, home, layer_link, model_link
from generator.pages.environment import Pages
from generator.pages.heads import HeadKind, head_pages, head_rows, whose
from generator.pages.page import Page
from generator.pages.stack_views import head_strip, layer_strips
from generator.pages.standings import order_heads
from generator.pages.token_heads import Quotes, layer_sheets
from generator.probes.signal import LayerSignal, Signal

Stacks = tuple[StackFindings, ...]
_LAYER_TABLES = ("layers.csv", "heads.csv", "heads_by_text.csv", "statistics.csv", "roles.csv")


def layer_pages(
    stacks: Stacks,
    stack: StackFindings,
    quotes: Quotes,
    signal: Signal,
    kind: HeadKind,
    pages: Pages,
    *,
    readings: Callable[[Layer], Figure] | None = None,
) -> Iterator[Page]:
    """The pages of a stack's layers, each followed by those of its heads.

    `readings` makes the figure of a layer's weights read in several ways, where there is one.
    """
    for place, layer in enumerate(stack.layers):
        yield _layer(stacks, stack, place, quotes, signal, pages, readings and readings(layer))
        yield from head_pages(stacks, stack, place, kind, pages)


def _layer(
    stacks: Stacks,
    stack: StackFindings,
    place: int,
    quotes: Quotes,
    signal: Signal,
    pages: Pages,
    readings: Figure | None,
) -> Page:
    model, layer = stack.model, stack.layers[place]
    links = [layer_link(model, each) for each in model.layers]
    before, after = around(links, layer.index)
    own = next((one for one in signal.layers if one.layer == layer.name), None)
    activity = ", and the activity of its MLP" if own else ""
    return pages.page(
        "layer_tokens.html",
        layer_address(model.id, layer.name),
        f"Layer {layer.name} · {model.title}",
        f"Layer {layer.name} of {model.title}: its {stack.heads} attention heads side by side on "
        f"{len(quotes)} texts, their statistics{activity}.",
        model=model,
        layer=layer,
        stack=stack,
        place=Place(
            (home(), model_link(model)),
            (*layer_strips(stacks, layer), head_strip(stack, place, -1)),
            before or model_link(model),
            after,
        ),
        facts=_facts(stack, layer, signal, own),
        sheets=layer_sheets(stack, quotes, place, pages),
        rows=head_rows(stack, place, order_heads(stack)),
        whose=whose(stack),
        readings=readings,
        activity=_activity(model.id, layer, own, pages) if own else None,
        tables=_LAYER_TABLES,
    )


def _facts(
    stack: StackFindings, layer: Layer, signal: Signal, own: LayerSignal | None
) -> list[tuple[str, str | int]]:
    """What stands below the title; cross attention has no MLP of its own."""
    model, sees = stack.model, window_text(layer.window, stack.causal)
    assert not isinstance(model, VisionModel)  # it reads texts
    found: list[tuple[str, str | int]] = [("Heads", stack.heads)]
    if stack.kv_groups < stack.heads or not stack.several:
        found.append(("KV groups", stack.kv_groups))
    found += [("Head width", model.head_width), ("Width", layer.shape[0])]
    found.append(("Parameters", thousands(layer.parameters)))
    if own is not None:
        found.append(("MLP units", thousands(len(own.active))))
        if layer.rectified:
            found.append(("MLP exactly zero", percent(float(own.zero.mean()))))
        stream = signal.stream[next(i for i, one in enumerate(signal.layers) if one is own)]
        found.append(("MLP near zero", percent(float(own.near_zero.mean()))))
        found.append(("Output RMS", number(float(stream.mean()))))
    return [*found, *([("Sees", sees)] if sees else [])]


def _activity(model: str, layer: Layer, signal: LayerSignal, pages: Pages) -> Figure:
    zeros = f"; {percent(float(signal.zero.mean()))} are exactly zero" if layer.rectified else ""
    text = (
        f"Left: activations of the MLP that are not exactly zero, from {number(float(signal.edges[0]))} to "
        f"{number(float(signal.edges[-1]))}{zeros}. Right: its {len(signal.active)} hidden units, most often "
        f"above zero first; the median unit is above zero at "
        f"{percent(float(np.median(signal.active)))} of tokens."
    )
    return pages.figure(
        f"models/{model}/layers/{layer.name}/activity.webp",
        f"Histogram of the MLP activations of layer {layer.name} and share of active tokens. {text}",
        text,
        kind="sparsity",
        ink=True,
    )
