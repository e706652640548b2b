"""What the weights of a unit say: which words it writes up and down, and which it reads.

A unit writes its value times one vector into the residual stream. Through the final norm's gain and the
unembedding, and nothing between, that vector raises and lowers logits: the direct path (Geva et al. 2022;
nostalgebraist 2020). It is not all that a unit does, since later layers read it too.

What a unit reads is compared with the embeddings of words: the cosine of its input weights, with the gain of
the norm before it, to each token's embedding less the mean of all. That is honest for the first layer, where
little but the embedding stands in the stream, and crude for later ones. In a gated MLP the gate and the other
factor read apart; which matrix is the gate is told by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.errors import CutawayError
from generator.models.heads_access import affine, is_matrix
from generator.models.stream import (
    ResidualEnds,
    Watched,
    find_ends,
    norm_of,
    probe_ids,
    rows_of,
    same,
    watch,
)
from generator.models.text_model import LanguageModel
from generator.models.token_units import TokenUnits
from generator.store import Store

VERSION = 1
WORDS = 8


@dataclass(frozen=True)
class Words:
    """The tokens at one end of an order, for each chosen unit: ids and values (units, WORDS)."""

    ids: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Reads:
    """What one factor of some units reads: the words most alike to its weights, and their cosines."""

    factor: str
    words: Words


@dataclass(frozen=True)
class LayerWeights:
    """What the weights of some units of a layer say; `reads` has the gate and what it multiplies, or one.

    `up` and `down` are in logits for each unit of activation at a stream of unit size. `no_writes` and
    `no_reads` say why there are none.
    """

    layer: str
    up: Words | None = None
    down: Words | None = None
    reads: tuple[Reads, ...] = ()
    no_writes: str = ""
    no_reads: str = ""


@dataclass(frozen=True)
class UnitWeights:
    """All layers."""

    layers: tuple[LayerWeights, ...]


@dataclass(frozen=True, eq=False)
class Factor:
    """A factor of neurons: what each reads of the stream, (units, width), the norm's gain included."""

    name: str
    reads: Tensor = field(repr=False)


def weigh_units(
    model: LanguageModel,
    layers: Sequence[TokenUnits],
    chosen: Sequence[Sequence[int]],
    store: Store,
    key: Any = None,
) -> UnitWeights:
    """What the weights of chosen units say. `key` says what they are where they are no neurons."""

    def make() -> UnitWeights:
        ends, seen = find_ends(model), watch(model, probe_ids(model))
        embedded, pairs = _embedded(ends), zip(layers, chosen, strict=True)
        return UnitWeights(tuple(_layer(ends, embedded, seen, model, *pair) for pair in pairs))

    parts = {
        "model": model.key,
        "units": key,
        "chosen": [[one.name, list(units)] for one, units in zip(layers, chosen, strict=True)],
    }
    return store.result("unit_weights", VERSION, parts, UnitWeights, make)


def _embedded(ends: ResidualEnds) -> Tensor | None:
    """Directions of the embeddings of words, less the mean of all, (vocabulary, width)."""
    if ends.embedding is None:
        return None
    embedding: Any = ends.embedding
    table = embedding.weight.detach()
    return functional.normalize(table - table.mean(0), dim=-1)


def _layer(
    ends: ResidualEnds,
    embedded: Tensor | None,
    seen: Watched,
    model: LanguageModel,
    units: TokenUnits,
    chosen: Sequence[int],
) -> LayerWeights:
    up, down, no_writes = None, None, ""
    if ends.unembedding is None:
        no_writes = "no matrix alone makes logits of its final state."
    else:
        up, down = written(ends, units.writes[list(chosen)])
    reads: tuple[Reads, ...] = ()
    no_reads = ""
    if units.dictionary is not None:
        no_reads = "a latent reads vectors that hold much more than the embedding of a word."
    elif embedded is None:
        no_reads = "token embeddings have another width than the residual stream."
    else:
        try:
            factors = find_factors(model, seen, model.blocks[units.layer.index], units.module)
            reads = tuple(_read(embedded, factor, chosen) for factor in factors)
        except CutawayError as error:
            no_reads = str(error)
    return LayerWeights(units.name, up, down, reads, no_writes, no_reads)


