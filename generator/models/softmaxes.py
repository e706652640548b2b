"""The softmaxes of a network: which are attention between all tokens, and what the others are."""

from __future__ import annotations

import math

from generator.errors import CutawayError
from generator.models.trace import Operation, Trace

_SOFTMAX = {"_softmax", "_safe_softmax"}
# What may lie between a softmax and the product with the values.
_UNCHANGED = {"expand", "view", "_unsafe_view", "clone", "native_dropout", "_to_copy"}
_STEPS = 6
_PRODUCTS = {"bmm", "baddbmm", "mul"}
# Scores are computed behind the last of these.
_LAYERS = {"convolution", "mm", "addmm", "native_batch_norm", "native_layer_norm"}


def between_tokens(traced: Trace) -> list[Operation]:
    """The softmaxes between all tokens, (1, heads, tokens, tokens), the same ones in every block.

    One that pools the tokens may follow. Empty if the network has none. Raises CutawayError with the reason
    where its attention is of another kind.
    """
    found = [operation for operation in traced.operations if _weighs(operation)]
    if not found:
        return []
    square = [each for each in found if each.shape[-1] == each.shape[-2]]
    last = square[-1].index if square else -1
    for each in found:
        if each.index > last and square and each.shape[-2] == 1:
            continue  # one query of its own, which pools what the blocks made
        _refuse_other_kinds(traced, each, alone=not square)
    if len({each.shape for each in square}) > 1:
        counts = ", ".join(str(each.shape[-1]) for each in (square[0], square[-1]))
        heads = ", ".join(str(each.shape[1]) for each in (square[0], square[-1]))
        raise CutawayError(
            f"its tokens or heads change from block to block (from the first to the last: {counts} "
            f"tokens, {heads} heads)"
        )
    return square


def _weighs(operation: Operation) -> bool:
    """Whether an operation is a softmax over keys."""
    if operation.name not in _SOFTMAX or len(operation.shape) < 3 or operation.shape[-1] < 2:
        return False
    return operation.depends[0] and operation.arguments[1] in (-1, len(operation.shape) - 1)


def _refuse_other_kinds(traced: Trace, softmax: Operation, *, alone: bool) -> None:
    """Raise CutawayError, saying what it is, for a softmax that is not between all tokens."""
    shape, place = softmax.shape, softmax.module
    queries, keys = shape[-2:]
    if queries == keys and _over_channels(traced, softmax):
        raise CutawayError(
            f"it attends over the {keys} channels of each head and not over the picture ({place})"
        )
    if queries == 1 and alone:
        raise CutawayError(
            f"its attention weighs {keys} positions once for the whole picture ({place}), and not from "
            "each token"
        )
    if len(shape) == 3 and queries == keys:
        raise CutawayError(
            f"heads and parts of the picture stand on one axis of its attention ({place}, {shape}): they "
            "cannot be told apart"
        )
    if queries == keys and shape[:-3] != (1,):
        parts = f"{shape[0]} groups" if len(shape) == 4 else "groups"
        raise CutawayError(
            f"its attention runs inside {parts} of {keys} tokens, windows or the like ({place}): no map of "
            "a head covers the picture"
        )
    if queries != keys and not _compares(traced, softmax):
        raise CutawayError(
            f"its attention weighs {keys} positions {queries} times over, by what stands at each alone "
            f"({place}), and not from each token"
        )
    if queries != keys:
        raise CutawayError(
            f"queries and keys differ in number, {queries} and {keys} ({place}): they do not stand for the "
            "same parts of the picture"
        )


def _compares(traced: Trace, softmax: Operation) -> bool:
    """Whether the scores of a softmax come out of a product of two tensors, as of queries with keys."""
    producers, waiting = traced.producers(), [softmax]
    known = {softmax.index}
    while waiting:
        current = waiting.pop()
        if sum(current.depends) > 1 and current.name in _PRODUCTS:
            return True
        if current.name in _LAYERS:
            continue
        inputs = zip(current.inputs, current.depends, strict=True)
        above = [producers[value] for value, seen in inputs if seen and value in producers]
        waiting += [each for each in above if each.index not in known]
        known |= {each.index for each in above}
    return False


def _over_channels(traced: Trace, softmax: Operation) -> bool:
    """Whether the keys of a softmax are channels: heads times keys is the width of what comes in.

    What comes in is the input of the nearest module around it that is not given the scores themselves.
    """
    keys, shapes = softmax.shape[-1], {op.output: op.shape for op in traced.operations}
    parts = softmax.module.split(".")
    for end in range(len(parts), 0, -1):
        for value in traced.module_inputs.get(".".join(parts[:end]), ()):
            given = shapes.get(value, ())
            if len(given) not in (3, 4) or given[-2:] == softmax.shape[-2:]:
                continue
            sides = [(given[1], given[2])] if len(given) == 3 else _maps(given)
            tokens = {positions for positions, _ in sides}
            return keys not in tokens and softmax.shape[-3] * keys in {width for _, width in sides}
    return False


def _maps(given: tuple[int, ...]) -> list[tuple[int, int]]:
    """Positions and width of a map with its channels first, and last."""
    return [(math.prod(given[2:]), given[1]), (math.prod(given[1:3]), given[3])]


def product_of(traced: Trace, softmax: Operation) -> Operation:
    """The product of the weights of a softmax with the values."""
    consumers, current = traced.consumers(), softmax
    for _ in range(_STEPS):
        readers = consumers.get(current.output, [])
        if len(readers) != 1:
            break
        current = readers[0]
        if current.name == "bmm" and current.input_shapes[0][-2:] == softmax.shape[-2:]:
            return current
        if current.name not in _UNCHANGED or current.shape[-2:] != softmax.shape[-2:]:
            break
    raise CutawayError(
        f"what leaves the softmax of {softmax.module} is changed before values are weighed with it: the "
        "weights are not those that the network uses"
    )
