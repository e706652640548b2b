"""A sparse autoencoder with top-k codes, trained here on what a site of one layer holds (Gao et al. 2024).

x - b is encoded, the k largest codes of each token are kept, and decoded. The encoder starts as the transpose
of the decoder, whose directions keep norm 1; b starts as the geometric median. The error that is left is also
decoded from latents that have been idle (the paper's AuxK, with its weight 1/32), so that they come back.
It sees thousands of tokens where published ones see billions: its latents are of these texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError
from generator.models.dictionary import TOPK, Dictionary, fitting, largest
from generator.models.dictionary_files import load_dictionary
from generator.models.sites import STREAM, find_site
from generator.models.text_model import LanguageModel
from generator.models.token_units import counted_tokens
from generator.probes.passage_states import Passages, States, states_alone
from generator.store import Store

VERSION = 2
LATENTS, K = 1024, 16
STEPS, BATCH = 400, 256
_RATE, _WARM, _COOL = 3e-3, 20, 0.25  # Adam's; steps that it rises, share of steps that it falls
_AUXILIARY = 1 / 32
_MEDIAN = 20  # rounds of Weiszfeld's algorithm: more change nothing that is seen


@dataclass(frozen=True)
class Trained:
    """Weights of a dictionary of a site of `layer`, and what they were trained on.

    `encoder` (width, latents) and its bias, `decoder` (latents, width) and its bias. `tokens` are those that
    were read, of so many `passages`; each was seen `epochs` times on average. `unexplained` (steps,) is the
    share of each batch's variance that was left, `idle` the share of latents that no token had in the last
    pass over all of them.
    """

    layer: int
    site: str
    k: int
    encoder: np.ndarray
    encoder_bias: np.ndarray
    decoder: np.ndarray
    decoder_bias: np.ndarray
    tokens: int
    passages: int
    epochs: float
    seed: int
    unexplained: np.ndarray
    idle: float

    @property
    def said(self) -> str:
        """How it was trained, in a sentence."""
        latents = f"{len(self.decoder):,} latents, up to {self.k} of them a token (top-k)"
        seen = f"{self.tokens:,} tokens of {self.passages:,} passages, each seen {self.epochs:.0f} times"
        return f"Trained here on {seen}: {latents}."


def counted(model: LanguageModel, ids: Sequence[int]) -> Tensor:
    """Which tokens of a passage count, (tokens,): see `counted_tokens`.

    SAELens leaves out BOS, which stands first, EOS, PAD and SEP, wherever they stand.
    """
    return torch.tensor(counted_tokens(model, ids), dtype=torch.bool, device=model.device)


def train_dictionary(
    model: LanguageModel,
    layer: int,
    passages: Passages,
    store: Store,
    *,
    site: str = STREAM,
    latents: int = LATENTS,
    k: int = K,
    steps: int = STEPS,
    seed: int = 0,
    states: States = states_alone,
) -> Trained:
    """A dictionary of a site, the stream that leaves a layer if left out, trained on token ids of passages.

    What it costs depends on steps, width and latents, and not on how many tokens there are. Raises UsageError
    for a layer that is not there, and for fewer tokens than latents. `states` reads what the site holds.
    """
    find_site(model, site, layer)
    if not 0 < k <= latents:
        raise UsageError(f"a token cannot have k = {k:,} of {latents:,} latents.")
    parts = {
        "model": model.key,
        "layer": layer,
        "site": site,
        "passages": [list(ids) for ids in passages],
        "sizes": [latents, k, steps],
        "seed": seed,
    }

    def make() -> Trained:
        read = [ids for ids in passages if len(ids)]
        if not read:
            raise UsageError(f"{model.id}: there is no passage to train a dictionary on.")
        held = zip(states(model, site, layer, read), read, strict=True)
        vectors = torch.cat([x[counted(model, ids)] for x, ids in held])
        found = _train(vectors, latents, k, steps, seed)
        return replace(found, layer=layer, site=site, passages=len(passages))

    return store.result("dictionary_training", VERSION, parts, Trained, make)


def as_dictionary(trained: Trained, name: str, model: LanguageModel) -> Dictionary:
    """What was trained, as a dictionary on the model's device."""
    weights: dict[str, Any] = {
        part: torch.tensor(getattr(trained, part))
        for part in ("encoder", "encoder_bias", "decoder", "decoder_bias")
    }
    made = Dictionary(
        name=name,
        layer=trained.layer,
        site=trained.site,
        writes=trained.site,
        activation=TOPK,
        k=trained.k,
        subtracts=True,
        origin="trained here",
        notes=(trained.said,),
        **weights,
    )
    return fitting(model, made)


def open_dictionary(
    spec: DictionarySpec,
    model: LanguageModel,
    learned: Passages,
    base: Path,
    cache: Path,
    store: Store,
    *,
    seed: int = 0,
    states: States = states_alone,
) -> Dictionary:
    """The dictionary that an exhibit names: loaded from its files, or trained on `learned` passages.

    `base` is the folder that paths start from. Raises UsageError for one that cannot be had, with the reason.
    """
    if not spec.trained:
        return load_dictionary(spec, model, base, cache)
    latents, k = spec.latents or LATENTS, spec.k or K
    trained = train_dictionary(
        model, spec.trained_layer, learned, store, latents=latents, k=k, seed=seed, states=states
    )
    return as_dictionary(trained, spec.name, model)


