"""The map of a network laid out: a row for each fold of its outline, with a box for each block.

All boxes are links, and each layer and head has one. The layers and heads within the blocks of a fold stand
in a part below its row, one column a block, which is closed at first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from generator.addresses import layer_address
from generator.figures.streams import GAP, LANE, Lines, lanes_of, lines, path, through
from generator.models.layer import Layer
from generator.models.outline import END, OUTSIDE, Fold, Node, outline
from generator.run import Run
from generator.techniques.links import layer_title, paged_layers
from generator.techniques.map_colours import Colouring, Part
from generator.techniques.map_words import (
    ends,
    fold_does,
    fold_name,
    inner_name,
    makes,
    operation,
    shortened,
)
from generator.techniques.measured_stack import StackHeads, heads_of

BOX, BETWEEN = 18, 3  # the side of a box, and the gap to the next
HEAD = 11
WIDEST, NARROWEST = 760, 9  # of all boxes of a row, and of one
MOST_HEADS = 2500  # more would make a page of megabytes
_LETTER, _SMALL = 6.6, 5.9  # the width of a letter in a name, and in what stands beside it


@dataclass(frozen=True)
class Box:
    """A link to the page of a layer or a head, or neither where it has none; `classes` are its colours.

    `mark` is the letter of its kind, where a colouring has kinds.
    """

    x: float
    y: float
    width: float
    height: float
    target: str
    title: str
    classes: str
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """A row of boxes with its words: a name, what is computed, and the shape of what comes out."""

    y: float
    name: str
    does: str
    makes: str
    boxes: tuple[Box, ...]
    small: bool = False


@dataclass(frozen=True)
class Row:
    """A fold: its line, the wires around it, and what opens below.

    `height` is that of the closed row, `opens` what is added to it, 0 where nothing opens. `path` are the
    wires that are always drawn, `more` those of an open row, `closed` those of a closed one.
    """

    y: float
    height: float
    opens: float
    times: int
    path: str
    more: str
    closed: str
    line: Line
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Map:
    """The drawing of a model: rows from top to bottom, and the wires to what comes out below, `last`.

    `words` and `shapes` are where the columns of text begin, `ends` what goes in and what comes out.
    `unknown` are the names of what no wire was found to, `unlinked` counts layers without a page.
    """

    rows: tuple[Row, ...]
    last: str
    width: float
    height: float
    middle: float
    words: float
    shapes: float
    ends: tuple[str, str]
    unknown: tuple[str, ...]
    unlinked: int


@dataclass(frozen=True)
class _Paper:
    """Where things stand from left to right, and what boxes look like."""

    run: Run
    colours: Sequence[Colouring]
    heads: Mapping[str, StackHeads]
    width: float
    left: float
    words: float
    pages: frozenset[str]

    @property
    def middle(self) -> float:
        return self.left + self.width / 2

    def row(
        self, layers: Sequence[Layer | None], y: float, height: float, head: int | None = None
    ) -> tuple[Box, ...]:
        """A box for each block's layer, or for a head of it."""
        step = self.width + BETWEEN
        return tuple(
            self._box(layer, self.left + at * step, y, height, head)
            for at, layer in enumerate(layers)
            if layer is not None
        )

    def _box(self, layer: Layer, x: float, y: float, height: float, head: int | None) -> Box:
        part: Part = layer.name if head is None else (layer.name, head)
        name, target = layer_title(self.run.model, layer), ""
        if layer.name in self.pages:
            target = layer_address(self.run.model.id, layer.name)
        if head is not None:
            stack = self.heads[layer.name]
            link = stack.link(stack.place_of(layer), head)
            name, target = link.text, link.target
        said = [one.words[part] for one in self.colours if part in one.words]
        classes = " ".join(
            f"{one.letter}{one.steps[part]}" for one in self.colours if part in one.steps
        )
        title = f"{name}: {', '.join(said)}" if said else name
        marked = (
            one.marks[one.steps[part]] for one in self.colours if one.marks and part in one.steps
        )
        return Box(x, y, self.width, height, target, title, classes, next(marked, ""))


def draw_map(run: Run, colours: Sequence[Colouring]) -> Map:
    """The map of a model, coloured by what was measured of it."""
    folds = outline(run.model)
    read = {one for fold in folds for one in fold.reads}
    unread = [number for number in range(len(folds)) if number not in read]
    *outer, last = lines([*(fold.reads for fold in folds), unread])
    inner = [lines(_reads_within(fold.nodes[-1])) for fold in folds]
    lanes = max(lanes_of([*outer, last]), *(lanes_of(one) for one in inner))
    paper = _paper(run, colours, folds, lanes)
    made = [_row(paper, *each) for each in zip(folds, outer, inner, strict=True)]
    tops = list(accumulate((row.height for row in made), initial=30.0))
    rows = tuple(replace(row, y=top) for row, top in zip(made, tops, strict=False))
    every = [line for row in rows for line in (row.line, *row.lines)]
    shapes = paper.words + max(len(line.does) for line in every) * _SMALL + 14
    width = shapes + max(len(line.makes) for line in every) * _SMALL + 12
    return Map(
        rows=rows,
        last=path(last, tops[-1], 0, tops[-1] + GAP, paper.middle, paper.left),
        width=width,
        height=tops[-1] + GAP + 20,
        middle=paper.middle,
        words=paper.words,
        shapes=shapes,
        ends=ends(run),
        unknown=tuple(fold.nodes[0].name for fold in folds if not fold.reads),
        unlinked=sum(layer.name not in paper.pages for layer in run.model.layers),
    )


