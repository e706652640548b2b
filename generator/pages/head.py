"""The pages of attention heads: where each looks, and how it stands among all heads of its stack."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from generator.addresses import head_address
from generator.models.layer import Layer
from generator.pages.context import Place, around, head_strip, home, inputs_text, layer_strips
from generator.pages.environment import Pages
from generator.pages.page import Page, there
from generator.pages.sections import sections_of, tables_below
from generator.run import Run
from generator.techniques.heads import measured
from generator.techniques.links import layer_link, model_link
from generator.techniques.map_here import here
from generator.techniques.measured_stack import StackHeads, stack_of
from generator.techniques.roles import badge


def head_pages(run: Run, layer: Layer, pages: Pages) -> Iterator[Page]:
    """The pages of all heads of a layer."""
    stack = stack_of(run.model, layer)
    for head in range(stack.heads):
        yield from there(partial(_page, run, stack, stack.place_of(layer), head, pages))


def _page(run: Run, heads: StackHeads, place: int, head: int, pages: Pages) -> Page:
    stack = measured(run, heads)
    model, layer, name = run.model, stack.layers[place], stack.head(place, head)
    links, group = run.once(("links", stack.stack), lambda: stack.links), stack.group(head)
    before, after = around(links, [link.text for link in links].index(name))
    among = f"the {stack.count} heads of its kind" if stack.several else f"{stack.count} heads"
    return pages.page(
        "head.html",
        head_address(model.id, layer.name, head),
        f"{name} · {model.title}",
        f"Attention head {name} of {model.title}: where it looks in {inputs_text(run)} and its statistics, "
        f"ranked among {among}.",
        searchable=False,
        model=model,
        stack=stack,
        name=name,
        head=head,
        layer=layer,
        number=place,
        place=Place(
            (home(), model_link(model), layer_link(model, layer)),
            (*layer_strips(run, layer), head_strip(stack, place, head)),
            before,
            after,
            here(run, layer, head),
        ),
        group=group if stack.kv_groups < stack.heads else None,
        siblings=[
            stack.link(place, other)
            for other in range(stack.heads)
            if other != head and stack.group(other) == group
        ],
        badge=badge(stack, place, head),
        sections=sections_of(run, "head", stack, place, head),
        tables=tables_below(run, "head"),
    )
