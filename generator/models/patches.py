"""Where a vision transformer's attention can be read, and which token stands for which patch.

A library may compute attention in one fused step that shows no weights. PyTorch's plain kernel computes
the same product, softmax and sum one by one, so that each softmax stands in the trace, whatever library
built the network. Nothing about its layout is taken on trust: each corner patch is changed, and the
token whose scores move has to be the one that stands there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from generator.errors import CutawayError
from generator.models.dispatch import Enough, Point, device_of, listen
from generator.models.softmaxes import between_tokens, product_of
from generator.models.trace import Operation, Trace, trace

# What libraries call the tokens that stand before the patches, in the order in which they put them.
_SPECIAL = (
    ("class", ("cls_token", "class_token", "class_embedding")),
    ("distillation", ("dist_token", "distillation_token")),
    ("register", ("reg_token", "register_tokens", "storage_tokens")),
)


@dataclass(frozen=True)
class PatchGrid:
    """The picture in patches, row by row behind the tokens that stand for none.

    `height` and `width` are those of a patch in pixels. `special` names the tokens before the first
    patch: "class", "distillation", "register 0", ...
    """

    rows: int
    columns: int
    height: int
    width: int
    special: tuple[str, ...]

    @property
    def patches(self) -> int:
        """How many patches there are."""
        return self.rows * self.columns

    @property
    def tokens(self) -> int:
        """How many tokens there are, special ones included."""
        return len(self.special) + self.patches

    def box(self, patch: int) -> tuple[int, int, int, int]:
        """Left, top, width and height in pixels of a patch, counted row by row."""
        row, column = divmod(patch, self.columns)
        return column * self.width, row * self.height, self.width, self.height

    @property
    def readers(self) -> tuple[str, ...]:
        """The tokens that an answer is usually read from; without any, the mean of all patches."""
        named = tuple(name for name in self.special if not name.startswith("register"))
        return named or (AVERAGE,)


AVERAGE = "average patch"


@dataclass(frozen=True)
class VisionAttention:
    """The attention of a vision transformer: a softmax in each of its blocks, in order.

    `blocks` are the names of the modules; `operations` where to listen for the softmaxes, (1, heads, tokens,
    tokens), in a pass with `unfused` attention, `values` and `mixed` for what these weights are multiplied
    with and for the products, each (heads, tokens, head width).
    """

    blocks: tuple[str, ...]
    operations: tuple[Point, ...]
    values: tuple[Point, ...]
    mixed: tuple[Point, ...]
    heads: int
    grid: PatchGrid


@contextmanager
def unfused() -> Iterator[None]:
    """Within the block, traced or listened to, attention is computed step by step in every library."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def read_weights(
    module: nn.Module,
    attention: VisionAttention,
    batch: Tensor,
    take: Callable[[int, Tensor], None],
) -> None:
    """Run one picture (1, 3, H, W); hand `take` each block's number and weights (heads, tokens, tokens).

    Row i holds what token i looks at, and sums to 1. The tensor is live: copy or reduce it at once. Raises
    CutawayError if the network computes something else now than when it was read.
    """
    points = dict(zip(attention.blocks, attention.operations, strict=True))
    number = {name: block for block, name in enumerate(attention.blocks)}

    def hand(name: str, weights: Tensor) -> None:
        take(number[name], weights[0])

    with unfused(), listen(points, hand):
        module(batch)


def attends(traced: Trace) -> bool:
    """Whether a network computes any attention, fused or not."""
    return any(word in op.name for op in traced.operations for word in ("softmax", "attention"))


def find_attention(module: nn.Module, size: int) -> VisionAttention | None:
    """The attention of a network that takes pictures of `size` x `size` pixels; None if it has none.

    Raises CutawayError with the reason where its attention cannot be laid over a picture.
    """
    with unfused():
        traced = trace(module, torch.zeros(1, 3, size, size, device=device_of(module)))
    square = between_tokens(traced)
    if not square:
        return None
    tokens, heads = square[0].shape[-1], square[0].shape[1]
    products = [product_of(traced, each) for each in square]
    blocks = _blocks(module, traced, square)
    grid = _grid(module, traced, square[0], size, tokens)
    _check_places(module, traced, square[0], grid, size)
    producers = traced.producers()
    return VisionAttention(
        blocks,
        tuple(each.point for each in square),
        tuple(producers[each.inputs[1]].point for each in products),
        tuple(each.point for each in products),
        heads,
        grid,
    )


