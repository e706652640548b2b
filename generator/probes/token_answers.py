"""What two models say at every token of the same inputs: losses, first guesses, and how far they part.

How far two next-token distributions lie apart needs both as a whole, which for tens of thousands of tokens
weigh too much to be kept: an input is read by one model after the other, and a few numbers a token are kept.
It is exact, and costs one forward pass of each model an input; a masked model one a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import LanguageModel
from generator.models.tokens import token_text
from generator.probes.change import FEWEST, draws_of, tail_of
from generator.probes.embedding import TOKENS
from generator.store import Store

VERSION = 1
AT_ONCE = 64  # tokens whose distributions are held at once

Reader = LanguageModel | Seq2SeqModel


@dataclass(frozen=True)
class Asked:
    """An input, what is to be said of it, and from where: `places` of `target` have an answer.

    `read` are the tokens that a decoder reads; of an encoder-decoder `source` is what its encoder reads.
    """

    read: tuple[int, ...]
    target: tuple[int, ...]
    places: tuple[int, ...]
    source: tuple[int, ...] = ()


@dataclass(frozen=True)
class TokenAnswers:
    """What both models say at each of the places of one input, the model before first.

    `loss` (2, places) is -ln p of the token that is there, in nats, `guess` (2, places) the most probable
    token with its `probability`, `divergence` (places,) the Kullback-Leibler divergence in nats,
    sum of p ln(p / q) with p what the model before says, q what the one after says.
    """

    places: tuple[int, ...]
    loss: np.ndarray
    guess: tuple[tuple[str, ...], tuple[str, ...]]
    probability: np.ndarray
    same: np.ndarray
    divergence: np.ndarray


@dataclass(frozen=True)
class Mean:
    """Means over the tokens of some inputs, and how far they can be trusted.

    `low` to `high` has 95 % of the mean differences of the loss where inputs are drawn anew, `token_low` to
    `token_high` where tokens are, as if those of one text had nothing to do with each other. NaN of fewer
    than FEWEST.
    """

    inputs: int
    tokens: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    token_low: float
    token_high: float
    divergence: float
    other_guess: float


def asked_of(model: LanguageModel, ids: Sequence[int]) -> Asked:
    """What a model is asked of a text: each token but the first, of a masked one all but special ones."""
    ids = tuple(ids)
    if model.head_kind == "next token":
        return Asked(ids, ids, tuple(range(1, len(ids))))
    special = model.special(ids)
    return Asked(ids, ids, tuple(at for at in range(len(ids)) if at not in special))


def measure_token_answers(
    before: Reader, after: Reader, asked: Mapping[str, Asked], store: Store
) -> Mapping[str, TokenAnswers]:
    """What both say of each input, by its name. Those with nothing to be said are left out."""
    return {name: _measured(before, after, one, store) for name, one in asked.items() if one.places}


def _measured(before: Reader, after: Reader, asked: Asked, store: Store) -> TokenAnswers:
    parts = {
        "before": before.key,
        "after": after.key,
        "source": list(asked.source),
        "read": list(asked.read),
        "target": list(asked.target),
        "places": list(asked.places),
    }
    return store.result(
        "token_answers", VERSION, parts, TokenAnswers, lambda: _answers(before, after, asked)
    )


def _answers(before: Reader, after: Reader, asked: Asked) -> TokenAnswers:
    target = torch.tensor([asked.target[at] for at in asked.places])
    both = logits_at(before, asked), logits_at(after, asked)
    loss: list[list[Tensor]] = [[], []]
    guess: list[list[Tensor]] = [[], []]
    chance: list[list[Tensor]] = [[], []]
    divergence = []
    for start in range(0, len(target), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        logs = [one[some].double().log_softmax(-1) for one in both]
        for side, each in enumerate(logs):
            loss[side].append(-each.gather(1, target[some, None])[:, 0])
            best = each.argmax(1)
            guess[side].append(best)
            chance[side].append(each.gather(1, best[:, None])[:, 0].exp())
        # Rounding can leave a little less than nothing.
        one, other = logs
        said = torch.where(one.exp() > 0, one.exp() * (one - other), 0)
        divergence.append(said.sum(1).clamp_min(0))
    found = [torch.cat(each) for each in guess]
    return TokenAnswers(
        asked.places,
        torch.stack([torch.cat(each) for each in loss]).numpy(),
        (_texts(before, found[0]), _texts(after, found[1])),
        torch.stack([torch.cat(each) for each in chance]).numpy(),
        (found[0] == found[1]).numpy(),
        torch.cat(divergence).numpy(),
    )


def _texts(model: Reader, ids: Tensor) -> tuple[str, ...]:
    return tuple(token_text(model.tokenizer, int(one)) for one in ids)


def logits_at(model: Reader, asked: Asked) -> Tensor:
    """Logits at each place, float32 (places, vocabulary)."""
    if isinstance(model, Seq2SeqModel):
        found = model.run(asked.source, asked.read).logits[0]
        return found[list(asked.places)].float().cpu()
    if model.head_kind == "next token":
        found = model.run(asked.read).logits[0]
        return found[[at - 1 for at in asked.places]].float().cpu()
    if model.head_kind == "masked token":
        return torch.cat(list(_masked(model, asked)))
    raise CutawayError(f"{model.id} predicts no tokens.")


def _masked(model: LanguageModel, asked: Asked) -> Iterator[Tensor]:
    mask, step = int(model.tokenizer.mask_token_id), max(1, TOKENS // len(asked.read))
    for start in range(0, len(asked.places), step):
        places = asked.places[start : start + step]
        rows = [
            [mask if at == place else one for at, one in enumerate(asked.read)] for place in places
        ]
        batch = torch.tensor(rows, device=model.device)
        with torch.no_grad():
            logits = model.module(input_ids=batch, attention_mask=torch.ones_like(batch)).logits
        yield logits[range(len(places)), list(places)].float().cpu()


def mean_of(found: Sequence[tuple[TokenAnswers, np.ndarray]], seed: int, draws: int = 1000) -> Mean:
    """Means over some tokens of each input, (places,) True where one counts."""
    loss = [one.loss[:, chosen] for one, chosen in found if chosen.any()]
    every = np.concatenate(loss, axis=1)
    moved = every[1] - every[0]
    sums = np.array([[(each[1] - each[0]).sum(), each.shape[1]] for each in loss])
    low, high = _interval(sums, seed, draws)
    token_low, token_high = _interval(np.stack([moved, np.ones(len(moved))], axis=1), seed, draws)
    apart = np.concatenate([one.divergence[chosen] for one, chosen in found])
    same = np.concatenate([one.same[chosen] for one, chosen in found])
    before, after = every.mean(1)
    return Mean(
        len(loss), len(moved), float(before), float(after), float(moved.mean()),
        low, high, token_low, token_high, float(apart.mean()), float(1 - same.mean()),
    )  # fmt: skip


def _interval(sums: np.ndarray, seed: int, draws: int) -> tuple[float, float]:
    """Where 95 % of ratios of sums (inputs, 2) lie as inputs are drawn anew; NaN where there are too few."""
    if len(sums) < FEWEST:
        return float("nan"), float("nan")
    drawn = draws_of(len(sums), seed, draws) @ sums
    tail = tail_of(len(sums))
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [tail, 1 - tail])
    return float(low), float(high)
