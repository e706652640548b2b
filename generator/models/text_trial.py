"""A trial of a transformer that takes text, as it is opened: what is read of it against the network itself.

One made-up text is enough to see whether the pass that shows attention answers as the library's own does,
whether each head's weights make what the network computes, how far each layer sees, and whether attention
and MLP account for what a block does to the stream.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.models.dispatch import first_tensor
from generator.models.heads_access import find_heads
from generator.models.meetings import Meeting, Meetings, shared_groups
from generator.models.stream import Watched, probe_ids, watch
from generator.models.text_model import LanguageModel, TextModel
from generator.models.tokens import embedding_rows
from generator.models.trial import (
    ANSWER,
    BLOCKS,
    CLOSE,
    HEADS,
    MLPS,
    ROWS,
    Check,
    LeftOut,
    apart,
    by_name,
    require,
)
from generator.models.windows import trial_length, with_windows
from generator.models.writers import block_rest

MASK = "Mask"
# Of the largest logit: by more than this another network than the library's would be described.
ANOTHER = 0.01
NAN = float("nan")
SINKS = (
    "Each head has a learned sink: a score of no token, which takes a share of every row of attention. Maps "
    "and statistics are of the tokens that a head sees, with rows scaled to sum to 1; the share that the "
    "sink takes is a statistic of its own (learned_sink in heads.csv)."
)
NO_MLPS = "its blocks have none; what their heads write is all that they add to the stream"
_KEPT = {"attn_implementation", "_attn_implementation"}


def tried(model: LanguageModel) -> LanguageModel:
    """The model with the record of its trial: how far it sees, and what does not hold of it.

    Raises CutawayError if the network or its attention are not what is read of them.
    """
    ids = made_up(model, trial_length(model))
    try:
        pass_ = _read(model, ids)
        answers, note = _answers(model, ids, pass_.answer)
        rows = rows_check(pass_.weights, pass_.meetings if model.sinks else ())
        checks = require(model.id, [rows, _mask(model, pass_.weights)])
        model = with_windows(model, pass_.weights, pass_.meetings)
        model = _with_groups(model, pass_.meetings)
        seen = watch(model, probe_ids(model))
        heads, left_out = _heads(model, seen)
        model, blocks = (model, []) if left_out else _with_mlps(model, seen)
    except RuntimeError as error:
        raise CutawayError(f"{model.id}: the network fails on a made-up text: {error}") from error
    checks = (answers, *checks, *require(model.id, [*heads, *blocks]))
    told = (note, SINKS if model.sinks else "")
    notes = (*model.provenance.notes, *(one for one in told if one))
    return replace(
        model,
        provenance=replace(model.provenance, notes=notes),
        trial=checks,
        left_out=(*model.left_out, *left_out, *_without_decoding(model)),
    )


@dataclass(frozen=True, eq=False)
class _Pass:
    """What one pass shows: the answer, and each block's weights (heads, tokens, tokens)."""

    answer: Tensor
    weights: tuple[Tensor, ...]
    meetings: tuple[Meeting, ...]


def _read(model: LanguageModel, ids: tuple[int, ...]) -> _Pass:
    """One pass as all probes make it. No meetings are kept where they are not those of the blocks."""
    with Meetings() as seen:
        output = model.run(ids, attentions=True)
    weights = tuple(found[0].float() for found in output.attentions if found is not None)
    same = [one.scores.shape for one in seen.found] == [one.shape for one in weights]
    return _Pass(answer_of(output), weights, tuple(seen.found) if same else ())


def made_up(model: TextModel, length: int) -> tuple[int, ...]:
    """Ids of a made-up text."""
    rows = embedding_rows(model.module)
    return tuple((3 + 7 * place) % rows for place in range(length))


def answer_of(output: Any) -> Tensor:
    """The logits that a network returns, or the first tensor where it has none."""
    found = getattr(output, "logits", None)
    made = first_tensor(output) if found is None else found
    if made is None:
        raise CutawayError("the network returns no tensor.")
    return made.float()


def _answers(model: LanguageModel, ids: tuple[int, ...], read: Tensor) -> tuple[Check, str]:
    """The pass that shows attention against the library's own, and what a reader must know of it."""
    name, plain = as_the_library(model)
    batch = torch.tensor([ids], device=model.device)
    with torch.no_grad():
        answer = answer_of(plain(input_ids=batch, attention_mask=torch.ones_like(batch)))
    return compared(model, name, read, answer)


def compared(model: TextModel, name: str, read: Tensor, answer: Tensor) -> tuple[Check, str]:
    """Two answers to one text, of the pass that is read and of the library's, and what a reader must know."""
    difference = apart(read, answer)
    says = f"the pass that shows attention (eager) answers as the library's default pass ({name})."
    note = ""
    if not difference <= CLOSE:
        states = isinstance(model, LanguageModel) and model.head_kind == "representation"
        note = (
            f"The library's default pass ({name}) and the pass that shows attention (eager) differ by "
            f"{difference:.1%} of the largest {'value' if states else 'logit'}; all numbers "
            "here are of the second."
        )
    if not difference <= ANOTHER:
        raise CutawayError(
            f"{model.id}: the library computes {type(model.module).__name__} in two ways that differ by "
            f"{difference:.1%} of the largest value: by default ({name}), and where its attention is shown "
            "(eager). What pages say would not be of the network that people run."
        )
    return Check(ANSWER, says, difference <= CLOSE, difference), note