def _blocks(module: nn.Module, traced: Trace, square: Sequence[Operation]) -> tuple[str, ...]:
    """The member of a list of modules that each softmax stands in, and no other does."""
    places = [each.module for each in square]
    shapes = {operation.output: operation.shape for operation in traced.operations}
    names = []
    for place in places:
        parts = place.split(".")
        above = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        alone = [
            name
            for name in above
            if _listed(module, name) and sum(_within(other, name) for other in places) == 1
        ]
        if not alone:
            raise CutawayError(f"its blocks cannot be told apart ({place} computes several)")
        returned = traced.module_values.get(alone[0], ())
        made = [shapes.get(value, ()) for value in returned]
        if len(made) != 1 or made[0][:1] != (1,) or made[0][1:-1] != square[0].shape[-1:]:
            raise CutawayError(
                f"{alone[0]} returns {' and '.join(map(str, made)) or 'nothing'}, and not a row of "
                f"{square[0].shape[-1]} vectors, one for each token"
            )
        names.append(alone[0])
    return tuple(names)


def _listed(module: nn.Module, name: str) -> bool:
    """Whether a module is a member of a list, or is called as all beside it are, but for a number."""
    parent = module.get_submodule(name.rpartition(".")[0])
    if isinstance(parent, nn.ModuleList | nn.Sequential):
        return True
    beside = [one for one, _ in parent.named_children()]
    numbered = all(one[-1].isdigit() for one in beside)
    return numbered and len({one.rstrip("0123456789") for one in beside}) == 1 < len(beside)


def _within(name: str, block: str) -> bool:
    return name == block or name.startswith(f"{block}.")


def _grid(module: nn.Module, traced: Trace, first: Operation, size: int, tokens: int) -> PatchGrid:
    """The grid that the one convolution before the first attention cuts the picture into."""
    before = [
        operation
        for operation in traced.operations[: first.index]
        if operation.name == "convolution" and len(operation.shape) == 4
    ]
    if len(before) != 1 or before[0].input_shapes[0][-2:] != (size, size):
        raise CutawayError(
            f"its tokens come out of {len(before)} convolutions, not of one that cuts patches"
        )
    rows, columns = before[0].shape[-2:]
    height, width = (int(step) for step in before[0].arguments[3])
    return PatchGrid(rows, columns, height, width, _special(module, tokens - rows * columns))


def _special(module: nn.Module, count: int) -> tuple[str, ...]:
    """The names of the `count` tokens that stand for no patch."""
    found: list[str] = []
    parameters = list(module.named_parameters())
    for kind, names in _SPECIAL:
        for name, values in parameters:
            if name.rpartition(".")[2] in names:
                several = values.numel() // values.shape[-1]
                plain = kind != "register"
                found += [kind if plain else f"{kind} {i}" for i in range(several)]
    if len(found) != count:
        known = ", ".join(found) or "none"
        raise CutawayError(
            f"beside the patches its blocks hold {count} tokens, and those known by name are: {known}"
        )
    return tuple(found)


def _check_places(
    module: nn.Module, traced: Trace, first: Operation, grid: PatchGrid, size: int
) -> None:
    """Change one patch at a time: the scores of its token, and of no other, must move."""
    place = traced.producers()[first.inputs[0]].point
    random = torch.Generator().manual_seed(0)
    pictures = torch.randn(2, 3, size, size, generator=random).to(device_of(module))
    picture, other = pictures[:1], pictures[1:]
    before = _scores(module, picture, place)
    corners = {(row, column) for row in (0, grid.rows - 1) for column in (0, grid.columns - 1)}
    for row, column in sorted(corners | {(0, grid.columns // 2), (grid.rows // 2, 0)}):
        down = slice(row * grid.height, (row + 1) * grid.height)
        across = slice(column * grid.width, (column + 1) * grid.width)
        changed = picture.clone()
        changed[..., down, across] = other[..., down, across]
        difference = (_scores(module, changed, place) - before).abs().amax(0)
        moved = difference > 1e-3 * difference.max()
        # As a query a changed token moves its own row of scores, as a key its own column.
        token = len(grid.special) + row * grid.columns + column
        anywhere = bool(moved.any())
        moved[token], moved[:, token] = False, False
        if not anywhere or bool(moved.any()):
            raise CutawayError(
                f"the patch in row {row}, column {column} does not reach one token alone: its tokens "
                "stand for no patches in rows"
            )


def _scores(module: nn.Module, picture: Tensor, place: Point) -> Tensor:
    """What one softmax is given, (heads, tokens, tokens); the pass ends there."""
    found: list[Tensor] = []

    def take(_name: str, scores: Tensor) -> None:
        found.append(scores[0].clone())
        raise Enough

    with suppress(Enough), unfused(), listen({"scores": place}, take):
        module(picture)
    return found[0]
