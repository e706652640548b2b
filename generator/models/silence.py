"""Heads and units that are pruned: their weights are set so that they put out nothing.

A head's output is silenced where W_O reads it; the bias of W_O stays. A channel's kernel and bias are set to
zero, and the gain and shift of the norm that follows; on a picture it has to answer with zero then. A neuron
of an MLP is silenced where the matrix that ends its MLP reads it, and, where a row of another matrix makes
it, there as well, so that its own value is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError, UsageError, did_you_mean
from generator.models.dispatch import hooks, listen
from generator.models.heads_access import find_heads, is_matrix, rows_of, same
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.patches import unfused
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import ONLY, PAIR, Stack
from generator.models.stream import probe_ids
from generator.models.text_model import LanguageModel, TextModel
from generator.models.token_units import TokenUnits, read_batch, token_neurons

AnyModel = VisionModel | LanguageModel | Seq2SeqModel


def silence(model: AnyModel, names: Sequence[str]) -> None:
    """Silence heads and units in place. Raises UsageError for a name that is not there, with the nearest."""
    with torch.no_grad():
        for name in names:
            if "/" in name:
                _unit(model, name)
            else:
                _head(model, name)


def _head(model: AnyModel, name: str) -> None:
    stacks = PAIR if isinstance(model, Seq2SeqModel) else (ONLY,)
    places = {
        stack.head(layer, head): (stack, layer, head)
        for stack in stacks
        for layer in range(_layers(model, stack))
        for head in range(_heads(model, stack))
    }
    if name not in places:
        hint = did_you_mean(name, places) if len(places) < 40 else _nearest(name, places)
        raise UsageError(
            f"{model.id}: altered.silent: it has no head '{name}'. {hint}".strip(),
            hint="A head is written L5H1; a unit LAYER/UNIT.",
        )
    stack, layer, head = places[name]
    matrix = _projection(model, stack, layer)
    _check_alone(model, matrix, name)
    weight: Any = matrix.weight
    count = _heads(model, stack)
    rows = weight.data.t() if isinstance(matrix, nn.Linear) else weight.data
    wide = len(rows) // count
    rows[head * wide : (head + 1) * wide] = 0


def _nearest(name: str, known: Sequence[str] | dict[str, Any]) -> str:
    hint = did_you_mean(name, known)
    return (
        hint
        if hint.startswith("Did")
        else f"Its heads are {next(iter(known))} to {list(known)[-1]}."
    )


def _layers(model: AnyModel, stack: Stack) -> int:
    if isinstance(model, VisionModel):
        return len(model.attention.blocks) if model.attention else 0
    return (
        len(model.projections[stack.name]) if isinstance(model, Seq2SeqModel) else len(model.blocks)
    )


def _heads(model: AnyModel, stack: Stack) -> int:
    if isinstance(model, VisionModel):
        return model.attention.heads if model.attention else 0
    return model.heads[stack.name] if isinstance(model, Seq2SeqModel) else model.heads


def _projection(model: AnyModel, stack: Stack, layer: int) -> nn.Module:
    if isinstance(model, VisionModel):
        return _patch_projection(model, layer)
    if isinstance(model, Seq2SeqModel):
        return model.projections[stack.name][layer]
    return find_heads(model)[layer].projection


def _patch_projection(model: VisionModel, layer: int) -> nn.Module:
    """W_O of a block of a vision transformer: the matrix that is given the heads' results."""
    attention = model.attention
    assert attention is not None
    block = model.module.get_submodule(attention.blocks[layer])
    fused = [part for part in block.modules() if isinstance(part, nn.MultiheadAttention)]
    if len(fused) == 1:
        return fused[0].out_proj
    entered, mixed = dict[nn.Module, Tensor](), list[Tensor]()

    def keep(part: nn.Module, given: tuple[Any, ...]) -> None:
        entered[part] = given[0]  # as it is: a copy would be an operation more than there were

    parts = [part for part in block.modules() if is_matrix(part)]
    point = {"mixed": attention.mixed[layer]}
    with (
        hooks(part.register_forward_pre_hook(keep) for part in parts),
        unfused(),
        listen(point, lambda _, found: mixed.append(found.clone())),
    ):
        model.module(_noise(model))
    heads = mixed[0].view(attention.heads, *mixed[0].shape[-2:]).transpose(0, 1).flatten(1)
    for part, given in entered.items():
        if same(rows_of(given), heads):
            return part
    raise CutawayError(
        f"{model.id}: no matrix of {attention.blocks[layer]} was found that is given what the heads hand on, "
        "so that none of them can be silenced in the weights."
    )


def _check_alone(model: AnyModel, matrix: nn.Module, name: str) -> None:
    """Raises UsageError where the same weights work in several layers."""
    weight = matrix.weight
    uses = [part for part in model.module.modules() if getattr(part, "weight", None) is weight]
    several = isinstance(model, LanguageModel) and any("shared" in one.kind for one in model.layers)
    if len(uses) > 1 or several:
        raise UsageError(
            f"{model.id}: altered.silent: the layers of this network share their weights, so that {name} "
            "cannot be silenced alone."
        )


