"""What all pages on the heads of a stack share: their names and addresses, and the strips of links."""

from __future__ import annotations

from collections.abc import Sequence

from generator.addresses import part_address
from generator.findings import StackFindings
from generator.models.layer import Layer
from generator.pages.context import Place, Strip, home, layer_link, model_link


def attention_address(stack: StackFindings) -> str:
    """The page of all heads of a stack, side by side."""
    return part_address(stack.model.id, stack.stack.page("attention"))


def atlas_address(stack: StackFindings) -> str:
    """The page of all heads of a stack in numbers."""
    return part_address(stack.model.id, stack.stack.page("atlas"))


def heads_title(before: str, stack: StackFindings) -> str:
    """A title such as "All heads", or "All encoder heads" where there are several stacks."""
    return " ".join(word for word in (before, stack.stack.adjective, "heads") if word)


def layer_strips(stacks: Sequence[StackFindings], current: Layer | None) -> tuple[Strip, ...]:
    """The layers of each stack that have a page."""
    return tuple(_layers(stack, current) for stack in stacks)


def _layers(stack: StackFindings, current: Layer | None) -> Strip:
    paged = [layer for place, layer in enumerate(stack.layers) if stack.paged(place)]
    links = tuple(layer_link(stack.model, layer) for layer in paged)
    place = next((i for i, layer in enumerate(paged) if layer is current), -1)
    return Strip(stack.stack.title or f"{stack.stack.word.capitalize()}s", links, place)


def head_strip(stack: StackFindings, place: int, current: int) -> Strip:
    """All heads of a layer; `current` is the page's own head or -1."""
    links = tuple(stack.link(place, head) for head in range(stack.heads))
    return Strip(f"Heads of {layer_words(stack, place)}", links, current)


def layer_words(stack: StackFindings, place: int) -> str:
    """A layer in a sentence: layer 3, block 3, encoder.3."""
    return stack.layers[place].name if stack.several else f"{stack.stack.word} {place}"


def below_model(stacks: Sequence[StackFindings]) -> Place:
    """Where a page on all heads of a stack stands."""
    first = model_link(stacks[0].model)
    return Place((home(), first), layer_strips(stacks, None), first)
