"""What several kinds of page say of a model: its provenance, its layers, its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generator.addresses import GALLERY, Link, layer_address, model_address
from generator.models.layer import Layer
from generator.models.model import Model, VisionModel


@dataclass(frozen=True)
class Strip:
    """A row of small links to neighbouring pages; `current` is the index of this page or -1.

    The links are numbers, or their texts where the strip is `worded`.
    """

    name: str
    links: tuple[Link, ...]
    current: int
    worded: bool = False


@dataclass(frozen=True)
class Place:
    """Where a page stands: the way down to it, and the pages before and after."""

    trail: tuple[Link, ...]
    strips: tuple[Strip, ...] = ()
    previous: Link | None = None
    following: Link | None = None


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


def home() -> Link:
    """A link to the gallery."""
    return Link(GALLERY, "Gallery")


def layer_strip(model: Model, current: Layer | None) -> Strip:
    """All layers of a model as a strip."""
    layers = paged_layers(model)
    place = next((i for i, layer in enumerate(layers) if layer is current), -1)
    return Strip("Layers", tuple(layer_link(model, layer) for layer in layers), place)


def around(links: Sequence[Link], current: int) -> tuple[Link | None, Link | None]:
    """The links before and after a place in a sequence."""
    before = links[current - 1] if current > 0 else None
    after = links[current + 1] if current + 1 < len(links) else None
    return before, after


def size_text(parameters: int) -> str:
    """A parameter count in words, such as 4.7 million."""
    if parameters >= 1e9:
        return f"{parameters / 1e9:.1f} billion"
    if parameters >= 1e6:
        return f"{parameters / 1e6:.1f} million"
    return f"{parameters / 1e3:.1f} thousand" if parameters >= 1e3 else str(parameters)
