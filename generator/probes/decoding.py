"""What a decoder would say at each layer, and which heads made it say what it says.

The logit lens (nostalgebraist 2020) reads the stream behind each block as if it were the last: the
final norm, computed anew, and the unembedding. Early layers write for later ones, not for the
unembedding, so that early guesses may mean little. Direct logit attribution (Elhage et al. 2021)
splits one logit into what each head and MLP wrote towards it. It counts the direct path only: what a
head does through later layers appears as theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.models.heads_access import HeadWeights, attention_meetings, find_heads
from generator.models.stream import ResidualEnds, Watched, scored_ends, watch
from generator.models.text_model import Encoding, LanguageModel
from generator.models.tokens import token_text
from generator.probes.circuits import strongest
from generator.store import Store, empty

VERSION = 1
TOP = 5
_CLOSE = 1e-3  # relative: sums over all blocks in float32


@dataclass(frozen=True)
class LogitLens:
    """The next-token guesses behind each block; row 0 is the embedding, row l + 1 is block l.

    `tokens` (rows, positions, TOP) as text and `probabilities` to them. `final_rank` (rows, positions)
    is the place of the token that the whole model ranks first, 1 for the first; `final_probability`
    its probability. `divergence` is KL(final || row) in nats. `reason` says why there is none.
    """

    text: str
    tokens: tuple[tuple[tuple[str, ...], ...], ...] = ()
    ids: np.ndarray = empty(0, 0, 0)
    probabilities: np.ndarray = empty(0, 0, 0)
    final_rank: np.ndarray = empty(0, 0)
    final_probability: np.ndarray = empty(0, 0)
    divergence: np.ndarray = empty(0, 0)
    reason: str = ""


def logit_lens(model: LanguageModel, text: str, encoding: Encoding, store: Store) -> LogitLens:
    """The lens on one text, at all positions."""

    def make() -> LogitLens:
        try:
            return _lens(model, text, encoding.ids)
        except CutawayError as error:
            return LogitLens(text, reason=str(error))

    parts = {"model": model.key, "text": text, "ids": list(encoding.ids), "top": TOP}
    return store.result("logit_lens", VERSION, parts, LogitLens, make)


def _lens(model: LanguageModel, text: str, ids: tuple[int, ...]) -> LogitLens:
    ends, streams = _decoder_ends(model), _streams(model, ids)
    last = _read_off(ends, streams[-1])
    final, answer = last.log_softmax(-1), last.argmax(-1)
    best, chances, ranks, own, apart = [], [], [], [], []
    for logits in (_read_off(ends, stream) for stream in streams):
        logs = logits.log_softmax(-1)
        at, found = strongest(logs, TOP)
        mine = logs.gather(1, answer[:, None])
        best.append(at)
        chances.append(np.exp(found))
        ranks.append(((logs > mine).sum(-1) + 1).cpu().numpy())
        own.append(mine[:, 0].exp().cpu().numpy())
        apart.append((final.exp() * (final - logs)).sum(-1).cpu().numpy())
    ids_found = np.stack(best)
    names = {int(i): token_text(model.tokenizer, int(i)) for i in np.unique(ids_found)}
    tokens = tuple(
        tuple(tuple(names[i] for i in place) for place in row) for row in ids_found.tolist()
    )
    return LogitLens(
        text=text,
        tokens=tokens,
        ids=ids_found,
        probabilities=np.stack(chances),
        final_rank=np.stack(ranks),
        final_probability=np.stack(own),
        divergence=np.stack(apart),
    )


def lens_logits(model: LanguageModel, ends: ResidualEnds, ids: tuple[int, ...]) -> Iterator[Tensor]:
    """Logits (tokens, vocabulary) read off the stream before block 0 and behind each block, one at a time."""
    return (_read_off(ends, stream) for stream in _streams(model, ids))


def _streams(model: LanguageModel, ids: tuple[int, ...]) -> list[Tensor]:
    """The stream (tokens, width) before block 0 and behind each block."""
    seen = watch(model, ids)
    return [seen.inputs[model.blocks[0]][0], *(seen.outputs[block][0] for block in model.blocks)]


def _read_off(ends: ResidualEnds, stream: Tensor) -> Tensor:
    with torch.no_grad():
        return ends.logits(ends.finish(stream)).float()


def _decoder_ends(model: LanguageModel) -> ResidualEnds:
    if not model.causal:
        raise CutawayError(f"{model.id} is an encoder: it has no next token to guess.")
    return scored_ends(model)


@dataclass(frozen=True)
class Shares:
    """The parts of one logit; they sum to it.

    `heads` (layers, heads), `attention_bias` and `mlps` (layers), `embedding` (token and position), and
    `bias` of the final norm and the unembedding. A model of attention alone has no `mlps`.
    """

    embedding: float
    heads: np.ndarray
    attention_bias: np.ndarray
    mlps: np.ndarray
    bias: float

    @property
    def total(self) -> float:
        """The logit."""
        parts = self.heads.sum() + self.attention_bias.sum() + self.mlps.sum()
        return float(self.embedding + parts + self.bias)


@dataclass(frozen=True)
class LogitAttribution:
    """Who wrote the logit of the token that is predicted behind the last one of a text.

    `shares` sum to `logit`. A softmax does not feel what all logits have in common, so `above_mean`
    holds the same shares of logit - `mean_logit`, the mean over the vocabulary: compare heads by
    these. The final norm's scale is held fixed. `reason` says why there is none.
    """

    text: str
    token: str
    token_id: int
    logit: float
    mean_logit: float
    shares: Shares | None
    above_mean: Shares | None
    reason: str = ""


def attribute_logit(
    model: LanguageModel, text: str, encoding: Encoding, store: Store
) -> LogitAttribution:
    """Direct logit attribution of the most probable next token of one text."""

    def make() -> LogitAttribution:
        try:
            return _attribute(model, text, encoding.ids)
        except CutawayError as error:
            return LogitAttribution(text, "", -1, 0.0, 0.0, None, None, str(error))

    parts = {"model": model.key, "text": text, "ids": list(encoding.ids)}
    return store.result("logit_attribution", VERSION, parts, LogitAttribution, make)


def _attribute(model: LanguageModel, text: str, ids: tuple[int, ...]) -> LogitAttribution:
    if not model.mlp_outputs and not model.attention_only:
        raise CutawayError(f"{model.id}: what its MLPs write is left out.")
    ends, places = _decoder_ends(model), find_heads(model)
    assert ends.unembedding is not None
    written = _written(model, places, ids)
    with torch.no_grad():
        logits = ends.logits(ends.finish(written.final))
    token = int(logits.argmax())
    target = ends.unembedding[token]
    mean = ends.unembedding.mean(0)
    offset, mean_offset = 0.0, 0.0
    if ends.unembedding_bias is not None:
        offset = float(ends.unembedding_bias[token])
        mean_offset = float(ends.unembedding_bias.mean())
    return LogitAttribution(
        text=text,
        token=token_text(model.tokenizer, token),
        token_id=token,
        logit=float(logits[token]),
        mean_logit=float(logits.mean()),
        shares=_shares(ends, written, target, offset),
        above_mean=_shares(ends, written, target - mean, offset - mean_offset),
    )


@dataclass(frozen=True, eq=False)
class _Written:
    """What was written into the stream at the last position; parts sum to `final`, (width,)."""

    embedding: Tensor
    heads: Tensor
    attention_bias: Tensor
    mlps: Tensor
    final: Tensor


def _written(model: LanguageModel, places: Sequence[HeadWeights], ids: tuple[int, ...]) -> _Written:
    seen, meetings = watch(model, ids), attention_meetings(model, ids)
    heads = [
        torch.einsum("hd,hdw->hw", meeting.mixed[:, -1], place.output)
        for meeting, place in zip(meetings, places, strict=True)
    ]
    embedding = seen.inputs[model.blocks[0]][0, -1]
    mlps = [_last(seen.outputs[mlp]) for mlp in model.mlp_outputs]
    alone = [torch.zeros_like(embedding) for _ in model.blocks]  # where there are no MLPs
    for block, place, mlp in zip(model.blocks, places, mlps or alone, strict=True):
        _refuse_other_writers(model, seen, block, place, mlp)
    return _Written(
        embedding=embedding,
        heads=torch.stack(heads),
        attention_bias=torch.stack([place.output_bias for place in places]),
        mlps=torch.stack(mlps) if mlps else embedding.new_zeros(0, len(embedding)),
        final=_last(seen.outputs[model.blocks[-1]]),
    )


def _refuse_other_writers(
    model: LanguageModel,
    seen: Watched,
    block: torch.nn.Module,
    place: HeadWeights,
    mlp: Tensor,
) -> None:
    """Heads and MLP must be all that a block adds to the stream, unchanged on their way."""
    before, after = _last(seen.inputs[block]), _last(seen.outputs[block])
    added = _last(seen.outputs[place.projection]) + mlp
    if (before + added - after).abs().max() > _CLOSE * after.abs().max():
        raise CutawayError(
            f"{model.id}: what {type(block).__name__} adds to the stream is not the sum of what its "
            "heads and its MLP write (norms follow them)."
        )


def _last(tensor: Tensor) -> Tensor:
    """The last position; some MLPs see (tokens, width) without the batch."""
    return tensor.reshape(-1, tensor.shape[-1])[-1]


def _shares(ends: ResidualEnds, written: _Written, direction: Tensor, offset: float) -> Shares:
    """Dot products with a direction of logits, through the final norm with its scale held fixed."""
    aim = direction.double()
    norm = ends.final_norm
    if norm is not None:
        with torch.no_grad():
            scale = float(norm.scale(written.final))
        offset += float(norm.bias.double() @ aim)
        aim = norm.centre(aim * norm.gain.double()) * scale
    made = {
        name: (getattr(written, name).double() @ aim).cpu().numpy()
        for name in ("embedding", "heads", "attention_bias", "mlps")
    }
    return Shares(
        embedding=float(made["embedding"]),
        heads=made["heads"],
        attention_bias=made["attention_bias"],
        mlps=made["mlps"],
        bias=offset,
    )
