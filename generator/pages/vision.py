"""The pages of a vision model: its overview and its layers."""

from __future__ import annotations

from collections.abc import Iterator

from generator.addresses import layer_address, model_address
from generator.findings import VisionFindings
from generator.models.layer import Layer
from generator.pages.atlas import atlas_page
from generator.pages.context import (
    Place,
    around,
    home,
    layer_link,
    layer_strip,
    model_link,
    paged_layers,
    size_text,
)
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.parts import (
    ATTENTION,
    part_links,
    part_page,
    parts,
)
from generator.pages.patch_attention import patch_attention_page
from generator.pages.patch_heads import heads_of_layer, patch_head_pages
from generator.pages.patch_tables import patch_table_names
from generator.pages.sections import sections_of
from generator.pages.stack_views import below_model
from generator.techniques.naming import counted


def vision_pages(findings: VisionFindings, pages: Pages) -> Iterator[Page]:
    """The model's page, then one page a layer."""
    yield _overview(findings, pages)
    yield from _parts(findings, pages)
    for layer in paged_layers(findings.model):
        yield _layer(findings, layer, pages)
        if layer.heads:
            yield from patch_head_pages(findings, layer, pages)


def _parts(findings: VisionFindings, pages: Pages) -> Iterator[Page]:
    """The pages beside the layers that this model has."""
    for part in parts(findings):
        if part == ATTENTION:
            yield patch_attention_page(findings, pages)
            for stack in findings.stacks:
                yield atlas_page(stack, below_model(findings.stacks), pages)
        elif part.lead:  # the card is written where the whole exhibit is known
            yield part_page(findings, part, pages)


def _overview(findings: VisionFindings, pages: Pages) -> Page:
    model = findings.model
    paged = paged_layers(model)
    layers, units = counted(model)
    return pages.page(
        "model_vision.html",
        model_address(model.id),
        model.title,
        f"{model.title} opened: {layers} of a {model.kind} with "
        f"{size_text(model.parameters)} parameters, measured on {len(findings.images)} pictures.",
        model=model,
        place=Place((home(),), (layer_strip(model, None),), None, layer_link(model, paged[0])),
        ways=list(zip(parts(findings), part_links(findings), strict=True)),
        size=size_text(model.parameters),
        sections=sections_of(findings.run, "model"),
        layers=layers.removesuffix(" layers").replace(" layers", ","),
        units=units.replace(" units", ""),
        weight_tables=(
            "layers.csv",
            "units.csv",
            "predictions.csv",
            "evaluation.csv",
            "probes.csv",
            *(("exemplars.csv", "wires.csv", "pool.csv") if findings.exemplars else ()),
            *patch_table_names(findings),
        ),
    )


def _layer(findings: VisionFindings, layer: Layer, pages: Pages) -> Page:
    model = findings.model
    layers = paged_layers(model)
    links = [layer_link(model, each) for each in layers]
    current = next(i for i, each in enumerate(layers) if each is layer)
    before, after = around(links, current)
    signal = findings.signal.of(layer.name)
    heads = heads_of_layer(findings, layer, pages)
    return pages.page(
        "layer_vision.html",
        layer_address(model.id, layer.name),
        f"{layer.name} · {model.title}",
        f"{layer.name}, {_article(_kind(layer))} of {model.title} with {layer.units} units: its filters, "
        "activation maps on every picture, histogram, densest and dead units.",
        model=model,
        layer=layer,
        place=Place(
            (home(), model_link(model)),
            (layer_strip(model, layer), *([heads.strip] if heads else [])),
            before or model_link(model),
            after,
        ),
        heads=heads,
        signal=signal,
        kind=_kind(layer),
        sections=sections_of(findings.run, "layer", layer),
    )


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _kind(layer: Layer) -> str:
    return "fully connected layer" if layer.kind == "linear" else layer.kind
