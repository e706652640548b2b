"""Sparse dictionaries (autoencoders, transcoders): a layer's vectors as sums of few of many directions.

A vector x of a site is encoded as codes, one a latent and most of them zero, and decoded as their sum of
directions (Bricken et al. 2023). A transcoder reads at one site and decodes what another holds (Dunefsky
et al. 2024). Activations of latents: ReLU, top-k (Gao et al. 2024), JumpReLU (Rajamanoharan et al. 2024b),
gated (Rajamanoharan et al. 2024a).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from generator.errors import UsageError
from generator.models.digest import state_digest
from generator.models.sites import MLP_IN, WORDS, find_site
from generator.models.stream import find_ends
from generator.models.text_model import LanguageModel
from generator.store import digest_of

VERSION = 1
RELU, TOPK, JUMPRELU, GATED = ("relu", "topk", "jumprelu", "gated")
PLAIN, NORM, LAYER_NORM, CENTRED = ("none", "norm", "layer norm", "centred")
_EPS = 1e-5  # as SAELens adds it to the deviation


@dataclass(frozen=True, eq=False)
class Dictionary:
    """A sparse dictionary of one layer.

    It reads at `site` and decodes what `writes` holds: the same but in a transcoder. `encoder` (width,
    latents), `encoder_bias` (latents,), `decoder` (latents, width of `writes`), `decoder_bias` (width,).
    `threshold` (latents,) is JumpReLU's; of gated latents `gain` (latents,) and `gain_bias` (latents,) make
    the size, the encoder and its bias the gate. x `skip` (width, width of `writes`) is added to what is
    decoded of x. `subtracts` says that `decoder_bias` is taken from what is read. `scaling` is done to each
    vector before, and undone behind: nothing, "norm" (to the norm sqrt(width)), "layer norm" (mean 0,
    deviation 1), "centred" (mean 0). `begins` says that it was trained on texts that begin with a BOS token.
    """

    name: str
    layer: int
    site: str
    writes: str
    activation: str
    encoder: Tensor = field(repr=False)
    encoder_bias: Tensor = field(repr=False)
    decoder: Tensor = field(repr=False)
    decoder_bias: Tensor = field(repr=False)
    k: int = 0
    threshold: Tensor | None = field(default=None, repr=False)
    gain: Tensor | None = field(default=None, repr=False)
    gain_bias: Tensor | None = field(default=None, repr=False)
    skip: Tensor | None = field(default=None, repr=False)
    subtracts: bool = False
    scaling: str = PLAIN
    begins: bool = False
    origin: str = ""
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The width of what is read."""
        return int(self.encoder.shape[0])

    @property
    def latents(self) -> int:
        """How many latents there are."""
        return int(self.encoder.shape[1])

    @property
    def transcodes(self) -> bool:
        """Whether what is decoded is held by another site than what is read."""
        return self.site != self.writes

    @property
    def where(self) -> str:
        """What it reads, in words."""
        return WORDS[self.site].format(self.layer)

    @cached_property
    def key(self) -> str:
        """Digest of its weights and of all settings that change a code."""
        settings = {
            name: getattr(self, name)
            for name in (
                "layer",
                "site",
                "writes",
                "activation",
                "k",
                "subtracts",
                "scaling",
                "begins",
            )
        }
        return digest_of({"weights": state_digest(self.tensors), **settings})

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Its weights by name."""
        return {name: one for name, one in vars(self).items() if isinstance(one, Tensor)}

    def to(self, device: torch.device) -> Dictionary:
        """The same with its weights on a device."""
        moved = {name: one.to(device) for name, one in self.tensors.items()}
        return replace(self, **moved)  # type: ignore[arg-type]

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, latents) of vectors (n, width) of the site that is read."""
        read = self._scaled(x.float())[0]
        if self.subtracts:
            read = read - self.decoder_bias
        made = read @ self.encoder
        if self.activation == GATED:
            assert self.gain is not None and self.gain_bias is not None
            size = (made * self.gain + self.gain_bias).relu()
            return size * (made + self.encoder_bias > 0)
        made = made + self.encoder_bias
        if self.activation == TOPK:
            return largest(made, self.k)
        if self.activation == JUMPRELU:
            assert self.threshold is not None
            return made.relu() * (made > self.threshold)
        return made.relu()

    def decode(self, codes: Tensor) -> Tensor:
        """Vectors (n, width of `writes`) that codes (n, latents) stand for.

        They are in the scale in which the dictionary was trained, and without what a skip connection adds:
        `reconstruct` has both.
        """
        return codes @ self.decoder + self.decoder_bias

    def reconstruct(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        """What the dictionary makes of vectors (n, width), with other codes in place of theirs if given."""
        x = x.float()
        made = self.decode(self.encode(x) if codes is None else codes)
        if self.skip is not None:
            made = made + x @ self.skip
        _, shift, scale = self._scaled(x)
        return made if self.transcodes else made * scale + shift

    def _scaled(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors as the dictionary reads them; shift and scale (n, 1) that give them back."""
        shift, scale = torch.zeros_like(x[:, :1]), torch.ones_like(x[:, :1])
        if self.scaling in (LAYER_NORM, CENTRED):
            shift = x.mean(-1, keepdim=True)
        if self.scaling == LAYER_NORM:
            scale = x.var(-1, keepdim=True).sqrt()
            return (x - shift) / (scale + _EPS), shift, scale
        if self.scaling == NORM:
            scale = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
            return x / scale, shift, scale
        return x - shift, shift, scale


def largest(made: Tensor, k: int) -> Tensor:
    """The k largest values of each row that are above zero, and zero elsewhere."""
    values, places = made.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(made).scatter_(-1, places, values.relu())


def fitting(model: LanguageModel, dictionary: Dictionary) -> Dictionary:
    """The dictionary, on the model's device. Raises UsageError if it does not fit the model."""
    name, width = f"{model.id}: the dictionary '{dictionary.name}'", int(model.layers[0].shape[0])
    for site, wide in (
        (dictionary.site, dictionary.width),
        (dictionary.writes, dictionary.decoder.shape[1]),
    ):
        find_site(model, site, dictionary.layer)
        if wide != width:
            raise UsageError(
                f"{name} is of vectors of width {wide:,}, and {WORDS[site].format(dictionary.layer)} has "
                f"width {width:,}. It was made for another model."
            )
    if dictionary.scaling == CENTRED:
        norm = find_ends(model).final_norm
        if norm is None or not norm.centred or MLP_IN in (dictionary.site, dictionary.writes):
            raise UsageError(
                f"{name} is of vectors with mean 0 (centred writing weights). That changes nothing where the "
                f"stream is read by layer norms alone, which does not hold of {model.title}."
            )
    return dictionary.to(model.device)
