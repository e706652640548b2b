"""Sentences as vectors, and sentences as probabilities: what probes of whole sentences share.

A sentence's embedding is what its folder states, of the final representation of its tokens, special tokens
included; the mean over all of them where nothing is stated (Reimers & Gurevych 2019).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from generator.errors import UsageError
from generator.models.stated import pooled
from generator.models.text_model import LanguageModel
from generator.models.token_units import padded
from generator.models.tokens import check_rows

TOKENS = 1024  # in flight at once: more is no faster, and costs memory


def token_ids(model: LanguageModel, sentence: str) -> tuple[int, ...]:
    """A sentence as the model's tokenizer writes it, special tokens included. Raises UsageError."""
    ids = tuple(int(i) for i in model.tokenizer(sentence)["input_ids"])
    if not 0 < len(ids) <= model.max_tokens:
        raise UsageError(
            f"'{sentence[:60]}' has {len(ids)} tokens; {model.title} takes 1 to {model.max_tokens}."
        )
    check_rows(ids, model.module, model.tokenizer, sentence[:60], model.title)
    return ids


def embed(model: LanguageModel, sentences: Sequence[str]) -> np.ndarray:
    """Unit vectors (sentences, width) of the final representation, pooled as the model states."""
    found = []
    for sentence in sentences:
        final = model.run(token_ids(model, sentence)).last_hidden_state[0]
        found.append(
            functional.normalize(pooled(final.double(), model.pooling), dim=0).cpu().numpy()
        )
    return np.stack(found)


def next_token_losses(model: LanguageModel, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """-ln p(token | tokens before it) of all tokens but the first, in nats: (n - 1,) a sequence.

    Sequences are padded at the end, which no earlier token sees under a causal mask.
    """
    found: list[np.ndarray] = []
    longest = max(map(len, sequences), default=1)
    step = max(1, TOKENS // longest)
    for start in range(0, len(sequences), step):
        chosen = sequences[start : start + step]
        batch, mask = padded(model, chosen)
        with torch.no_grad():
            logits = model.module(input_ids=batch, attention_mask=mask).logits
        for row, ids in zip(logits, chosen, strict=True):  # all of them take memory once more
            own, target = row[: len(ids) - 1], torch.tensor(ids[1:], device=row.device)
            losses = own.logsumexp(-1) - own.gather(-1, target[:, None])[:, 0]
            found.append(losses.double().cpu().numpy())
    return found


def masked_losses(
    model: LanguageModel, ids: Sequence[int], places: Sequence[Sequence[int]]
) -> list[np.ndarray]:
    """-ln p(token | all others) for each set of places, in nats, its places masked together."""
    mask, rows = int(model.tokenizer.mask_token_id), []
    for chosen in places:
        row = list(ids)
        for place in chosen:
            row[place] = mask
        rows.append(row)
    found: list[np.ndarray] = []
    step = max(1, TOKENS // len(ids))
    for start in range(0, len(rows), step):
        batch = torch.tensor(rows[start : start + step], device=model.device)
        with torch.no_grad():
            logits = model.module(input_ids=batch, attention_mask=torch.ones_like(batch)).logits
        logs = logits.double().log_softmax(-1).cpu()
        for number, chosen in enumerate(places[start : start + step]):
            found.append(np.array([-float(logs[number, place, ids[place]]) for place in chosen]))
    return found
