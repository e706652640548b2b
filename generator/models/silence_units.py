"""Units that are pruned: the weights that make them are set so that they put out nothing.

A channel's kernel and bias are set to zero, and the gain and shift of the norm that follows; on a picture it
has to answer with zero then. A neuron of an MLP is silenced where the matrix that ends its MLP reads it, and,
where a row of another matrix makes it, there as well, so that its own value is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from generator.errors import UsageError, did_you_mean
from generator.models.any_model import AnyModel
from generator.models.dispatch import hooks, noise
from generator.models.heads_access import affine, is_matrix
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.stream import probe_ids
from generator.models.text_model import LanguageModel, TextModel
from generator.models.token_units import TokenUnits, read_batch, token_neurons


def silence_unit(model: AnyModel, name: str) -> None:
    """Silence one unit, LAYER/UNIT, in place. Raises UsageError, with the nearest, for an unknown one."""
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
    if part is None and layer.reader:
        _hidden(model, layer, unit)
        return
    if part is None:
        raise UsageError(
            f"{model.id}: altered.silent: no weights were found that make {name} alone."
        )
    check_alone(model, part, name)
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
        model.module(noise(model.preprocessing.size, seed=1).to(model.device))
    return found


def _answers_zero(model: VisionModel, layer: Layer, unit: int) -> bool:
    largest = list[float]()
    model.run(
        noise(model.preprocessing.size, seed=1)[0].numpy(),
        lambda each, r: (
            largest.append(float(r[unit].abs().max())) if each.name == layer.name else None
        ),
    )
    return bool(largest) and max(largest) == 0


def _neuron(model: TextModel, units: TokenUnits, unit: int) -> None:
    """Cut a neuron of an MLP off, and set the row that makes it to zero where that does so alone."""
    check_alone(model, units.module, f"{units.name}/{unit}")  # type: ignore[arg-type]
    affine(units.module)[0][unit] = 0
    block = next(block for block in model.blocks if units.module in set(block.modules()))
    _clear_maker(block, units.module, unit, units.units, lambda: _value(model, units, unit) == 0)


def _hidden(model: VisionModel, layer: Layer, unit: int) -> None:
    """The same of a neuron of a vision transformer's MLP that several matrices make together."""
    reader = model.module.get_submodule(layer.reader)
    check_alone(model, reader, f"{layer.name}/{unit}")
    affine(reader)[0][unit] = 0
    inner = model.module.get_submodule(layer.reader.rpartition(".")[0])
    _clear_maker(inner, reader, unit, layer.units, lambda: _answers_zero(model, layer, unit))


def _clear_maker(
    within: nn.Module, reader: nn.Module, unit: int, units: int, silent: Callable[[], bool]
) -> None:
    """Set the row of a matrix to zero that silences a neuron alone, if there is one."""
    for part in within.modules():
        if not is_matrix(part) or part is reader:
            continue
        rows, bias = affine(part)[0].t(), getattr(part, "bias", None)
        for row in range(unit, len(rows), units) if len(rows) % units == 0 else ():
            before = rows[row].clone(), bias.data[row].clone() if bias is not None else None
            _clear(rows, row)
            _clear(bias, row)
            if silent():
                return
            rows[row] = before[0]
            if bias is not None:
                bias.data[row] = before[1]


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
    return tuple(place % model.vocabulary for place in range(1, 9))


def check_alone(model: AnyModel, matrix: nn.Module, name: str) -> None:
    """Raises UsageError where the same weights work in several layers."""
    weight = matrix.weight
    uses = [part for part in model.module.modules() if getattr(part, "weight", None) is weight]
    several = isinstance(model, LanguageModel) and any("shared" in one.kind for one in model.layers)
    if len(uses) > 1 or several:
        raise UsageError(
            f"{model.id}: altered.silent: the layers of this network share their weights, so that {name} "
            "cannot be silenced alone."
        )
