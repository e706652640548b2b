"""Where a layer or a head stands in its network: one small drawing for all its pages, and a mark on it.

The drawing has a column for each block and a row for each layer and head in it. It is one file, which pages
show as a picture; what differs from page to page is where the mark is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

from generator.addresses import Link, model_address
from generator.models.layer import Layer
from generator.models.outline import Node, outline
from generator.run import Run
from generator.techniques import map_colours
from generator.techniques.measured_stack import heads_of

STEP = 6  # from one block to the next
HIGHEST = 72  # px


@dataclass(frozen=True)
class Small:
    """The columns of the small drawing, each with the parts of a block, and how far rows are apart."""

    columns: tuple[tuple[map_colours.Part, ...], ...]
    step: float

    @cached_property
    def places(self) -> dict[map_colours.Part, tuple[int, int]]:
        """The column and the row of each part."""
        columns = enumerate(self.columns)
        return {part: (x, y) for x, column in columns for y, part in enumerate(column)}

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px."""
        return STEP * len(self.columns), round(self.step * max(map(len, self.columns)))


@dataclass(frozen=True)
class Here:
    """The small drawing with the mark of a page on it: in percent of its width and height."""

    link: Link
    source: str
    width: int
    height: int
    left: float
    top: float
    wide: float
    high: float
    alt: str


def small_map(run: Run) -> Small:
    """The small drawing of a model."""
    return run.once("small map", partial(_small, run))


def _small(run: Run) -> Small:
    with_heads = {layer.name for stack in heads_of(run.model) for layer in stack.layers}
    nodes = [node for fold in outline(run.model) for node in fold.nodes]
    columns = tuple(tuple(_parts(node, with_heads)) for node in nodes)
    return Small(columns, min(STEP, HIGHEST / max(map(len, columns))))


def _parts(node: Node, with_heads: set[str]) -> Iterator[map_colours.Part]:
    yield node.name
    for layer in (*node.parts, *([node.layer] if node.layer else [])):
        if layer is not node.layer:
            yield layer.name
        if layer.name in with_heads:
            yield from ((layer.name, head) for head in range(layer.heads))


def map_file(run: Run) -> Iterator[tuple[str, str]]:
    """The drawing as a file: boxes in a grey that is seen on paper and on slate."""
    small = small_map(run)
    width, height = small.size
    side, tall = STEP - 1, small.step - min(1, small.step / 4)
    paths = "".join(
        f"M{STEP * x} {small.step * y:.4g}h{side}v{tall:.4g}h-{side}z"
        for x, column in enumerate(small.columns)
        for y in range(len(column))
    )
    yield (
        _address(run),
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><path fill="#8a8a8a" d="{paths}"/></svg>\n',
    )


def _address(run: Run) -> str:
    return f"{run.folder}/map.svg"


def here(run: Run, layer: Layer, head: int | None = None) -> Here:
    """Where a layer stands, or a head of it."""
    small, part = small_map(run), layer.name if head is None else (layer.name, head)
    x, y = small.places[part]
    width, height = small.size
    return Here(
        Link(f"{model_address(run.model.id)}#architecture", "Map of the network"),
        _address(run),
        width,
        height,
        100 * STEP * x / width,
        100 * small.step * y / height,
        100 * (STEP - 1) / width,
        100 * small.step / height,
        f"Map of the network: this is in column {x + 1} of {len(small.columns)}",
    )
