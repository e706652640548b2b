"""The residual stream of a transformer: what is written into it first, what reads it last.

Nothing is looked up by name. One short pass is watched, and a module is what its inputs and outputs
show it to be: the norm behind the last block is the module that turns the last block's output into
the final state, and so on. What cannot be found this way is refused with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.dispatch import first_tensor, hooks
from generator.models.text_model import LanguageModel

PROBE = 8  # tokens in the pass that is watched
_LARGE = 1e3  # beside it the eps of a norm (1e-12 to 1e-5) is nothing
_CLOSE = 1e-4  # relative: two float32 paths to one number


@dataclass(frozen=True, eq=False)
class Norm:
    """A layer norm (`centred`) or RMS norm: x -> scale(x) * (x - mean) * gain + bias."""

    module: nn.Module = field(repr=False)
    centred: bool
    gain: Tensor = field(repr=False)
    bias: Tensor = field(repr=False)

    def __call__(self, x: Tensor) -> Tensor:
        """The norm as the model computes it."""
        return self.module(x)

    def fold(self, x: Tensor) -> Tensor:
        """The linear part without the positive scale of each position: centring and gain."""
        return self.centre(x) * self.gain.to(x)

    def centre(self, x: Tensor) -> Tensor:
        """x without its mean over features, where the norm takes that away."""
        return x - x.mean(-1, keepdim=True) if self.centred else x

    def scale(self, x: Tensor) -> Tensor:
        """What each position is multiplied with, 1 / rms or 1 / standard deviation, (..., 1)."""
        plain = self.fold(x)
        made = self(x) - self.bias.to(x)
        return (made * plain).sum(-1, keepdim=True) / plain.square().sum(-1, keepdim=True)


def norm_of(module: nn.Module, width: int, device: torch.device) -> Norm | None:
    """The norm that a module computes, read off its answers; None if it computes something else."""
    random = torch.Generator().manual_seed(0)
    x = (torch.randn(4, width, generator=random) * _LARGE).to(device)
    try:
        with torch.no_grad():
            bias, made, moved = module(torch.zeros_like(x))[0], module(x), module(x + _LARGE)
    except (TypeError, RuntimeError, ValueError, IndexError):
        return None
    if not isinstance(made, Tensor) or made.shape != x.shape:
        return None
    centred = same(made, moved)
    plain = x - x.mean(-1, keepdim=True) if centred else x
    unit = plain * plain.square().mean(-1, keepdim=True).rsqrt()
    gain = ((made - bias) * unit).sum(0) / unit.square().sum(0)
    if not same(unit * gain + bias, made):
        return None
    return Norm(module, centred, gain, bias)


@dataclass(frozen=True, eq=False)
class ResidualEnds:
    """What stands at both ends of the residual stream: embedding, final norm and unembedding.

    `body` is the transformer without its head. `embedding_norm` stands between the embeddings and
    block 0 (BERT), `final_norm` behind the last block; None where there is none. `unembedding`
    (vocabulary, width) and `unembedding_bias` make logits of the final state; None for a model
    without a matrix that does. `embedding` is None where tokens are embedded in another width (ALBERT).
    """

    body: nn.Module = field(repr=False)
    causal: bool
    embedding: nn.Module | None = field(repr=False)
    embedding_norm: Norm | None
    final_norm: Norm | None
    unembedding: Tensor | None = field(repr=False)
    unembedding_bias: Tensor | None = field(repr=False)

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings (tokens, width) without positions, with the norm where one follows."""
        made = self.words(ids)
        return made if self.embedding_norm is None else self.embedding_norm(made)

    def words(self, ids: Tensor) -> Tensor:
        """Token embeddings as they stand in their table, (tokens, width).

        Raises CutawayError where they have another width than the stream.
        """
        if self.embedding is None:
            raise CutawayError("token embeddings have another width than the residual stream.")
        return self.embedding(ids)

    def finish(self, stream: Tensor) -> Tensor:
        """The final state that a stream (..., width) would make."""
        return stream if self.final_norm is None else self.final_norm(stream)

    def states(self, ids: Tensor) -> Tensor:
        """Final states (N, tokens, width) of sequences (N, tokens), without computing logits."""
        with torch.no_grad():
            return self.traced(ids)

    def traced(self, ids: Tensor) -> Tensor:
        """The same, with the gradients that are asked for."""
        # Keys and values would be kept for no one.
        more = {"use_cache": False} if self.causal else {}
        output = self.body(input_ids=ids, attention_mask=torch.ones_like(ids), **more)
        return output.last_hidden_state

    def logits(self, state: Tensor) -> Tensor:
        """Logits (..., vocabulary) of final states (..., width)."""
        if self.unembedding is None:
            raise CutawayError("a model without an unembedding has no logits.")
        return nn.functional.linear(state, self.unembedding, self.unembedding_bias)


# Found once for each model, however many probes ask.
_FOUND: WeakKeyDictionary[LanguageModel, ResidualEnds] = WeakKeyDictionary()
_SEEN: WeakKeyDictionary[LanguageModel, Watched] = WeakKeyDictionary()


def find_ends(model: LanguageModel) -> ResidualEnds:
    """Both ends of a model's stream. Raises CutawayError for a stream that is not understood."""
    if model not in _FOUND:
        _FOUND[model] = _find_ends(model)
    return _FOUND[model]


