"""Loaded models: what every probe is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.errors import UsageError
from generator.exhibit import Preprocessing
from generator.models.calls import called
from generator.models.dispatch import NOWHERE, first_tensor, listen
from generator.models.layer import HIDDEN, Layer
from generator.models.patches import VisionAttention, read_weights
from generator.models.trial import Check, LeftOut


@dataclass(frozen=True)
class Provenance:
    """Where a model's weights come from. `files` maps each downloaded file to its SHA-256.

    `notes` are sentences on how the weights were read, where that is not plain.
    """

    source: str
    origin: str
    revision: str | None
    files: Mapping[str, str]
    weights_sha256: str
    architecture: str
    licence: str
    notes: tuple[str, ...] = ()

    @property
    def random(self) -> bool:
        """Whether the weights were drawn at random: nothing was learned. `origin` is written to say so."""
        return self.origin.startswith("random weights")


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded network in evaluation mode, its layers in the order they are computed.

    `trial` is what was tried when it was opened, `left_out` what is not shown of it, with the reasons.
    """

    id: str
    title: str
    about: str
    kind: str
    module: nn.Module = field(repr=False)
    provenance: Provenance
    layers: tuple[Layer, ...]
    parameters: int
    device: torch.device
    trial: tuple[Check, ...] = field(default=(), kw_only=True)
    left_out: tuple[LeftOut, ...] = field(default=(), kw_only=True)

    @property
    def key(self) -> dict[str, Any]:
        """What a measurement of this model depends on, for the store."""
        return {
            "weights": self.provenance.weights_sha256,
            "architecture": self.provenance.architecture,
            "device": self.device.type,
        }


NO_CLASSES = (
    "This network names no classes: it ends in features, so that there is no logit to explain."
)


Take = Callable[[Layer, Tensor], None]
"""Is handed a layer and a tensor that is live: reduce or copy it at once."""

# Raised when other layers are listed, or responses are read in another way: all is measured anew.
READING = 3


@dataclass(frozen=True, eq=False)
class TwoTowers:
    """The whole of a network of two towers.

    `module` is given pictures, and texts as `tokens` reads them, which is how it was trained; it answers with
    `text_embeds` and `logits_per_image`. `shares` is what its cosines are made into probabilities with:
    "softmax" over texts, or the "sigmoid" of each pair.
    """

    module: Any = field(repr=False)
    tokens: Callable[[list[str]], dict[str, Tensor]] = field(repr=False)
    shares: str

    @property
    def scale(self) -> float:
        """What a cosine is multiplied with."""
        return float(self.module.logit_scale.exp())

    @property
    def bias(self) -> float:
        """What is added to it then; 0 where there is none."""
        bias = getattr(self.module, "logit_bias", None)
        return 0.0 if bias is None else float(bias)

    def read(self, texts: list[str]) -> dict[str, Tensor]:
        """Texts as the network reads them, where it is."""
        device = self.module.logit_scale.device
        return {name: found.to(device) for name, found in self.tokens(texts).items()}