def as_the_library(model: TextModel) -> tuple[str, Any]:
    """The network with the library's default attention, on the same tensors."""
    original: Any = model.module
    tensors = [*original.parameters(), *original.buffers()]
    other = copy.deepcopy(original, {id(tensor): tensor for tensor in tensors})
    name = str(other.get_correct_attn_implementation(None))
    other.config._attn_implementation = name
    for part in other.modules():  # some keep the name that they were built with
        for kept in _KEPT & vars(part).keys():
            setattr(part, kept, name)
    return name, other


def rows_check(weights: Sequence[Tensor], sinks: Sequence[Meeting] = ()) -> Check:
    """Whether the weights of every token sum to 1, with what learned sinks take where there are some."""
    taken = [one.taken for one in sinks] or [torch.zeros(()) for _ in weights]
    pairs = zip(weights, taken, strict=True)
    rest = max(float((one.sum(-1) + more - 1).abs().max()) for one, more in pairs)
    with_sinks = ", with the share that its learned sink takes," if sinks else ""
    return Check(ROWS, f"the weights of every token{with_sinks} sum to 1.", rest <= CLOSE, rest)


def _mask(model: LanguageModel, weights: Sequence[Tensor]) -> Check:
    """Whether what eight tokens showed, a mask over later ones or none, holds on a longer text."""
    length = weights[0].shape[-1]
    ahead = [float(one.triu(1).max()) for one in weights]
    if model.causal:
        says = f"no token looks ahead, on a text of {length:,} tokens."
        return Check(MASK, says, max(ahead) == 0, max(ahead))
    says = f"in every layer tokens look back and ahead, on a text of {length:,} tokens."
    return Check(MASK, says, min(ahead) > 0, NAN)


def _without_decoding(model: LanguageModel) -> tuple[LeftOut, ...]:
    if not model.causal or model.head_kind == "next token":
        return ()
    return (LeftOut("decoding", "this decoder has no head that guesses the next token"),)


def _with_groups(model: LanguageModel, meetings: Sequence[Meeting]) -> LanguageModel:
    """The model with its groups of keys and values as they were seen; as stated where they do not show."""
    if not meetings:
        return model
    groups = shared_groups(meetings)
    layers = tuple(replace(layer, kv_groups=groups) for layer in model.layers)
    return replace(model, kv_groups=groups, layers=layers)


def _heads(model: LanguageModel, seen: Watched) -> tuple[list[Check], list[LeftOut]]:
    """Whether each head's weights make of its values what the heads hand on, and what W_O makes of it."""
    pass_ = _read(model, probe_ids(model))
    if not pass_.meetings:
        reason = f"{type(model.module).__name__} shows no queries, keys and values where they meet"
        return [], [LeftOut("what each head writes", reason)]
    pairs = zip(pass_.weights, pass_.meetings, strict=True)
    worst = max(apart(weights @ one.value, one.mixed) for weights, one in pairs)
    says = "the values of each head, weighed with what is shown as its attention, are what the network "
    says += "computes from them"
    try:
        places = find_heads(model)
    except CutawayError as error:
        reason = str(error).removeprefix(f"{model.id}: ").rstrip(".")
        return [Check(HEADS, f"{says}.", worst <= CLOSE, worst)], [
            LeftOut("what each head writes", reason)
        ]
    for one, place in zip(pass_.meetings, places, strict=True):
        written = (one.mixed @ place.output.float()).sum(0) + place.output_bias.float()
        made = seen.outputs[place.projection].float()
        worst = max(worst, apart(written, made.reshape(written.shape)))
    says += "; through their parts of the output matrix they sum to what attention writes."
    return [Check(HEADS, says, worst <= CLOSE, worst)], []


def _with_mlps(model: LanguageModel, seen: Watched) -> tuple[LanguageModel, list[Check]]:
    """The model with its MLPs, if they and attention are all that writes into the stream, and the check.

    Without any, whether attention alone is. Asks for W_O to be known.
    """
    if not model.mlp_outputs:
        return _attention_only(model, seen)
    parts = zip(model.layers, model.blocks, find_heads(model), model.mlp_outputs, strict=True)
    check = blocks_check(
        "attention and MLP",
        {
            layer.name: block_rest(seen, block, place.projection, mlp)
            for layer, block, place, mlp in parts
        },
    )
    if check.passed:
        return model, [check]
    return replace(model, mlp_outputs=(), left_out=(*model.left_out, without_mlps(check))), []


def _attention_only(model: LanguageModel, seen: Watched) -> tuple[LanguageModel, list[Check]]:
    """The model as one of attention alone, if its blocks add nothing else to the stream."""
    parts = zip(model.layers, model.blocks, find_heads(model), strict=True)
    rests = {layer.name: block_rest(seen, block, place.projection) for layer, block, place in parts}
    check = blocks_check("the heads", rests)
    if not check.passed:
        return model, []
    others = [one for one in model.left_out if one.name != MLPS]
    left_out = (*others, LeftOut(MLPS, NO_MLPS))
    return replace(model, attention_only=True, left_out=left_out), [check]


def blocks_check(writers: str, rests: Mapping[str, float]) -> Check:
    """Whether the writers of each block are all that writes, by the share that they leave unexplained."""
    worst, where = 0.0, ""
    for layer, rest in rests.items():
        if not rest <= worst:
            worst, where = rest, layer
    says = f"what {writers} write, with the norms and factors between, is all that a block adds to "
    says += "the stream."
    passed = worst <= CLOSE
    return Check(BLOCKS, says if passed else f"{says} Of layer {where} it is not.", passed, worst)


def without_mlps(check: Check) -> LeftOut:
    """The MLPs, where a block adds something else: what was taken for their end may be none."""
    reason = f"a check failed ({by_name(check)}). It should hold that: {check.says.rstrip('.')}"
    return LeftOut(MLPS, reason)
