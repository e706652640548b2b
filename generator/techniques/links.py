"""Links to the pages of a model and of its layers, and what these are called."""

from __future__ import annotations

from generator.addresses import Link, layer_address, model_address
from generator.models.layer import Layer
from generator.models.model import Model, VisionModel


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


def model_link(model: Model) -> Link:
    """A link to a model's page."""
    return Link(model_address(model.id), model.title)
