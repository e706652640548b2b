"""How well a sparse dictionary stands for what it reads, beside a random one of its size.

Variance explained is 1 - sum |y - y'|^2 / sum |y - mean|^2 over tokens, y' what the dictionary makes of them.
Loss recovered is (L_zero - L') / (L_zero - L): L the model's loss, L' with y' in the place of y, L_zero with
zeros there, as SAELens defines it (Bloom et al. 2024). Tokens that are left out stay as they are in L', and
are zero in L_zero. A decoder's loss is read at each token that counts, of the next one; an encoder's of each
token that counts, an eighth of them masked at a time, about the share that BERT was trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from generator.errors import UsageError
from generator.models.dictionary import TOPK, Dictionary
from generator.models.dispatch import hooks
from generator.models.sites import LayerSite, find_site, on, read
from generator.models.text_model import LanguageModel
from generator.probes.controls import spread
from generator.probes.dictionary_training import counted
from generator.probes.embedding import masked_losses, next_token_losses
from generator.probes.passage_states import Passages, States, states_alone
from generator.store import Store

VERSION = 2
LEAST = 0.01  # nats: where zeros cost less, there is nothing to recover
LOSSES = 16  # passages that losses are read on: each costs four passes
_GROUPS = 8  # in which an encoder's tokens are masked


@dataclass(frozen=True)
class Quality:
    """How well one dictionary stands for what it reads.

    `l0` is the mean number of latents that a token has, `dead` the share of latents that none of the tokens
    has. `loss` is in nats, with the dictionary's vectors in place; nan for a model that predicts nothing.
    `density` (latents,) is the share of tokens that have each latent.
    """

    variance_explained: float
    l0: float
    dead: float
    loss: float
    density: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """A dictionary on held-out passages, and a random one of its size on the same.

    `kind` is what the loss is of: "next token", "masked token", or "representation" for a model that predicts
    nothing. `loss` is the model's own, `loss_zero` that with zeros in the place of what is decoded, in nats.
    `tokens` count, of so many `passages`; `predicted` of them have a loss.
    """

    kind: str
    passages: int
    tokens: int
    predicted: int
    loss: float
    loss_zero: float
    own: Quality
    random: Quality

    def recovered(self, of: Quality) -> float:
        """The share of the loss that a dictionary recovers; nan where zeros cost less than LEAST."""
        cost = self.loss_zero - self.loss
        return (self.loss_zero - of.loss) / cost if cost > LEAST else float("nan")

    @property
    def left_out(self) -> str:
        """Which tokens are left out, in a sentence."""
        first = " and the first of each passage" if self.kind == "next token" else ""
        return f"Special tokens{first} are left out."


def evaluate(
    model: LanguageModel,
    dictionary: Dictionary,
    passages: Passages,
    store: Store,
    *,
    seed: int = 0,
    losses: int = LOSSES,
    states: States = states_alone,
) -> Evaluation:
    """Measure a dictionary on token ids of passages that it was not trained on, and a random one beside it.

    The random dictionary has directions drawn at random, the same number, and as many latents a token as the
    measured one has on average, the largest; its size and its mean are fitted to these very passages. Losses
    are those of at most `losses` of the passages; of none they are NaN. `states` reads what a site holds.
    Raises UsageError where no token counts.
    """
    parts = {
        "model": model.key,
        "head": model.head_kind,
        "dictionary": dictionary.key,
        "passages": [list(ids) for ids in passages],
        "seed": seed,
        "losses": losses,
    }
    return store.result(
        "dictionaries",
        VERSION,
        parts,
        Evaluation,
        lambda: _evaluate(
            model, dictionary, _begun(model, dictionary, passages), seed, losses, states
        ),
    )


def _begun(
    model: LanguageModel, dictionary: Dictionary, passages: Passages
) -> list[tuple[int, ...]]:
    """The passages as the dictionary's were: with BOS at the start where those had it."""
    first = model.tokenizer.bos_token_id
    if not dictionary.begins or not model.causal or first is None:
        return [tuple(ids) for ids in passages if len(ids)]
    whole = [tuple(ids) if ids[0] == first else (first, *ids) for ids in passages if len(ids)]
    return [ids[: model.max_tokens] for ids in whole]


@dataclass(frozen=True, eq=False)
class _Passage:
    """A passage with what the dictionary reads and should make, at the tokens that count, (n, width) each."""

    ids: tuple[int, ...]
    counts: Tensor
    x: Tensor
    y: Tensor


def _evaluate(
    model: LanguageModel,
    dictionary: Dictionary,
    passages: Sequence[tuple[int, ...]],
    seed: int,
    losses: int,
    states: States,
) -> Evaluation:
    reads, writes = (
        find_site(model, site, dictionary.layer) for site in (dictionary.site, dictionary.writes)
    )
    if dictionary.transcodes:
        held = [read(model, [reads, writes], ids) for ids in passages]
    else:
        alone = (
            states_alone if dictionary.begins else states
        )  # a pool begins with no token of its own
        held = [(x, x) for x in alone(model, dictionary.site, dictionary.layer, passages)]
    given = list(_given(model, held, passages))
    tokens = sum(len(one.x) for one in given)
    if not tokens:
        raise UsageError(
            f"{model.id}: no token of the passages counts, so that nothing can be measured."
        )
    own = _fidelity(dictionary, given)
    random = _random(dictionary, given, max(1, round(own.l0)), seed)
    scored = spread(given, losses)
    clean = _loss(model, scored, lambda _: [])
    zero = _loss(model, scored, lambda _: [on(writes.module, writes.enters, torch.zeros_like)])

    def with_loss(quality: Quality, put: Dictionary) -> Quality:
        found = _loss(model, scored, lambda one: _replacing(put, reads, writes, one.counts))
        return replace(quality, loss=_mean(found))

    return Evaluation(
        kind=model.head_kind,
        passages=len(given),
        tokens=tokens,
        predicted=sum(map(len, clean)),
        loss=_mean(clean),
        loss_zero=_mean(zero),
        own=with_loss(own, dictionary),
        random=with_loss(_fidelity(random, given), random),
    )