def written(ends: ResidualEnds, vectors: Tensor) -> tuple[Words, Words]:
    """The logits that vectors (units, width) raise most, and lower most, by the direct path."""
    assert ends.unembedding is not None
    folded = vectors if ends.final_norm is None else ends.final_norm.fold(vectors)
    logits = functional.linear(folded, ends.unembedding)
    logits = logits - logits.mean(-1, keepdim=True)  # what all words gain changes no probability
    return _most(logits), _most(-logits, -1.0)


def _read(embedded: Tensor, factor: Factor, chosen: Sequence[int]) -> Reads:
    cosines = functional.normalize(factor.reads[list(chosen)], dim=-1) @ embedded.t()
    return Reads(factor.name, _most(cosines))


def _most(values: Tensor, sign: float = 1.0) -> Words:
    """The WORDS largest of each row; of equal ones the first."""
    count = min(WORDS, values.shape[-1])
    order = torch.sort(values, dim=-1, descending=True, stable=True).indices[:, :count]
    found = sign * values.gather(-1, order)
    return Words(order.cpu().numpy(), found.double().cpu().numpy())


def find_factors(
    model: LanguageModel, seen: Watched, block: nn.Module, ends: nn.Module
) -> tuple[Factor, ...]:
    """What makes the neurons that enter the matrix `ends`: the gate and what it multiplies, or one matrix.

    Raises CutawayError where no activation function of one matrix, times another or not, makes them.
    """
    neurons = rows_of(seen.inputs[ends])
    wide = neurons.shape[-1]
    activate = _activation(model)
    for matrix, made in _candidates(seen, block, ends, wide):
        if same(activate(made), neurons):
            return (_factor("input", model, seen, block, matrix, slice(None)),)
    halves = [
        (matrix, part, half)
        for matrix, made in _candidates(seen, block, ends, 2 * wide)
        for part, half in (
            (slice(0, wide), made[:, :wide]),
            (slice(wide, 2 * wide), made[:, wide:]),
        )
    ]
    whole = [(matrix, slice(None), made) for matrix, made in _candidates(seen, block, ends, wide)]
    for parts in (whole, halves):
        for gate, gate_part, gated in parts:
            for up, up_part, plain in parts:
                if plain is not gated and same(activate(gated) * plain, neurons):
                    of = model, seen, block
                    return (
                        _factor("gate", *of, gate, gate_part),
                        _factor("up", *of, up, up_part),
                    )
    raise CutawayError(
        f"its MLP makes its neurons in a way that is not understood ({type(block).__name__})."
    )


def _activation(model: LanguageModel) -> Any:
    from transformers.activations import ACT2FN

    name = model.layers[0].activation
    if name is None or name not in ACT2FN:
        raise CutawayError("its configuration names no activation function that is known.")
    return ACT2FN[name]


def _candidates(
    seen: Watched, block: nn.Module, ends: nn.Module, wide: int
) -> list[tuple[nn.Module, Tensor]]:
    parts = [part for part in block.modules() if is_matrix(part) and part in seen.outputs]
    made = [(part, rows_of(seen.outputs[part])) for part in parts if part is not ends]
    return [(part, rows) for part, rows in made if rows.shape[-1] == wide]


def _factor(
    name: str,
    model: LanguageModel,
    seen: Watched,
    block: nn.Module,
    matrix: nn.Module,
    part: slice,
) -> Factor:
    """A matrix's rows, with the gain of the norm that made what it reads, where one did."""
    weight = affine(matrix)[0].t()[part]
    given = rows_of(seen.inputs[matrix])
    for module in block.modules():
        if module in seen.outputs and not is_matrix(module):
            made = rows_of(seen.outputs[module])
            norm = norm_of(module, made.shape[-1], model.device) if same(made, given) else None
            if norm is not None:
                return Factor(name, weight * norm.gain)
    return Factor(name, weight)
