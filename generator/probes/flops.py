"""What each layer costs to compute: the floating-point operations of its matrix products.

They are counted as torch.utils.flop_counter counts them: convolutions and products of matrices, attention
among them, with two operations for each multiply-add. Biases, norms and activations are left out. Papers that
state multiply-adds, often called FLOPs too, have half of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from generator.models.dispatch import counted, first_tensor, hooks, tensors_in, watched
from generator.models.load import AnyModel
from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import CROSS, DECODER, ENCODER
from generator.store import Store

VERSION = 1
TOKENS = 64  # of a text, unless the model takes fewer

_ATEN = torch.ops.aten
# What PyTorch attends with on a CPU; its own counter knows the kernels of accelerators only.
_ALIKE = {
    "_scaled_dot_product_flash_attention_for_cpu": _ATEN._scaled_dot_product_flash_attention,
}


@dataclass(frozen=True)
class Flops:
    """Operations of each layer, and of the whole `network`, for one input.

    That is a picture, or a text of `tokens` tokens; of an encoder-decoder two such texts. A block's are those
    of all that it holds; those of a decoder block are without its cross attention.
    """

    layers: dict[str, int]
    network: int
    tokens: int = 0


class _Counter(TorchDispatchMode):
    """Counts the operations of a pass, and of each that has a number (`dispatch.counted`)."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbered: list[int] = []
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        formula = flop_registry.get(_ALIKE.get(packet.__name__, packet))
        cost = int(formula(*args, **(kwargs or {}), out_val=result)) if formula else 0
        self.total += cost
        if first_tensor(result) is not None and counted(func, tensors_in(args)):
            self.numbered.append(cost)
        return result


@contextmanager
def _within(parts: Mapping[str, nn.Module], counter: _Counter) -> Iterator[dict[str, int]]:
    """Within the block, what is counted while each part computes."""
    found, begun = dict.fromkeys(parts, 0), dict[str, int]()

    def enter(name: str, *_: Any) -> None:
        begun[name] = counter.total

    def leave(name: str, *_: Any) -> None:
        found[name] += counter.total - begun[name]

    placed = [each.register_forward_pre_hook(partial(enter, name)) for name, each in parts.items()]
    placed += [each.register_forward_hook(partial(leave, name)) for name, each in parts.items()]
    with hooks(placed):
        yield found


def measure_flops(model: AnyModel, store: Store) -> Flops:
    """The operations of every layer of a model."""
    made = (
        partial(_of_pictures, model)
        if isinstance(model, VisionModel)
        else partial(_of_texts, model)
    )
    return store.result("flops", VERSION, {"model": model.key, "tokens": TOKENS}, Flops, made)


def _of_pictures(model: VisionModel) -> Flops:
    side, counter = model.preprocessing.size, _Counter()
    blocks = {one.name: model.module.get_submodule(one.name) for one in model.layers if one.joins}
    with _within(blocks, counter) as found, watched(counter):
        model.module(torch.zeros(1, 3, side, side, device=model.device))
    own = {one.name: counter.numbered[one.start] for one in model.layers if not one.joins}
    return Flops({one.name: {**own, **found}[one.name] for one in model.layers}, counter.total)


def _of_texts(model: Any) -> Flops:
    """Of a text of made-up tokens: only their number counts."""
    length = min(TOKENS, model.max_tokens)
    ids = tuple(1 + place % (model.vocabulary - 1) for place in range(length))
    counter = _Counter()
    run: Callable[[], Any] = partial(model.run, ids)
    parts = {layer.name: part for layer, part in zip(model.layers, model.blocks, strict=False)}
    if isinstance(model, Seq2SeqModel):
        run, parts = partial(model.run, ids, ids), _parts_of_pair(model)
    with _within(parts, counter) as found, watched(counter):
        run()
    if isinstance(model, Seq2SeqModel):
        pairs = zip(model.stack(DECODER), model.stack(CROSS), strict=True)
        found |= {block.name: found[block.name] - found[across.name] for block, across in pairs}
    return Flops({layer.name: found[layer.name] for layer in model.layers}, counter.total, length)


def _parts_of_pair(model: Seq2SeqModel) -> dict[str, nn.Module]:
    """The blocks, and the modules that attend across."""
    owner = {child: part for part in model.module.modules() for child in part.children()}
    blocks = zip((*model.stack(ENCODER), *model.stack(DECODER)), model.blocks, strict=True)
    across = zip(model.stack(CROSS), model.projections[CROSS.name], strict=True)
    return {
        **{layer.name: block for layer, block in blocks},
        **{layer.name: owner[projection] for layer, projection in across},
    }