def _paper(run: Run, colours: Sequence[Colouring], folds: Sequence[Fold], lanes: int) -> _Paper:
    """Room for the longest name, for the lanes, and for the most boxes in a row."""
    stacks = {layer.name: one for one in heads_of(run.model) for layer in one.layers}
    if sum(layer.heads for layer in run.model.layers if layer.name in stacks) > MOST_HEADS:
        stacks = {}
    most = max(len(fold.nodes) for fold in folds)
    width = max(NARROWEST, min(BOX, WIDEST / most - BETWEEN))
    times = max(len(f" × {len(fold.nodes)}") if len(fold.nodes) > 1 else 0 for fold in folds)
    outer = [len(shortened(fold_name(run, fold))) + times for fold in folds]
    parts = [
        len(shortened(inner_name(one, fold.nodes[0]))) + 2
        for fold in folds
        for one in fold.nodes[0].parts
    ]
    left = 24 + max([*outer, *parts]) * _LETTER + LANE * (lanes + 1)
    pages = frozenset(layer.name for layer in paged_layers(run.model))
    return _Paper(run, colours, stacks, width, left, left + most * (width + BETWEEN) + 12, pages)


def _row(paper: _Paper, fold: Fold, around: Lines, inner: tuple[Lines, ...]) -> Row:
    own, height = [node.layer for node in fold.nodes], GAP + BOX
    boxes = paper.row(own, GAP, BOX)
    if not any(own):  # blocks that are no layer are drawn, and lead nowhere
        boxes = tuple(
            Box(paper.left + at * (paper.width + BETWEEN), GAP, paper.width, BOX, "", "", "none")
            for at in range(len(own))
        )
    shape = makes(paper.run, own[-1] or fold.nodes[-1].parts[-1])
    name = shortened(fold_name(paper.run, fold))
    within, wires, bottom = _within(paper, fold, inner, height)
    return Row(
        y=0,
        height=height,
        opens=bottom - height if within else 0,
        times=len(own),
        path=path(around, 0, BOX, height, paper.middle, paper.left),
        more=f"{wires}{through(around, height, bottom, paper.left)}" if within else "",
        closed=_closed(paper, fold, height),
        line=Line(GAP, name, fold_does(fold), shape, boxes),
        lines=within,
    )


def _closed(paper: _Paper, fold: Fold, height: float) -> str:
    """What is drawn of a closed row alone: from block to block, back to the stream, and a shortcut."""
    found, middle, left = "", paper.middle, paper.left
    if len(fold.nodes) > 1:
        end = middle + (len(fold.nodes) - 1) * (paper.width + BETWEEN)
        found = f"M{middle:g} {GAP + BOX / 2:g}H{end:g}V{height + 4:g}H{middle:g}"
    elif (OUTSIDE, END) in fold.nodes[0].wires and fold.nodes[0].parts:
        found = f"M{middle:g} 3H{left:g}q-5 0 -5 5V{height - 1:g}q0 5 5 5H{middle:g}"
    return found


def _within(
    paper: _Paper, fold: Fold, inner: tuple[Lines, ...], top: float
) -> tuple[tuple[Line, ...], str, float]:
    """The lines within a fold, their wires, and where they end."""
    found: list[Line] = []
    wires, y, first = "", top, fold.nodes[0]
    for place, part in enumerate(first.parts):
        columns = [node.parts[place] for node in fold.nodes]
        start = y
        name = shortened(inner_name(part, first))
        found.append(
            Line(
                y + GAP,
                name,
                operation(part),
                makes(paper.run, part),
                paper.row(columns, y + GAP, BOX),
            )
        )
        heads = list(_heads(paper, columns, y + GAP + BOX))
        found += heads
        y += GAP + BOX + len(heads) * (HEAD + 2) + (4 if heads else 0)
        wires += path(inner[place], start, BOX, y, paper.middle, paper.left)
    if first.parts:
        wires += path(inner[-1], y, 0, y + GAP, paper.middle, paper.left)
        y += GAP
    heads = list(_heads(paper, [node.layer for node in fold.nodes], y))
    y += len(heads) * (HEAD + 2) + (4 if heads else 0)
    wires += f"M{paper.middle:g} {y:g}v6" if first.parts else ""
    return (*found, *heads), wires, y + 6


def _heads(paper: _Paper, layers: Sequence[Layer | None], top: float) -> Iterator[Line]:
    """A line for each head of the layers of a fold."""
    known = [layer for layer in layers if layer is not None and layer.name in paper.heads]
    if not known:
        return
    stack = paper.heads[known[0].name]
    for head in range(stack.heads):
        y = top + 4 + head * (HEAD + 2)
        does = f"{stack.heads} heads side by side" if head == 0 else ""
        yield Line(y, f"H{head}", does, "", paper.row(known, y, HEAD, head), small=True)


def _reads_within(node: Node) -> list[list[int]]:
    """What each part of a block reads, and at the end what its response does."""
    found: list[list[int]] = [[] for _ in (*node.parts, END)]
    for source, to in node.wires:
        found[to if to != END else -1].append(source if source != OUTSIDE else -1)
    if not node.layer and node.parts:  # what such a block hands on was not read
        found[-1].append(len(node.parts) - 1)
    return found
