"""Sites of a transformer's layers: where its stream is, and what attention and MLPs read and write.

A site is what enters a module, or what leaves it, (batch, tokens, width). It can be read, and something
else can be put there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from generator.errors import CutawayError, UsageError
from generator.models.dispatch import Enough, hooks
from generator.models.heads_access import find_heads
from generator.models.stream import norm_of, rows_of, watched
from generator.models.text_model import LanguageModel
from generator.models.trial import CLOSE, MLPS, apart
from generator.models.writers import behind

STREAM, ENTERING, ATTENTION, MLP, MLP_IN = SITES = (
    "stream",
    "entering",
    "attention",
    "mlp",
    "mlp_in",
)
WORDS: Mapping[str, str] = {
    STREAM: "the stream that leaves layer {}",
    ENTERING: "the stream that enters layer {}",
    ATTENTION: "what attention writes in layer {}",
    MLP: "what the MLP writes in layer {}",
    MLP_IN: "what the MLP of layer {} reads",
}


@dataclass(frozen=True, eq=False)
class LayerSite:
    """What enters a module, or what leaves it."""

    module: nn.Module
    enters: bool


def on(module: nn.Module, enters: bool, act: Callable[[Tensor], Tensor]) -> Any:
    """A hook that puts in the place of what enters, or leaves, a module what `act` makes of it; a handle."""

    def before(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if args:
            return (act(args[0]), *args[1:]), named
        return args, {**named, "hidden_states": act(named["hidden_states"])}

    def after(_: nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (act(output[0]), *output[1:])
        return act(output)

    if enters:
        return module.register_forward_pre_hook(before, with_kwargs=True)
    return module.register_forward_hook(after)


def find_site(model: LanguageModel, site: str, layer: int) -> LayerSite:
    """Where a site of a layer is. Raises UsageError for one that is not there, or cannot be read.

    What attention and the MLP write is what they add to the stream, behind a norm of their own where one
    stands there (Gemma 2, OLMo 2); in an encoder whose norms follow the sums, what is added before the norm.
    """
    if not 0 <= layer < len(model.blocks):
        last = len(model.blocks) - 1
        raise UsageError(
            f"{model.id} has no layer {layer}; its layers are 0 to {last}.",
        )
    if site in (STREAM, ENTERING):
        return LayerSite(model.blocks[layer], site == ENTERING)
    try:
        if site == MLP_IN:
            return _mlp_in(model, layer)
        attention, mlp = _writers(model, layer)
    except CutawayError as error:
        where = WORDS[site].format(layer)
        reason = str(error).removeprefix(f"{model.id}: ")
        raise UsageError(f"{model.id}: {where} cannot be read: {reason}") from error
    return LayerSite(attention if site == ATTENTION else mlp, False)


def is_module(model: LanguageModel, name: str, site: str, layer: int) -> bool:
    """Whether a site is what enters, or leaves, the module of a name or of its end, such as layers.5.mlp."""
    seen, found = watched(model), find_site(model, site, layer)
    kind = seen.inputs if found.enters else seen.outputs
    named = [
        part
        for own, part in model.module.named_modules()
        if f".{own}".endswith(f".{name}") and part in kind
    ]
    return any(apart(rows_of(kind[part]), rows_of(kind[found.module])) == 0 for part in named)


def ends_in_norm(model: LanguageModel, layer: int) -> bool:
    """Whether a norm ends the layer (BERT), so that the stream that leaves it is not a sum."""
    seen, block = watched(model), model.blocks[layer]
    made = seen.outputs[block]
    return any(
        apart(seen.outputs[part], made) == 0
        and norm_of(part, made.shape[-1], model.device) is not None
        for part in block.modules()
        if part is not block and part in seen.outputs
    )


def read(
    model: LanguageModel, sites: Sequence[LayerSite], ids: Sequence[int]
) -> tuple[Tensor, ...]:
    """What is at some sites in a pass over one sequence, (tokens, width) each.

    The pass ends behind the last of them.
    """
    found: dict[int, Tensor] = {}

    def keep(number: int, passing: Tensor) -> Tensor:
        found[number] = rows_of(passing.detach()).clone()
        if len(found) == len(sites):
            raise Enough
        return passing

    placed = (
        on(site.module, site.enters, partial(keep, number)) for number, site in enumerate(sites)
    )
    with hooks(placed), suppress(Enough):
        model.run(tuple(ids))
    if len(found) < len(sites):
        raise CutawayError(f"{model.id}: a site was not computed for this text.")
    return tuple(found[number] for number in range(len(sites)))


def _writers(model: LanguageModel, layer: int) -> tuple[nn.Module, nn.Module]:
    """The modules whose outputs are what attention and the MLP of a layer add to the stream."""
    ends = _mlp_end(model, layer)
    seen, block = watched(model), model.blocks[layer]
    attention = find_heads(model)[layer].projection
    before, after = rows_of(seen.inputs[block]), rows_of(seen.outputs[block])
    writing = [behind(seen, block, end) for end in (attention, ends)]
    for one, other in itertools.product(*writing):
        if (
            apart(before + rows_of(seen.outputs[one]) + rows_of(seen.outputs[other]), after)
            <= CLOSE
        ):
            return one, other
    if all(len(each) == 1 for each in writing) and ends_in_norm(model, layer):
        return attention, ends
    raise CutawayError(
        f"{model.id}: what attention and MLP write, with the norms behind them, is not what a layer adds to "
        "the stream; a factor may stand between."
    )


def _mlp_end(model: LanguageModel, layer: int) -> nn.Module:
    if model.mlp_outputs:
        return model.mlp_outputs[layer]
    reason = next((one.reason for one in model.left_out if one.name == MLPS), "it has no MLPs")
    raise CutawayError(f"{model.id}: {reason}.")


def _mlp_in(model: LanguageModel, layer: int) -> LayerSite:
    """What enters the MLP of a layer: the input of the smallest module that makes what the MLP makes."""
    end, seen, block = _mlp_end(model, layer), watched(model), model.blocks[layer]
    made = rows_of(seen.outputs[end])
    width = seen.inputs[block].shape[-1]
    around = [part for part in block.modules() if end in part.modules() and part in seen.outputs]
    for part in reversed(around):  # from the inside
        if part in (end, block) or seen.inputs[part].shape[-1] != width:
            continue
        if apart(rows_of(seen.outputs[part]), made) == 0:
            return LayerSite(part, True)
    raise CutawayError(f"{model.id}: its MLP is no module of its own whose input could be read.")
