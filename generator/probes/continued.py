"""Losses of what follows a beginning that several sequences share: the beginning is run once.

What each token before has left, its keys and values, is kept by the library (a decoder's cache). Whether runs
that go on from there answer as whole ones do is tried on one sequence; where they do not, all are run whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.models.stream import ResidualEnds, find_ends
from generator.models.text_model import LanguageModel
from generator.probes.ablation import token_losses
from generator.probes.embedding import TOKENS, next_token_losses

VERSION = 1
_CLOSE = 1e-3  # nats: two float32 paths to one number
Ids = tuple[int, ...]


def continued_losses(
    model: LanguageModel, sequences: Sequence[Ids], shared: Sequence[int]
) -> list[np.ndarray]:
    """-ln p of each token behind the first `shared` ones of each sequence, at least one, in nats."""
    groups: dict[int, dict[Ids, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, (ids, count) in enumerate(zip(sequences, shared, strict=True)):
        groups[count][ids[:count]].append(number)
    try:
        ends = find_ends(model)
        if ends.unembedding is None or not _continues(model, ends, sequences[0], shared[0]):
            raise CutawayError("it cannot be continued.")
    except CutawayError:
        whole = next_token_losses(model, sequences)
        return [losses[count - 1 :] for losses, count in zip(whole, shared, strict=True)]
    found = [np.zeros(0)] * len(sequences)
    for beginnings in groups.values():
        for number, losses in _continued(model, ends, sequences, beginnings):
            found[number] = losses
    return found


def _continues(model: LanguageModel, ends: ResidualEnds, ids: Ids, count: int) -> bool:
    """Whether a run that goes on answers as a whole one does."""
    plain = next_token_losses(model, [ids])[0][count - 1 :]
    try:
        ((_, losses),) = _continued(model, ends, [ids], {ids[:count]: [0]})
    except Exception:  # at the border to a library any exception can come
        return False
    return bool(np.abs(losses - plain).max(initial=0) <= _CLOSE)


def _continued(
    model: LanguageModel,
    ends: ResidualEnds,
    sequences: Sequence[Ids],
    beginnings: Mapping[Ids, Sequence[int]],
) -> list[tuple[int, np.ndarray]]:
    """Numbers of the sequences with some beginnings of one length, and the losses of what follows."""
    every, found = list(beginnings), list[tuple[int, np.ndarray]]()
    longest = max(len(sequences[n]) for numbers in beginnings.values() for n in numbers)
    most = max(map(len, beginnings.values()))
    step = max(1, TOKENS // (longest * most))
    for start in range(0, len(every), step):
        some = every[start : start + step]
        rows = [(row, n) for row, beginning in enumerate(some) for n in beginnings[beginning]]
        behind = [sequences[n][len(some[0]) :] for _, n in rows]
        states = _states(model, ends, some, [row for row, _ in rows], behind)
        every_one = [one for ids in behind for one in ids]
        targets = torch.tensor(every_one, dtype=torch.long, device=model.device)
        kept = torch.cat([own[: len(ids)] for own, ids in zip(states, behind, strict=True)])
        losses = token_losses(ends, kept, targets).double().cpu().numpy()
        each = np.split(losses, np.cumsum([len(ids) for ids in behind])[:-1])
        found += zip((n for _, n in rows), each, strict=True)
    return found


def _states(
    model: LanguageModel,
    ends: ResidualEnds,
    beginnings: Sequence[Ids],
    rows: Sequence[int],
    behind: Sequence[Ids],
) -> Tensor:
    """Final states (sequences, longest) from which the tokens behind beginnings are predicted, in order."""
    from transformers import DynamicCache

    ids, order = torch.tensor(beginnings, device=model.device), torch.tensor(rows)
    body: Any = ends.body
    with torch.no_grad():
        before = body(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True)
        last = before.last_hidden_state[order, -1:]
        read = [one[:-1] for one in behind]  # nothing is predicted from the last
        wide = max(map(len, read))
        if not wide:
            return last
        kept = [(layer[0][order], layer[1][order]) for layer in before.past_key_values]
        more = torch.tensor(
            [[*one, *([one[-1] if one else 0] * (wide - len(one)))] for one in read],
            device=model.device,
        )
        seen = torch.ones(len(rows), ids.shape[1] + wide, dtype=torch.long, device=model.device)
        after = body(
            input_ids=more,
            attention_mask=seen,
            use_cache=True,
            past_key_values=DynamicCache(kept),
        )
    return torch.cat([last, after.last_hidden_state], 1)
