"""A trial of an encoder-decoder, as it is opened: what is read of its stacks against the network itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.models.meetings import Meeting
from generator.models.seq2seq import Seq2SeqModel, reported
from generator.models.stacks import CROSS, DECODER, ENCODER
from generator.models.stream import watch_modules
from generator.models.text_trial import (
    answer_of,
    as_the_library,
    blocks_check,
    compared,
    made_up,
    rows_check,
    without_mlps,
)
from generator.models.trial import CLOSE, HEADS, Check, apart, require
from generator.models.writers import block_rest

_SOURCE, _TARGET = 9, 7


def tried_pair(model: Seq2SeqModel) -> Seq2SeqModel:
    """An encoder-decoder with the record of its trial, and without MLPs where a block adds something else.

    Raises CutawayError if the network or its attention is not what is read of it.
    """
    source = made_up(model, min(_SOURCE, model.max_tokens))
    target = (model.start, *made_up(model, min(_TARGET, model.max_tokens - 1)))
    try:
        read = model.run(source, target, attentions=True)
        name, plain = as_the_library(model)
        batches = [torch.tensor([ids], device=model.device) for ids in (source, target)]
        with torch.no_grad():
            made = plain(
                input_ids=batches[0],
                attention_mask=torch.ones_like(batches[0]),
                decoder_input_ids=batches[1],
            )
        meetings = model.meetings(source, target)
    except RuntimeError as error:
        raise CutawayError(f"{model.id}: the network fails on a made-up text: {error}") from error
    weights = {stack: [one[0].float() for one in found] for stack, found in reported(read).items()}
    every = [one for found in weights.values() for one in found]
    checks = require(model.id, [rows_check(every), _heads(weights, meetings)])
    answers, note = compared(model, name, answer_of(read), answer_of(made))
    notes = (*model.provenance.notes, note) if note else model.provenance.notes
    model, blocks = _with_mlps(model, source, target)
    return replace(
        model,
        provenance=replace(model.provenance, notes=notes),
        trial=(answers, *checks, *blocks),
    )


def _heads(
    weights: Mapping[str, Sequence[Tensor]], meetings: Mapping[str, Sequence[Meeting]]
) -> Check:
    """Whether each head's weights make of its values what the heads hand on."""
    worst = max(
        apart(given @ one.value, one.mixed)
        for stack, found in meetings.items()
        for given, one in zip(weights[stack], found, strict=True)
    )
    says = "the values of each head, weighed with what is shown as its attention, are what the network "
    says += "computes from them."
    return Check(HEADS, says, worst <= CLOSE, worst)


def _with_mlps(
    model: Seq2SeqModel, source: Sequence[int], target: Sequence[int]
) -> tuple[Seq2SeqModel, tuple[Check, ...]]:
    """The model with its MLPs, if they and attention are all that its blocks add, and the check."""
    if not model.mlp_outputs:
        return model, ()
    seen, _ = watch_modules(model.module, lambda: model.run(source, target))
    count = len(model.projections[ENCODER.name])
    within = [*model.projections[ENCODER.name], *model.projections[DECODER.name]]
    across = [*[()] * count, *((one,) for one in model.projections[CROSS.name])]
    names = [layer.name for stack in (ENCODER, DECODER) for layer in model.stack(stack)]
    rests = {
        name: block_rest(seen, block, attention, *cross, mlp)
        for name, block, attention, cross, mlp in zip(
            names, model.blocks, within, across, model.mlp_outputs, strict=True
        )
    }
    check = blocks_check("attention, in the decoder cross attention, and MLP", rests)
    if check.passed:
        return model, (check,)
    left_out = (*model.left_out, without_mlps(check))
    return replace(model, mlp_outputs=(), left_out=left_out), ()