def scored_ends(model: LanguageModel) -> ResidualEnds:
    """The same where answers are read off: a decoder's logits have to be one matrix times the final state."""
    ends = find_ends(model)
    if model.causal and ends.unembedding is None:
        raise CutawayError(f"{model.id}: its logits are not one matrix times the final state.")
    return ends


def _find_ends(model: LanguageModel) -> ResidualEnds:
    seen = watched(model)
    embedding: nn.Module = model.module.get_input_embeddings()  # type: ignore[operator]
    width = seen.inputs[model.blocks[0]].shape[-1]
    made = seen.outputs.get(embedding)
    last, final = seen.outputs[model.blocks[-1]], seen.final
    final_norm = None if same(last, final) else _norm_between(model, seen, last, final)
    if final_norm is None and not same(last, final):
        raise CutawayError(f"{model.id}: what follows the last block is no layer norm or RMS norm.")
    weight, bias = _unembedding(model, seen)
    return ResidualEnds(
        body=seen.body,
        causal=model.causal,
        embedding=embedding if made is not None and made.shape[-1] == width else None,
        embedding_norm=_norm_between(model, seen, None, seen.inputs[model.blocks[0]]),
        final_norm=final_norm,
        unembedding=weight,
        unembedding_bias=bias,
    )


@dataclass(frozen=True, eq=False)
class Seen:
    """First input and output tensor of each module of one pass."""

    inputs: dict[nn.Module, Tensor]
    outputs: dict[nn.Module, Tensor]


@dataclass(frozen=True, eq=False)
class Watched(Seen):
    """The same of a transformer that reads one text, and its logits.

    `body` is the transformer without its head: what it returns is the final state.
    """

    body: nn.Module
    logits: Tensor | None

    @property
    def final(self) -> Tensor:
        """The final state (1, tokens, width)."""
        return self.outputs[self.body]


def probe_ids(model: LanguageModel) -> tuple[int, ...]:
    """A short made-up sequence."""
    places = range(min(PROBE, model.max_tokens))
    return tuple((3 + 7 * place) % model.vocabulary for place in places)


def watch(model: LanguageModel, ids: tuple[int, ...]) -> Watched:
    """One pass over one sequence, watched module by module."""
    seen, output = watch_modules(model.module, lambda: model.run(ids))
    body = _body(model, seen.outputs)
    return Watched(seen.inputs, seen.outputs, body, getattr(output, "logits", None))


def watched(model: LanguageModel) -> Watched:
    """One pass over the made-up sequence, watched once however many ask."""
    if model not in _SEEN:
        _SEEN[model] = watch(model, probe_ids(model))
    return _SEEN[model]


def watch_modules(module: nn.Module, run: Callable[[], Any]) -> tuple[Seen, Any]:
    """What each module takes and makes in a pass of a network, and what the pass returns."""
    inputs: dict[nn.Module, Tensor] = {}
    outputs: dict[nn.Module, Tensor] = {}

    def hook(part: nn.Module, args: Any, named: Any, output: Any) -> None:
        taken = first_tensor((*args, *named.values()))
        made = first_tensor(output)
        # Of an MLP of width 0, which is none, nothing passes.
        if taken is not None and made is not None and taken.numel() and made.numel():
            inputs.setdefault(part, taken.detach().clone())  # a sum in place may write over it
            outputs.setdefault(part, made.detach().clone())

    with hooks(part.register_forward_hook(hook, with_kwargs=True) for part in module.modules()):
        output = run()
    return Seen(inputs, outputs), output


def _body(model: LanguageModel, called: Mapping[nn.Module, Tensor]) -> nn.Module:
    """The outermost module that was called around the blocks, and is not the model with its head."""
    if model.head_kind == "representation":
        return model.module
    last, inner = model.blocks[-1], list(model.module.modules())[1:]
    return next(part for part in inner if part in called and last in part.modules())


def _norm_between(
    model: LanguageModel, seen: Watched, before: Tensor | None, after: Tensor
) -> Norm | None:
    inside = {part for block in model.blocks for part in block.modules()}
    for module, made in seen.outputs.items():
        if module in inside or not same(made, after):
            continue
        if before is not None and not same(seen.inputs[module], before):
            continue
        found = norm_of(module, after.shape[-1], model.device)
        if found is not None:
            return found
    return None


def _unembedding(model: LanguageModel, seen: Watched) -> tuple[Tensor | None, Tensor | None]:
    head: Any = model.module.get_output_embeddings()  # type: ignore[operator]
    if head is None or seen.logits is None or not hasattr(head, "weight"):
        return None, None
    weight, bias = head.weight.detach(), getattr(head, "bias", None)
    if weight.shape[1] != seen.final.shape[-1]:
        return None, None
    made = nn.functional.linear(seen.final, weight, bias)
    # A masked-language head transforms the state first; some decoders cap or scale their logits.
    return (weight, bias) if same(made, seen.logits) else (None, None)


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers, to what float32 can tell."""
    if one.shape != other.shape:
        return False
    return bool((one - other).abs().max() <= _CLOSE * other.abs().max())


def rows_of(tensor: Tensor) -> Tensor:
    """Positions as rows, whatever stands before them."""
    return tensor.reshape(-1, tensor.shape[-1])
