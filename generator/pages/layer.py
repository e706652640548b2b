"""The page of a layer, followed by those of its heads and neurons."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from generator.addresses import layer_address
from generator.formatting import number, percent, thousands
from generator.models.layer import HIDDEN, Layer
from generator.models.tokens import window_text
from generator.pages.context import (
    Place,
    Strip,
    around,
    head_strip,
    home,
    layer_strip,
    layer_strips,
)
from generator.pages.environment import Pages
from generator.pages.head import head_pages
from generator.pages.page import Page, there
from generator.pages.sections import sections_of
from generator.pages.unit import neuron_pages
from generator.run import PICTURES, Run
from generator.techniques.attention import ATTENTION
from generator.techniques.links import layer_link, layer_title, model_link, paged_layers
from generator.techniques.map_here import here
from generator.techniques.measured_stack import heads_of, stack_of
from generator.techniques.signal import SIGNAL

Facts = list[tuple[str, str | int]]


def layer_pages(run: Run, pages: Pages) -> Iterator[Page]:
    """The pages of all layers that have one, each followed by those of its heads and neurons."""
    with_heads = {layer.name for stack in heads_of(run.model) for layer in stack.layers}
    ordered = paged_layers(run.model)
    for layer in ordered:
        yield from there(partial(_page, run, layer, pages, heads=layer.name in with_heads))
        if layer.name in with_heads:
            yield from head_pages(run, layer, pages)
        yield from neuron_pages(run, layer, pages)


def _page(run: Run, layer: Layer, pages: Pages, *, heads: bool) -> Page:
    model, seen = run.model, run.reads == PICTURES
    layers = paged_layers(model)
    current = next(place for place, each in enumerate(layers) if each is layer)
    before, after = around([layer_link(model, each) for each in layers], current)
    strips: tuple[Strip, ...] = (layer_strip(model, layer),) if seen else layer_strips(run, layer)
    if heads:
        stack = stack_of(model, layer)
        strips = (*strips, head_strip(stack, stack.place_of(layer), -1))
    return pages.page(
        "layer.html",
        layer_address(model.id, layer.name),
        f"{layer_title(model, layer)} · {model.title}",
        _of_pictures(run, layer) if seen else _of_texts(run, layer),
        model=model,
        layer=layer,
        code=seen,
        heading=layer_title(model, layer),
        lead=_lead(run, layer),
        facts=_facts_of_pictures(run, layer) if seen else _facts_of_texts(run, layer),
        place=Place(
            (home(), model_link(model)),
            strips,
            before or model_link(model),
            after,
            here(run, layer),
        ),
        sections=sections_of(run, "layer", layer),
        tables=("layers.csv", "units.csv") if seen else _TABLES,
    )


_TABLES = ("layers.csv", "heads.csv", "heads_by_text.csv", "statistics.csv", "roles.csv")


def _kind(layer: Layer) -> str:
    return "fully connected layer" if layer.kind == "linear" else layer.kind


def _of_pictures(run: Run, layer: Layer) -> str:
    kind = _kind(layer)
    article = "an" if kind[0] in "aeiou" else "a"
    return (
        f"{layer.name}, {article} {kind} of {run.model.title} with {layer.units} units: its filters, "
        "activation maps on every picture, histogram, densest and dead units."
    )


def _of_texts(run: Run, layer: Layer) -> str:
    own = any(one.layer == layer.name for one in run[SIGNAL].layers)
    activity = ", and the activity of its MLP" if own else ""
    return (
        f"Layer {layer.name} of {run.model.title}: its {stack_of(run.model, layer).heads} attention heads "
        f"side by side on {len(run.inputs.texts)} texts, their statistics{activity}."
    )


def _lead(run: Run, layer: Layer) -> str:
    model = run.model
    if run.reads == PICTURES:
        return f"{_kind(layer).capitalize()} of {model.title}{_number(run, layer)}."
    stack = stack_of(model, layer)
    kind = f"{layer.kind.capitalize()} of {model.title}"
    if stack.several:
        return (
            f"{kind}: tokens of the {stack.stack.queries} look at tokens of the {stack.stack.keys}."
        )
    return f"{kind}, layer {layer.name} of {len(model.layers)} (counted from 0)."


def _number(run: Run, layer: Layer) -> str:
    """Which one of all layers it is, or of all outputs of blocks, as the end of a sentence."""
    alike = [one for one in run.model.layers if one.joins == layer.joins]
    if layer.joins:
        return f", number {alike.index(layer) + 1} of its {len(alike)} blocks"
    return f", number {alike.index(layer) + 1} of its {len(alike)} layers"


def _facts_of_pictures(run: Run, layer: Layer) -> Facts:
    signal = run[SIGNAL].of(layer.name)
    norm = (
        f", {thousands(layer.norm_parameters)} of them its normalisation’s"
        if layer.norm_parameters
        else ""
    )
    found: Facts = [
        ("Output", " × ".join(str(side) for side in layer.shape)),
        ("Parameters", f"{thousands(layer.parameters)}{norm}"),
    ]
    if layer.kernel:
        stride = f", stride {layer.stride[0]}" if layer.stride and layer.stride[0] > 1 else ""
        found.append(("Kernel", " × ".join(str(side) for side in layer.kernel) + stride))
    zero = percent(float(signal.zero.mean())) if layer.rectified else "–"
    return [
        *found,
        ("Activation", layer.activation or ("–" if layer.kind == HIDDEN else "none (linear)")),
        ("Exactly zero", zero),
        ("Near zero", percent(float(signal.near_zero.mean()))),
    ]


def _facts_of_texts(run: Run, layer: Layer) -> Facts:
    """What stands below the title; cross attention has no MLP of its own."""
    stack, signal = stack_of(run.model, layer), run[SIGNAL]
    model = run.pair if stack.several else run.language
    found: Facts = [("Heads", stack.heads)]
    if stack.kv_groups < stack.heads or not stack.several:
        found.append(("KV groups", stack.kv_groups))
    found += [("Head width", model.head_width), ("Width", layer.shape[0])]
    found.append(("Parameters", thousands(layer.parameters)))
    for one, stream in zip(signal.layers, signal.stream, strict=False):  # MLPs may be left out
        if one.layer == layer.name:
            found.append(("MLP units", thousands(len(one.active))))
            if layer.rectified:
                found.append(("MLP exactly zero", percent(float(one.zero.mean()))))
            found.append(("MLP near zero", percent(float(one.near_zero.mean()))))
            found.append(("Output RMS", number(float(stream.mean()))))
    if layer.window:
        attentions = run[ATTENTION][stack.stack.name].attentions
        causal = bool(attentions) and attentions[0].causal
        found.append(("Sees", window_text(layer.window, causal)))
    return found
