"""Units that have a value at every token: the neurons of an MLP, and what is read off in their way.

The neurons of an MLP are what enters the matrix that ends it; in a gated MLP that is a product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.dictionary import Dictionary
from generator.models.dispatch import Enough, hooks
from generator.models.heads_access import affine
from generator.models.layer import Layer
from generator.models.seq2seq import Seq2SeqModel
from generator.models.sites import find_site, on
from generator.models.stacks import DECODER, ENCODER
from generator.models.stream import find_ends
from generator.models.text_model import LanguageModel, TextModel

Batch = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class TokenUnits:
    """The units of one layer of a model that reads: what enters `module`, or the latents of what leaves it.

    `writes` are the vectors that units write, (units, width); `target` says that they stand in the decoder of
    an encoder-decoder.
    """

    name: str
    layer: Layer
    units: int
    module: nn.Module = field(repr=False)
    writes: Tensor = field(repr=False)
    enters: bool = True
    dictionary: Dictionary | None = field(default=None, repr=False)
    target: bool = False

    def values(self, passing: Tensor) -> Tensor:
        """Values (..., units) of what passes, (..., width)."""
        if self.dictionary is None:
            return passing
        codes = self.dictionary.encode(passing.reshape(-1, passing.shape[-1]))
        return codes.reshape(*passing.shape[:-1], -1)


def token_neurons(model: TextModel) -> tuple[TokenUnits, ...]:
    """The neurons of each MLP, in the order of the blocks; none where MLPs are left out."""
    if not model.mlp_outputs:
        return ()
    layers, targets = model.layers, 0
    if isinstance(model, Seq2SeqModel):
        layers = (*model.stack(ENCODER), *model.stack(DECODER))
        targets = len(model.stack(DECODER))
    found = []
    for place, (layer, module) in enumerate(zip(layers, model.mlp_outputs, strict=True)):
        rows = affine(module)[0]
        target = place >= len(layers) - targets
        found.append(TokenUnits(layer.name, layer, len(rows), module, rows, target=target))
    return tuple(found)


def latents_of(model: LanguageModel, dictionary: Dictionary) -> TokenUnits:
    """The latents of a sparse dictionary of a model."""
    site, layer = (
        find_site(model, dictionary.site, dictionary.layer),
        model.layers[dictionary.layer],
    )
    return TokenUnits(
        dictionary.name,
        layer,
        dictionary.latents,
        site.module,
        dictionary.decoder,
        site.enters,
        dictionary,
    )


Take = Callable[[TokenUnits, Tensor], None]
"""Is handed units and their values (texts, tokens, units), live: reduce or copy them at once."""


@contextmanager
def watching(observed: Sequence[TokenUnits], texts: int, take: Take) -> Iterator[None]:
    """Within the block, one pass of some texts, hand `take` the values of units; it ends behind the last.

    In a decoder that is given a text to write, the first position is cut off: it holds no token of the text.
    """
    waiting = {units.name for units in observed}

    def seen(units: TokenUnits, passing: Tensor) -> Tensor:
        values = passing.reshape(texts, -1, passing.shape[-1])  # some MLPs see no batch
        of_text = values[:, 1:] if units.target else values
        take(units, units.values(of_text))
        waiting.discard(units.name)
        if not waiting:
            raise Enough
        return passing

    placed = (on(units.module, units.enters, partial(seen, units)) for units in observed)
    with hooks(placed), suppress(Enough):
        yield


def padded(model: TextModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Texts as one tensor (texts, tokens), and which tokens are theirs; padding comes last."""
    wide = max(map(len, batch))
    rows = [[*ids, *([ids[-1]] * (wide - len(ids)))] for ids in batch]
    seen = [[1] * len(ids) + [0] * (wide - len(ids)) for ids in batch]
    ids, mask = (torch.tensor(each, device=model.device) for each in (rows, seen))
    return ids, mask


def read_batch(model: TextModel, batch: Batch, observed: Sequence[TokenUnits], take: Take) -> None:
    """Run texts, without computing logits where that can be left out; hand `take` the values of units."""
    ids, mask = padded(model, batch)
    body = _body(model)  # which is found by running the model
    with torch.no_grad(), watching(observed, len(ids), take):
        if isinstance(model, Seq2SeqModel):
            start = torch.full_like(ids[:, :1], model.start)
            model.module(
                input_ids=ids,
                attention_mask=mask,
                decoder_input_ids=torch.cat([start, ids], 1),
                use_cache=False,
            )
            return
        assert isinstance(model, LanguageModel)
        more = {"use_cache": False} if model.causal else {}
        body(input_ids=ids, attention_mask=mask, **more)


def counted_tokens(model: TextModel, ids: Sequence[int]) -> list[bool]:
    """Which tokens of a text count: no special ones, and not the first that a decoder reads.

    Decoders put very large values there, whatever it is (Sun et al. 2024).
    """
    special = set(model.tokenizer.all_special_ids)
    causal = isinstance(model, LanguageModel) and model.causal
    return [one not in special and not (causal and place == 0) for place, one in enumerate(ids)]


def _body(model: TextModel) -> nn.Module:
    """The network without its head, where that is known."""
    try:
        return find_ends(model).body if isinstance(model, LanguageModel) else model.module
    except CutawayError:
        return model.module