def _given(
    model: LanguageModel,
    held: Sequence[tuple[Tensor, ...]],
    passages: Sequence[tuple[int, ...]],
) -> Iterator[_Passage]:
    for ids, (x, y) in zip(passages, held, strict=True):
        counts = counted(model, ids)
        if counts.any():
            yield _Passage(ids, counts, x[counts].float(), y[counts].float())


def _fidelity(dictionary: Dictionary, given: Sequence[_Passage]) -> Quality:
    """Variance explained and activity of the latents, without the loss."""
    count = sum(len(one.x) for one in given)
    mean = sum(one.y.double().sum(0) for one in given) / count
    left = whole = 0.0
    active = torch.zeros(dictionary.latents, dtype=torch.float64)
    for one in given:
        codes = dictionary.encode(one.x)
        made = dictionary.reconstruct(one.x, codes)
        left += float((one.y - made).double().square().sum())
        whole += float((one.y.double() - mean).square().sum())
        active += (codes > 0).sum(0).double().cpu()
    return Quality(
        variance_explained=1 - left / whole if whole else float("nan"),
        l0=float(active.sum() / count),
        dead=float((active == 0).double().mean()),
        loss=float("nan"),
        density=(active / count).numpy(),
    )


def _random(dictionary: Dictionary, given: Sequence[_Passage], k: int, seed: int) -> Dictionary:
    """A dictionary of random directions of norm 1, with the k largest codes of each token.

    The encoder is the decoder's transpose, or drawn apart for a transcoder. Its mean is that of these tokens,
    and all codes are multiplied with the one number that leaves the least error.
    """
    draw = torch.Generator().manual_seed(seed)

    def directions(width: int) -> Tensor:
        drawn = torch.randn(dictionary.latents, width, generator=draw)
        return (drawn / drawn.norm(dim=1, keepdim=True)).to(given[0].x.device)

    width = dictionary.decoder.shape[1]
    decoder = directions(width)
    encoder = directions(dictionary.width) if dictionary.transcodes else decoder
    x, y = (torch.cat([getattr(one, name) for one in given]) for name in ("x", "y"))
    bare = Dictionary(
        name="random",
        layer=dictionary.layer,
        site=dictionary.site,
        writes=dictionary.writes,
        activation=TOPK,
        k=min(k, dictionary.latents),
        encoder=encoder.T.contiguous(),
        encoder_bias=-encoder @ x.mean(0),
        decoder=decoder,
        decoder_bias=y.mean(0),
    )
    made = torch.cat([bare.decode(bare.encode(one.x)) for one in given]) - bare.decoder_bias
    factor = ((y - bare.decoder_bias) * made).sum() / made.square().sum().clamp_min(1e-12)
    return replace(bare, decoder=decoder * factor)


def _replacing(
    dictionary: Dictionary, reads: LayerSite, writes: LayerSite, counts: Tensor
) -> list[object]:
    """Hooks that put what the dictionary makes in the place of what is there, at the tokens that count."""
    seen: list[Tensor] = []

    def keep(passing: Tensor) -> Tensor:
        seen[:] = [passing]
        return passing

    def put(passing: Tensor) -> Tensor:
        rows = (seen[0] if seen else passing).reshape(-1, len(counts), dictionary.width)
        changed = passing.clone().reshape(len(rows), len(counts), -1)
        for number, row in enumerate(rows):
            changed[number, counts] = dictionary.reconstruct(row[counts]).to(changed)
        return changed.reshape(passing.shape)

    writing = on(writes.module, writes.enters, put)
    if not dictionary.transcodes:
        return [writing]
    return [on(reads.module, reads.enters, keep), writing]


def _loss(
    model: LanguageModel,
    given: Sequence[_Passage],
    change: Callable[[_Passage], Sequence[object]],
) -> list[np.ndarray]:
    """Losses of each passage with some hooks in place, one for each token that counts and has one."""
    found = []
    for one in given if model.head_kind != "representation" else ():
        places = np.flatnonzero(one.counts.cpu().numpy())
        with hooks(change(one)), torch.no_grad():
            if model.head_kind == "next token":
                losses = next_token_losses(model, [one.ids])[0]
                found.append(losses[places[places < len(losses)]])
            else:
                groups = [group for n in range(_GROUPS) if (group := places[n::_GROUPS].tolist())]
                found.append(np.concatenate(masked_losses(model, one.ids, groups)))
    return found


def _mean(losses: Sequence[np.ndarray]) -> float:
    every = np.concatenate([np.zeros(0), *losses])
    return float(every.mean()) if len(every) else float("nan")