@dataclass(frozen=True, eq=False)
class VisionModel(Model):
    """A network that takes a picture. `filters` holds each weighted layer's weight tensor.

    `labels` are the names of its classes; none where it ends in features, as the towers of many
    text-and-picture models do: `no_classes` says why. `exclusive` is False where several classes can be
    right at once.
    `attention` is that of a vision transformer; where it cannot be shown, `no_attention` says why.
    `towers` is the whole that a picture tower belongs to, where it is compared with texts.
    `batched` says whether it computes the same operations for several pictures at once as for one,
    `calls` how often it calls the modules that were seen to return the responses of its layers.
    """

    preprocessing: Preprocessing
    labels: tuple[str, ...]
    filters: Mapping[str, Tensor] = field(repr=False)
    paged: frozenset[str]
    with_units: frozenset[str]
    attention: VisionAttention | None = None
    no_attention: str = ""
    batched: bool = True
    calls: Mapping[str, int] = field(default_factory=dict, repr=False)
    no_classes: str = NO_CLASSES
    exclusive: bool = True
    towers: TwoTowers | None = field(default=None, repr=False)

    @property
    def key(self) -> dict[str, Any]:
        """Adds how pictures are prepared, how layers are read, and how answers become shares."""
        how = self.preprocessing.pixels
        shares = {} if self.exclusive else {"exclusive": False}
        called = any(layer.function >= 0 for layer in self.layers)
        functions = {"functions": called} if called else {}
        # Networks without such layers keep what was measured of them before these were listed.
        hidden = [layer.name for layer in self.layers if layer.kind == HIDDEN]
        added = {"hidden": hidden} if hidden else {}
        read = {"preprocessing": how, "reading": READING}
        return {**super().key, **read, **shares, **functions, **added}

    @property
    def spatial(self) -> list[Layer]:
        """Its layers with more than one position."""
        return [layer for layer in self.layers if len(layer.shape) == 3 and layer.shape[-1] > 1]

    def shares(self, logits: Tensor) -> Tensor:
        """Probabilities (..., classes): a softmax, or a sigmoid of each where several can be right."""
        return logits.softmax(-1) if self.exclusive else logits.sigmoid()

    def run(self, pixels: np.ndarray, take: Callable[[Layer, Tensor], None]) -> Tensor:
        """Run one picture (3, H, W); hand `take` each layer's response, channels first.

        A response is (C, H, W), or (C, positions) where positions are not those of a picture. It is live:
        reduce or copy it at once. Returns the logits, shape (classes,).
        """

        def hand(layer: Layer, response: Tensor) -> None:
            take(layer, units_first(layer, response))

        batch = torch.from_numpy(pixels).unsqueeze(0).to(self.device)
        with self._heard(self.layers, hand, None, batch):
            output = self.module(batch)
        return logits_of(output)[0].float().cpu()

    def attend(self, pixels: np.ndarray, take: Callable[[int, Tensor], None]) -> None:
        """Run one picture (3, H, W) through a vision transformer.

        `take` is handed each block's number and its weights (heads, tokens, tokens), which are live.
        """
        if self.attention is None:
            raise UsageError(f"{self.id} has no attention over patches.")
        batch = torch.from_numpy(pixels).unsqueeze(0).to(self.device)
        read_weights(self.module, self.attention, batch, take)

    def run_batch(
        self, batch: Tensor, layers: Sequence[Layer], take: Take, enter: Take | None = None
    ) -> None:
        """Run pictures (N, 3, H, W); hand `take` the responses (N, C, H, W) of some spatial layers.

        `enter` is handed the pre-activations, in the same shape and before the response, of those layers
        that have them (`Layer.preactivation`).
        """
        if self.batched:
            self._listen(batch, layers, take, enter)
            return
        made: dict[str, list[Tensor]] = {layer.name: [] for layer in layers}
        entered: dict[str, list[Tensor]] = {layer.name: [] for layer in layers}
        for one in batch.split(1):
            self._listen(
                one,
                layers,
                lambda layer, found: made[layer.name].append(found.clone()),
                (lambda layer, found: entered[layer.name].append(found.clone())) if enter else None,
            )
        for layer in layers:
            if enter and entered[layer.name]:
                enter(layer, torch.cat(entered[layer.name]))
            take(layer, torch.cat(made[layer.name]))

    def _listen(
        self, batch: Tensor, layers: Sequence[Layer], take: Take, enter: Take | None
    ) -> None:
        def to(given: Take) -> Take:
            return lambda layer, found: given(layer, _batch_units_first(layer, found))

        with self._heard(layers, to(take), to(enter) if enter else None, batch):
            self.module(batch.to(self.device))

    def hooked(self, layers: Sequence[Layer], *, entering: bool = False) -> bool:
        """Whether responses of some layers are read from modules, and with `entering` what they activate.

        Other operations that give the same may then take the place of those that were traced.
        """
        without = (each for each in layers if entering and each.preactivation != NOWHERE)
        return all(each.module in self.calls for each in layers) and all(e.entry for e in without)

    def _heard(
        self, layers: Sequence[Layer], take: Take, enter: Take | None, batch: Tensor
    ) -> AbstractContextManager[object]:
        """Within the block, one pass of `batch`, hand `take` responses as they are computed, and `enter`."""
        if self.hooked(layers, entering=enter is not None):
            return called(self.module, layers, take, self.calls, enter)
        wanted = {layer.name: (layer, layer.operation, take) for layer in layers}
        for layer in layers:
            if enter and layer.preactivation != NOWHERE:
                wanted[f"{layer.name}:enters"] = layer, layer.preactivation, enter

        def hand(name: str, found: Tensor) -> None:
            layer, _, to = wanted[name]
            to(layer, found)

        side, points = self.preprocessing.size, {name: each[1] for name, each in wanted.items()}
        return listen(points, hand, len(batch), resized=batch.shape[2:] != (side, side))


def logits_of(output: Any) -> Tensor:
    """The logits (N, classes) in what a classifier returns; the features of a network without classes."""
    found = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    logits = first_tensor(output) if found is None else found
    if logits is None:
        raise UsageError(f"the network returns no tensor, but a {type(output).__name__}.")
    return logits


def _batch_units_first(layer: Layer, response: Tensor) -> Tensor:
    return response if layer.axis == 1 else response.movedim(layer.axis, 1)


def units_first(layer: Layer, response: Tensor) -> Tensor:
    """A response to one picture as (units, rows, columns), or (units, positions)."""
    if len(layer.shape) == 3:
        return _batch_units_first(layer, response)[0]
    if layer.axis == -1:
        return response.flatten(0, -2).t()
    return response.movedim(layer.axis, 0).flatten(1)