def _unit(model: AnyModel, name: str) -> None:
    stated, _, number = name.rpartition("/")
    if isinstance(model, VisionModel):
        layers = {layer.name: layer.units for layer in model.layers}
    else:
        found = {units.name: units for units in token_neurons(model)}
        layers = {key: units.units for key, units in found.items()}
    if stated not in layers:
        raise UsageError(
            f"{model.id}: altered.silent: it has no layer '{stated}' with units. "
            f"{did_you_mean(stated, layers)}".strip()
        )
    if not number.isdecimal() or int(number) >= layers[stated]:
        raise UsageError(
            f"{model.id}: altered.silent: '{name}': the units of {stated} are 0 to {layers[stated] - 1}."
        )
    if isinstance(model, VisionModel):
        layer = next(one for one in model.layers if one.name == stated)
        _channel(model, layer, int(number))
    else:
        _neuron(model, found[stated], int(number))


def _noise(model: VisionModel) -> Tensor:
    side, random = model.preprocessing.size, torch.Generator().manual_seed(1)
    return torch.randn(1, 3, side, side, generator=random).to(model.device)


def _channel(model: VisionModel, layer: Layer, unit: int) -> None:
    """Set the weights that make one unit of a layer to zero, until it answers with zero."""
    name = f"{layer.name}/{unit}"
    if layer.joins:
        raise UsageError(
            f"{model.id}: altered.silent: {name} is a sum of what several layers write; name units of these."
        )
    parts = {id_of(part.weight): part for part in _weighted(model.module)}
    held = model.filters.get(layer.name)
    part = parts.get(id_of(held)) if held is not None else None
    if part is None:
        raise UsageError(
            f"{model.id}: altered.silent: no weights were found that make {name} alone."
        )
    _check_alone(model, part, name)
    turned = isinstance(part, nn.modules.conv._ConvTransposeNd)
    weights: Any = part.weight
    _clear(weights.data.transpose(0, 1) if turned else weights.data, unit)
    _clear(part.bias, unit)
    for norm in _norms_behind(model, part, layer.units):
        _clear(norm.weight, unit)  # type: ignore[arg-type]
        _clear(norm.bias, unit)  # type: ignore[arg-type]
    if not _answers_zero(model, layer, unit):
        raise UsageError(
            f"{model.id}: altered.silent: {name} does not answer with zero where its weights are zero: "
            f"its activation ({layer.activation or 'none'}), or something beside its weights, adds to it."
        )


def id_of(tensor: Any) -> int:
    """Where a tensor's first number lies: views of one parameter have it in common."""
    return int(tensor.data_ptr())


def _weighted(module: nn.Module) -> list[Any]:
    return [part for part in module.modules() if isinstance(getattr(part, "weight", None), Tensor)]


def _clear(values: Tensor | None, unit: int) -> None:
    if values is not None and values.dim():
        values.data[unit] = 0


def _norms_behind(model: VisionModel, part: nn.Module, units: int) -> list[nn.Module]:
    """The modules with a gain for each unit that are given what a module returns, one behind the other."""
    made, found = list[Tensor](), list[nn.Module]()

    def left(_: nn.Module, _given: Any, output: Any) -> None:
        made.append(output)

    def behind(norm: nn.Module, given: Any, output: Any) -> None:
        if made and isinstance(output, Tensor) and given and given[0] is made[-1]:
            found.append(norm)
            made.append(output)

    norms = [
        one for one in _weighted(model.module) if one is not part and one.weight.shape == (units,)
    ]
    placed = [part.register_forward_hook(left), *(n.register_forward_hook(behind) for n in norms)]
    with hooks(placed):
        model.module(_noise(model))
    return found


def _answers_zero(model: VisionModel, layer: Layer, unit: int) -> bool:
    largest = list[float]()
    model.run(
        _noise(model)[0].cpu().numpy(),
        lambda each, r: (
            largest.append(float(r[unit].abs().max())) if each.name == layer.name else None
        ),
    )
    return bool(largest) and max(largest) == 0


def _neuron(model: TextModel, units: TokenUnits, unit: int) -> None:
    """Cut a neuron of an MLP off, and set the row that makes it to zero where that does so alone."""
    _check_alone(model, units.module, f"{units.name}/{unit}")  # type: ignore[arg-type]
    weight: Any = units.module.weight
    columns = weight.data.t() if isinstance(units.module, nn.Linear) else weight.data
    columns[unit] = 0
    blocks = [block for block in model.blocks if units.module in set(block.modules())]
    inner = [one for one in blocks[0].modules() if is_matrix(one) and one is not units.module]
    for part in inner:
        kept: Any = part.weight
        rows = kept.data if isinstance(part, nn.Linear) else kept.data.t()
        for row in range(unit, len(rows), units.units) if len(rows) % units.units == 0 else ():
            before = rows[row].clone()
            bias: Any = getattr(part, "bias", None)
            held = bias.data[row].clone() if bias is not None else None
            rows[row] = 0
            _clear(bias, row)
            if _value(model, units, unit) == 0:
                return
            rows[row] = before
            if bias is not None:
                bias.data[row] = held


def _value(model: TextModel, units: TokenUnits, unit: int) -> float:
    """The largest value of a neuron on a made-up text."""
    found = list[float]()

    def take(_: TokenUnits, values: Tensor) -> None:
        found.append(float(values[..., unit].abs().max()))

    read_batch(model, [_ids(model)], (units,), take)
    return max(found)


def _ids(model: TextModel) -> tuple[int, ...]:
    if isinstance(model, LanguageModel):
        return tuple(probe_ids(model))
    count = int(model.module.config.vocab_size)  # type: ignore[union-attr, arg-type]
    return tuple(place % count for place in range(1, 9))
