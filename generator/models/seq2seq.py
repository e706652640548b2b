"""Transformers that read one text and write another: an encoder, a decoder, and what looks across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.dispatch import hooks
from generator.models.layer import Layer
from generator.models.meetings import Meeting, Meetings
from generator.models.model import Provenance
from generator.models.stacks import CROSS, DECODER, ENCODER, Stack
from generator.models.text_model import Encoding, TextModel
from generator.models.tokens import context_limit
from generator.models.transformer import mlp_activation, mlp_outputs

CROSS_KIND = "cross attention"
_PROBE = (5, 4)  # tokens of source and target in the pass that is watched
_CLOSE = 1e-4  # of a weight: products of the same numbers in another order


@dataclass(frozen=True, eq=False)
class Seq2SeqModel(TextModel):
    """An encoder-decoder. `layers` are the encoder's, then each decoder block's two attentions.

    `heads` and `projections` (W_O, one for each layer) are those of each stack, by name. `blocks` are the
    encoder's and then the decoder's. `start` is the token that the decoder reads first, `end` the one that
    ends its answer.
    """

    heads: dict[str, int]
    start: int
    end: int
    projections: dict[str, tuple[nn.Module, ...]] = field(repr=False)

    def stack(self, stack: Stack) -> tuple[Layer, ...]:
        """The layers of one stack."""
        names = {stack.layer(index) for index in range(len(self.projections[stack.name]))}
        return tuple(layer for layer in self.layers if layer.name in names)

    def decode(self, encoding: Encoding) -> str:
        """The text that some tokens stand for, special ones left out."""
        return str(self.tokenizer.decode(encoding.ids, skip_special_tokens=True))

    def encoded(self, source: Sequence[int]) -> Any:
        """What the encoder makes of one source, to be read by the decoder as often as needed."""
        ids = torch.tensor([list(source)], device=self.device)
        encoder: Any = self.module.get_encoder()  # type: ignore[operator]
        with torch.no_grad():
            return encoder(input_ids=ids, attention_mask=torch.ones_like(ids), return_dict=True)

    def run(
        self,
        source: Sequence[int],
        target: Sequence[int],
        *,
        attentions: bool = False,
        encoded: Any = None,
        copies: int = 1,
    ) -> Any:
        """One source and one decoder input without padding; transformers' own output object.

        With `encoded` the encoder is not run again. The batch holds the pair `copies` times.
        """
        return _run(
            self.module, source, target, attentions=attentions, encoded=encoded, copies=copies
        )

    def meetings(self, source: Sequence[int], target: Sequence[int]) -> dict[str, list[Meeting]]:
        """Where queries, keys and values meet, by stack and layer.

        Raises CutawayError where they do not show, or do not make the weights that the model reports.
        """
        return _meetings(self.id, self.module, source, target)


def _run(
    module: nn.Module,
    source: Sequence[int],
    target: Sequence[int],
    *,
    attentions: bool = False,
    encoded: Any = None,
    copies: int = 1,
) -> Any:
    device = next(module.parameters()).device
    ids = torch.tensor([list(source)] * copies, device=device)
    known = {"input_ids": ids} if encoded is None else {"encoder_outputs": encoded}
    with torch.no_grad():
        return module(
            **known,
            attention_mask=torch.ones_like(ids),
            decoder_input_ids=torch.tensor([list(target)] * copies, device=device),
            output_attentions=attentions,
            use_cache=False,
            return_dict=True,
        )


def _meetings(
    model: str, module: nn.Module, source: Sequence[int], target: Sequence[int]
) -> dict[str, list[Meeting]]:
    with Meetings() as seen:
        stated = reported(_run(module, source, target, attentions=True))
    count = len(stated[ENCODER.name])
    own, rest = (
        seen.found[:count],
        seen.found[count:],
    )  # a block of the decoder looks at itself, then across
    made = {ENCODER.name: own, DECODER.name: rest[::2], CROSS.name: rest[1::2]}
    for name, weights in stated.items():
        pairs = list(zip(made[name], weights, strict=False))
        alike = len(made[name]) == len(weights) and all(
            one.scores.shape == given.shape[1:] and (one.weights - given[0]).abs().max() <= _CLOSE
            for one, given in pairs
        )
        if not alike:
            raise CutawayError(
                f"{model}: {type(module).__name__} computes its attention in a way that shows no queries, "
                "keys and values."
            )
    return made


def reported(output: Any) -> dict[str, tuple[Tensor, ...]]:
    """The weights that a model states, (1, heads, queries, keys) a layer, by stack."""
    return {
        ENCODER.name: output.encoder_attentions,
        DECODER.name: output.decoder_attentions,
        CROSS.name: output.cross_attentions,
    }


def finish_seq2seq(
    module: nn.Module, tokenizer: Any, spec: ModelSpec, provenance: Provenance, device: torch.device
) -> Seq2SeqModel:
    """List the layers and heads of a loaded encoder-decoder.

    Raises CutawayError, with the reason, for one whose parts are not understood.
    """
    config: Any = module.to(device).config
    start = _start(module, spec)
    ids = torch.arange(1, 1 + sum(_PROBE), device=device) % int(config.vocab_size)
    source, target = ids[: _PROBE[0]].tolist(), [start, *ids[_PROBE[0] : -1].tolist()]
    entering: dict[nn.Module, Tensor] = {}
    matrices = [part for part in module.modules() if isinstance(part, nn.Linear)]
    with hooks(one.register_forward_pre_hook(partial(_keep_input, entering)) for one in matrices):
        meetings = _meetings(spec.id, module, source, target)
    known = partial(_projection, spec.id, entering=entering)
    projections = {name: tuple(map(known, row)) for name, row in meetings.items()}
    blocks = {
        ENCODER.name: _blocks(module.get_encoder(), len(meetings[ENCODER.name]), spec),  # type: ignore[operator]
        DECODER.name: _blocks(module.get_decoder(), len(meetings[DECODER.name]), spec),  # type: ignore[operator]
    }
    heads = {name: len(row[0].query) for name, row in meetings.items()}
    both = (*blocks[ENCODER.name], *blocks[DECODER.name])
    mlps, without = mlp_outputs(both, int(config.hidden_size), spec)
    limits = (tokenizer.model_max_length, getattr(config, "max_position_embeddings", 0) or 0)
    listed = _layers(module, blocks, projections, heads, config.hidden_size)
    return Seq2SeqModel(
        id=spec.id,
        title=spec.name,
        about=spec.about,
        kind="encoder-decoder",
        module=module,
        provenance=provenance,
        layers=tuple(
            layer if layer.kind == CROSS_KIND else replace(layer, activation=mlp_activation(config))
            for layer in listed
        ),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        device=device,
        tokenizer=tokenizer,
        heads=heads,
        head_width=meetings[ENCODER.name][0].query.shape[-1],
        max_tokens=context_limit(limits),
        start=start,
        end=int(tokenizer.eos_token_id if tokenizer.eos_token_id is not None else -1),
        blocks=both,
        mlp_outputs=mlps,
        left_out=without,
        projections=projections,
    )


def _keep_input(entering: dict[nn.Module, Tensor], part: nn.Module, args: Any) -> None:
    entering.setdefault(part, args[0])


def _start(module: nn.Module, spec: ModelSpec) -> int:
    configs = (getattr(module, "generation_config", None), module.config)
    for config in configs:
        start = getattr(config, "decoder_start_token_id", None)
        if start is not None:
            return int(start)
    raise CutawayError(f"{spec.id}: no token is stated that its decoder starts from.")


def _blocks(part: nn.Module, count: int, spec: ModelSpec) -> tuple[nn.Module, ...]:
    for inner in part.modules():
        if isinstance(inner, nn.ModuleList) and len(inner) == count:
            return tuple(inner)
    raise CutawayError(f"{spec.id}: the {count} blocks of {type(part).__name__} were not found.")


def _projection(model: str, one: Meeting, entering: dict[nn.Module, Tensor]) -> nn.Module:
    """W_O: the matrix that is given what the heads hand on."""
    mixed = one.mixed.transpose(0, 1).flatten(1)
    for part, given in entering.items():
        if given[0].shape == mixed.shape and torch.equal(given[0].float(), mixed):
            return part
    raise CutawayError(f"{model}: no matrix was found that is given what the heads hand on.")


def _layers(
    module: nn.Module,
    blocks: dict[str, tuple[nn.Module, ...]],
    projections: dict[str, tuple[nn.Module, ...]],
    heads: dict[str, int],
    width: int,
) -> tuple[Layer, ...]:
    owner = {child: part for part in module.modules() for child in part.children()}
    found: list[Layer] = []

    def add(stack: Stack, index: int, kind: str, parameters: int) -> None:
        count = heads[stack.name]
        name = stack.layer(index)
        found.append(
            Layer(len(found), name, kind, (width,), parameters, heads=count, kv_groups=count)
        )

    for index, block in enumerate(blocks[ENCODER.name]):
        add(ENCODER, index, "encoder block", _size(block))
    for index, block in enumerate(blocks[DECODER.name]):
        across = _size(owner[projections[CROSS.name][index]])
        add(DECODER, index, "decoder block", _size(block) - across)
        add(CROSS, index, CROSS_KIND, across)
    return tuple(found)


def _size(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())
