"""What several kinds of page say of a model: its provenance, its layers, its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generator.addresses import GALLERY, Link
from generator.formatting import amount
from generator.models.layer import Layer
from generator.models.model import Model
from generator.run import PICTURES, Run
from generator.techniques.links import layer_link, model_link, paged_layers
from generator.techniques.map_here import Here
from generator.techniques.measured_stack import StackHeads, heads_of


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
    """Where a page stands: the way down to it, the pages before and after, its mark on the map."""

    trail: tuple[Link, ...]
    strips: tuple[Strip, ...] = ()
    previous: Link | None = None
    following: Link | None = None
    here: Here | None = None


def home() -> Link:
    """A link to the gallery."""
    return Link(GALLERY, "Gallery")


def layer_strip(model: Model, current: Layer | None) -> Strip:
    """All layers of a model as a strip, the outputs of its blocks among them."""
    layers = paged_layers(model)
    name = "Layers and blocks" if any(layer.joins for layer in layers) else "Layers"
    return _strip(name, model, layers, current)


def layer_strips(run: Run, current: Layer | None) -> tuple[Strip, ...]:
    """The layers of each stack that have a page."""
    return tuple(
        _strip(
            one.stack.title or f"{one.stack.word.capitalize()}s",
            run.model,
            [layer for place, layer in enumerate(one.layers) if one.paged(place)],
            current,
        )
        for one in heads_of(run.model)
    )


def _strip(name: str, model: Model, layers: Sequence[Layer], current: Layer | None) -> Strip:
    place = next((i for i, layer in enumerate(layers) if layer is current), -1)
    return Strip(name, tuple(layer_link(model, layer) for layer in layers), place)


def head_strip(stack: StackHeads, place: int, current: int) -> Strip:
    """All heads of a layer; `current` is the page's own head or -1."""
    layer = stack.layers[place].name if stack.several else f"{stack.stack.word} {place}"
    links = tuple(stack.link(place, head) for head in range(stack.heads))
    return Strip(f"Heads of {layer}", links, current)


def below_model(run: Run) -> Place:
    """Where a page on all heads of a stack stands."""
    first = model_link(run.model)
    return Place((home(), first), layer_strips(run, None), first)


def around(links: Sequence[Link], current: int) -> tuple[Link | None, Link | None]:
    """The links before and after a place in a sequence."""
    before = links[current - 1] if current > 0 else None
    after = links[current + 1] if current + 1 < len(links) else None
    return before, after


def inputs_text(run: Run) -> str:
    """What a model was run on, in words: 4 pictures, 14 texts."""
    if run.reads == PICTURES:
        return amount(len(run.inputs.images), "picture")
    return amount(len(run.inputs.texts), "text")


def size_text(parameters: int) -> str:
    """A parameter count in words, such as 4.7 million."""
    if parameters >= 1e9:
        return f"{parameters / 1e9:.1f} billion"
    if parameters >= 1e6:
        return f"{parameters / 1e6:.1f} million"
    return f"{parameters / 1e3:.1f} thousand" if parameters >= 1e3 else str(parameters)