def _train(x: Tensor, latents: int, k: int, steps: int, seed: int) -> Trained:
    """Train on vectors (tokens, width), wherever they are from."""
    if len(x) < latents:
        raise UsageError(
            f"a dictionary of {latents:,} latents cannot be trained on {len(x):,} tokens: it would hold each "
            "of them.",
            hint="Give more passages, or fewer latents.",
        )
    random = torch.Generator().manual_seed(seed)
    centre = _median(x)
    size = (x - centre).square().mean().sqrt().clamp_min(1e-12)
    with torch.enable_grad():
        coder = _Coder((x - centre) / size, latents, k, random)
        unexplained = [coder.step(batch, steps) for batch in _batches(len(x), steps, random)]
    weights = [
        part.detach().cpu() for part in (coder.encoder.T, coder.bias, coder.decoder, coder.centre)
    ]
    encoder, bias, decoder, shift = weights
    return Trained(
        layer=-1,
        site="",
        passages=0,
        k=k,
        # In the scale of the stream: the size stays with the codes.
        encoder=encoder.contiguous().numpy(),
        encoder_bias=(bias * size.cpu()).numpy(),
        decoder=decoder.numpy(),
        decoder_bias=(shift * size.cpu() + centre.cpu()).numpy(),
        tokens=len(x),
        epochs=steps * min(BATCH, len(x)) / len(x),
        seed=seed,
        unexplained=np.array(unexplained),
        idle=float((coder.idle >= -(-len(x) // BATCH)).float().mean()),
    )


def _median(x: Tensor) -> Tensor:
    """The geometric median of vectors (n, width), which a few huge ones do not move (Weiszfeld 1937)."""
    found = x.mean(0)
    for _ in range(_MEDIAN):
        weights = 1 / (x - found).norm(dim=1).clamp_min(1e-6)
        found = weights @ x / weights.sum()
    return found


def _batches(count: int, steps: int, random: torch.Generator) -> Iterator[Tensor]:
    """Numbers of tokens for each step; every token comes once before any comes again."""
    waiting = torch.zeros(0, dtype=torch.long)
    size = min(BATCH, count)
    for _ in range(steps):
        if len(waiting) < size:
            waiting = torch.cat([waiting, torch.randperm(count, generator=random)])
        yield waiting[:size]
        waiting = waiting[size:]


class _Coder:
    """The autoencoder in training, on vectors x (tokens, width) of mean square 1.

    `decoder` and `encoder` have a row for each latent. All latents are encoded, to see which are largest;
    only those of a token are decoded, and have gradients.
    """

    def __init__(self, x: Tensor, latents: int, k: int, random: torch.Generator) -> None:
        drawn = torch.randn(latents, x.shape[1], generator=random).to(x.device)
        self.x, self.k = x, k
        self.decoder = (drawn / drawn.norm(dim=1, keepdim=True)).requires_grad_()
        self.encoder = self.decoder.detach().clone().requires_grad_()
        self.bias = torch.zeros(latents, device=x.device, requires_grad=True)
        self.centre = torch.zeros(x.shape[1], device=x.device, requires_grad=True)
        self.idle = torch.zeros(latents, device=x.device)  # steps since a token had it
        weights = [self.decoder, self.encoder, self.bias, self.centre]
        self.adam = torch.optim.Adam(weights, lr=_RATE, fused=True)
        self.number = 0

    def step(self, batch: Tensor, steps: int) -> float:
        """One step on some tokens; the share of their variance that is left."""
        falls = min(1.0, (steps - self.number) / (_COOL * steps))
        self.adam.param_groups[0]["lr"] = _RATE * falls * min(1.0, (self.number + 1) / _WARM)
        self.number += 1
        loss, auxiliary = self._losses(self.x[batch])
        self.adam.zero_grad()
        (loss + _AUXILIARY * auxiliary).backward()
        with torch.no_grad():
            # Along a direction of norm 1 nothing can change.
            grown = self.decoder.grad
            assert grown is not None
            grown -= (grown * self.decoder).sum(1, keepdim=True) * self.decoder
            self.adam.step()
            self.decoder /= self.decoder.norm(dim=1, keepdim=True)
        return float(loss.detach())

    def _losses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The share of variance that is left of vectors, and what idle latents leave of that."""
        read = x - self.centre
        with torch.no_grad():
            made = torch.addmm(self.bias, read, self.encoder.T)
            places = made.topk(self.k, dim=-1, sorted=False).indices
        rows = functional.embedding(places, self.encoder)
        codes = ((rows * read[:, None]).sum(-1) + self.bias[places]).relu()
        error = read - functional.embedding_bag(
            places, self.decoder, per_sample_weights=codes, mode="sum"
        )
        loss = error.square().sum() / (x - x.mean(0)).square().sum().clamp_min(1e-12)
        self.idle += 1
        self.idle[places[codes > 0]] = 0
        dead = self.idle * len(x) >= len(self.x)
        count = int(dead.sum())
        if not count:
            return loss, torch.zeros_like(loss)
        some = min(x.shape[1] // 2, count)
        aimed = error.detach()
        woken = largest(read @ self.encoder[dead].T + self.bias[dead], some)
        left = woken @ self.decoder[dead] - aimed
        return loss, left.square().sum() / aimed.square().sum().clamp_min(1e-12)
