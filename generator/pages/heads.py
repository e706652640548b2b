"""The pages of attention heads: where each looks, and how it stands among all heads of its stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from generator.addresses import Link, head_address
from generator.findings import StackFindings
from generator.models.stacks import PATCHES
from generator.models.tokens import window_text
from generator.pages.circuit_views import CircuitView
from generator.pages.context import Place, around, home, layer_link, model_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.roles import Badge, badge
from generator.pages.stack_views import head_strip, layer_strips
from generator.pages.standings import Order, Standing, order_heads, standings


@dataclass(frozen=True)
class HeadMaps:
    """Where a head looks, one item for each text or picture, shown by a `template`."""

    template: str
    items: tuple[Any, ...]
    data: Any = None


@dataclass(frozen=True)
class HeadKind:
    """What the pages of the heads of a stack have that others' do not.

    `maps` shows where a head (layer, head) looks, `circuits` what its weights tell, if that is known.
    `inputs` says in a sentence where it was seen; `left_out` which methods have no meaning here.
    """

    maps: Callable[[int, int], HeadMaps]
    inputs: str
    tables: tuple[str, ...]
    circuits: Callable[[int, int], CircuitView] | None = None
    left_out: str = ""


@dataclass(frozen=True)
class HeadRow:
    """A head in the table of its layer."""

    link: Link
    group: int
    standings: tuple[Standing, ...]
    badge: Badge | None


def head_rows(stack: StackFindings, place: int, order: Order) -> list[HeadRow]:
    """All heads of a layer."""
    return [
        HeadRow(
            stack.link(place, head),
            stack.group(head),
            tuple(standings(stack, order, place, head)),
            badge(stack, place, head),
        )
        for head in range(stack.heads)
    ]


def head_pages(
    stacks: tuple[StackFindings, ...],
    stack: StackFindings,
    place: int,
    kind: HeadKind,
    pages: Pages,
) -> Iterator[Page]:
    """The pages of all heads of a layer of a `stack`, which is one of `stacks`."""
    order, links = order_heads(stack), stack.links
    for head in range(stack.heads):
        yield _page(stacks, stack, (place, head), kind, order, links, pages)


def _page(
    stacks: tuple[StackFindings, ...],
    stack: StackFindings,
    at: tuple[int, int],
    kind: HeadKind,
    order: Order,
    links: list[Link],
    pages: Pages,
) -> Page:
    model, (place, head), name = stack.model, at, stack.head(*at)
    layer = stack.layers[place]
    before, after = around(links, next(i for i, link in enumerate(links) if link.text == name))
    group = stack.group(head)
    among = "the " if stack.several else ""
    return pages.page(
        "head.html",
        head_address(model.id, layer.name, head),
        f"{name} · {model.title}",
        f"Attention head {name} of {model.title}: {kind.inputs} and its statistics, ranked among "
        f"{among}{stack.count} heads{' of its kind' if stack.several else ''}.",
        searchable=False,
        lean=True,
        model=model,
        stack=stack,
        name=name,
        head=head,
        layer=layer,
        number=place,
        place=Place(
            (home(), model_link(model), layer_link(model, layer)),
            (*layer_strips(stacks, layer), head_strip(stack, place, head)),
            before,
            after,
        ),
        maps=kind.maps(*at),
        sees=window_text(layer.window, stack.causal),
        group=group if stack.kv_groups < stack.heads else None,
        siblings=[
            stack.link(place, other)
            for other in range(stack.heads)
            if other != head and stack.group(other) == group
        ],
        standings=standings(stack, order, *at),
        keys="tokens" if stack.stack is PATCHES else "visible keys",
        whose=whose(stack),
        badge=badge(stack, *at),
        alike=_alike(stack, *at),
        circuits=kind.circuits(*at) if kind.circuits else None,
        left_out=kind.left_out,
        tables=kind.tables,
    )


def whose(stack: StackFindings) -> str:
    """Among which heads one is ranked."""
    return "heads of this stack" if stack.several else "heads of the model"


def _alike(stack: StackFindings, layer: int, head: int) -> list[tuple[Link, float]]:
    """The heads whose maps resemble this one's most, with the correlation."""
    likeness = stack.likeness
    if likeness is None:
        return []
    pairs = zip(likeness.others[layer, head], likeness.correlation[layer, head], strict=True)
    return [
        (stack.link(int(one), int(other)), float(value))
        for (one, other), value in pairs
        if np.isfinite(value)
    ]
