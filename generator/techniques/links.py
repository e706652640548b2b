"""Links to the pages of a model and of its layers, and what these are called."""

from __future__ import annotations

from generator.addresses import Link, beside_address, layer_address, model_address
from generator.comparison import sides
from generator.models.layer import Layer
from generator.models.model import Model, VisionModel
from generator.run import Run


def paged_layers(model: Model) -> tuple[Layer, ...]:
    """The layers that have a page, in order."""
    if isinstance(model, VisionModel):
        return tuple(layer for layer in model.layers if layer.name in model.paged)
    return model.layers


def layer_title(model: Model, layer: Layer) -> str:
    """What a layer is called on pages."""
    return layer.name if isinstance(model, VisionModel) else f"Layer {layer.name}"


def layer_link(model: Model, layer: Layer) -> Link:
    """A link to a layer's page."""
    return Link(layer_address(model.id, layer.name), layer_title(model, layer))


def layer_page(model: Model, layer: Layer) -> Link | None:
    """The same; None of a layer without a page."""
    paged = not isinstance(model, VisionModel) or layer.name in model.paged
    return layer_link(model, layer) if paged else None


def model_link(model: Model) -> Link:
    """A link to a model's page."""
    return Link(model_address(model.id), model.title)


def beside_link(run: Run, pages: tuple[str, str], text: str) -> Link:
    """A link to the same page of two models beside each other, to the one that there is, or to none.

    `pages` are the addresses before and after; "" where a model has no such page.
    """
    own, other = (
        page.removeprefix(f"{one.folder}/").removesuffix("index.html")
        for page, one in zip(pages, sides(run), strict=True)
    )
    if all(pages) and own == other:
        return Link(beside_address(run.id, own), text)
    return Link(pages[1] or pages[0], text)
