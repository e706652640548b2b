"""Building blocks: what a layer says of each cell of a picture, and what that does to the classes.

After Olah et al. 2018. The response A (channels, height, width) of one layer is a grid of cells. Each cell
has a *semantic dictionary*, the channels that respond most there. What A does to the logit S of a class is
attributed in two ways, both in logits:

    linear:  A * dS/dA, the gradient taken at A itself: the first-order guess of what the logit
             would lose without a part of A. It need not add up to anything.
    path:    A * (mean of dS/dA at t A, t from 0 to 1), integrated gradients (Sundararajan et al.
             2017) from the silent layer A = 0. It adds up to S(A) - S(0), within 1 % where that is reached.

*Groups* of channels that respond together are in `channel_groups`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from generator.models.layer import Layer
from generator.models.model import VisionModel, logits_of
from generator.models.tap import tail, tapped
from generator.models.trial import CLOSE, apart
from generator.probes.channel_groups import GROUPS, ITERATIONS, Groups, find_groups
from generator.probes.exemplars import unit_layers
from generator.probes.integrated_gradients import MOST, SHORT, TOLERANCE, by_trapezoids
from generator.store import Store, digest_of_value, empty

VERSION = 4
CLASSES = 4
LISTED = 4
BATCH = 8
CELLS = (4, 256)
NEAR = 6


@dataclass(frozen=True)
class BuildingBlocks:
    """One layer's response to one picture, taken apart; empty, with a `reason`, where that fails.

    `labels`, `logits` and `probabilities` (classes,) are the picture's most probable classes, none of a
    network without any; `silent` are their logits for A = 0. `response` is A (channels, height, width).
    `gradient` and `path` (classes, channels, height, width) are what A is multiplied with. `dictionary`
    (height, width, LISTED) holds the channels that respond most in each cell, -1 where fewer are above 0.
    `points` is at how many points of the way the gradients of `path` were taken.
    """

    picture: str
    layer: str
    reason: str = ""
    labels: tuple[str, ...] = ()
    logits: np.ndarray = empty(0)
    probabilities: np.ndarray = empty(0)
    silent: np.ndarray = empty(0)
    response: np.ndarray = empty(0, 0, 0)
    gradient: np.ndarray = empty(0, 0, 0, 0)
    path: np.ndarray = empty(0, 0, 0, 0)
    points: int = 0
    dictionary: np.ndarray = empty(0, 0, 0)
    groups: Groups | None = None

    @property
    def full(self) -> float:
        """What only a tenth of the cells reach with their strongest channel."""
        return float(np.quantile(self.response.max(axis=0), 0.9))

    @property
    def path_error(self) -> np.ndarray:
        """By what share of the fall of the logit S(A) - S(0) the path's sum misses it, (classes,)."""
        fall = self.logits - self.silent
        missed = np.abs(self.of_channels(self.path).sum(1) - fall)
        return np.divide(missed, np.abs(fall), out=np.full_like(fall, np.nan), where=fall != 0)

    def of_cells(self, gradient: np.ndarray) -> np.ndarray:
        """Attribution to each class of each cell, summed over channels: (classes, height, width)."""
        return np.einsum("cyx,kcyx->kyx", self.response, gradient, dtype=np.float64)

    def of_channels(self, gradient: np.ndarray) -> np.ndarray:
        """Attribution to each class of each channel, summed over cells: (classes, channels)."""
        return np.einsum("cyx,kcyx->kc", self.response, gradient, dtype=np.float64)


def blocks_layer(model: VisionModel) -> Layer | None:
    """The layer to take apart: the last one on the finest grid of at most 16 x 16 cells.

    Layers whose units have pages come first, then the outputs of blocks, then any. None if no layer
    has a grid.
    """

    def fits(layer: Layer) -> bool:
        grid = layer.shape[1:]
        return layer.tapped and len(grid) == 2 and CELLS[0] <= grid[0] * grid[1] <= CELLS[1]

    blocks = [layer for layer in model.layers if layer.kind == "block"]
    for layers in (unit_layers(model), blocks, model.layers):
        # The last convolution is wide and coarse: block outputs before it read better.
        usable = [layer for layer in layers if fits(layer)]
        if usable:
            finest = max(layer.shape[1] * layer.shape[2] for layer in usable)
            return [layer for layer in usable if layer.shape[1] * layer.shape[2] == finest][-1]
    return None


def near_box(
    layer: Layer, place: int, size: int, centre: np.ndarray | None = None
) -> tuple[int, int, int, int]:
    """Left, top, width and height of the NEAR strides around what one position sees, in pixels.

    The exact receptive field of a middle layer is as large as the picture; a tile that stands for a
    channel shows what counts most: what lies around the `centre` (column, row) that was measured of the
    response, or the middle of the field where none was. Whole where the field is not known.
    """
    field = layer.receptive_field
    if field is None or field[0].whole or field[1].whole:
        return 0, 0, size, size
    side = min(size, NEAR * max(axis.stride for axis in field))
    corner = []
    positions = zip(divmod(place, layer.shape[-1]), field, strict=True)
    middle = [position * axis.stride + axis.start + axis.size / 2 for position, axis in positions]
    if centre is not None and np.isfinite(centre).all():
        middle = [float(centre[1]), float(centre[0])]
    for each in middle:
        corner.append(int(np.clip(round(each - side / 2), 0, size - side)))
    return corner[1], corner[0], side, side


def measure_building_blocks(
    model: VisionModel,
    picture: str,
    pixels: np.ndarray,
    layer: Layer | None,
    store: Store,
    most: int = MOST,
) -> BuildingBlocks:
    """Take one layer's response to a picture (3, H, W), normalised, apart; see `blocks_layer`.

    Gradients are taken at `most` points of the path at most.
    """
    if layer is None:
        return BuildingBlocks(picture, "", "No layer of this network has a grid of cells.")
    if not layer.tapped or len(layer.shape) != 3:
        reason = f"No call of a module or an activation returns {layer.name}."
        return BuildingBlocks(picture, layer.name, reason)
    settings = (CLASSES, LISTED, GROUPS, ITERATIONS, TOLERANCE, most, SHORT, BATCH)
    parts = {
        "model": model.key,
        "picture": picture,
        "pixels": digest_of_value(pixels),
        "layer": layer.name,
        "settings": settings,
        "labels": digest_of_value(model.labels),
    }

    def make() -> BuildingBlocks:
        return _take_apart(model, picture, pixels, layer, most)

    return store.result("building_blocks", VERSION, parts, BuildingBlocks, make)


def _take_apart(
    model: VisionModel, picture: str, pixels: np.ndarray, layer: Layer, most: int
) -> BuildingBlocks:
    batch = torch.from_numpy(pixels).unsqueeze(0).to(model.device)
    response, logits = tail(model, batch, layer)
    classes = _most_probable(logits[0]) if model.labels else []
    active = response.detach()[0]
    gradient = active.new_zeros(len(classes), *active.shape)
    for k, c in enumerate(classes):
        gradient[k] = torch.autograd.grad(logits[0, c], response, retain_graph=True)[0][0]
    tailed = _Tail(model, layer, batch, classes, active)
    values, slopes = _values(active), _values(gradient)
    path, points = np.zeros_like(slopes), 0
    if classes:
        way = by_trapezoids(tailed.run, active, most, BATCH)
        path, points = way.gradient, way.points
    ends = tailed.logits([active, torch.zeros_like(active)])
    return BuildingBlocks(
        picture=picture,
        layer=layer.name,
        labels=tuple(model.labels[c] for c in classes),
        logits=ends[0],
        probabilities=model.shares(logits.detach()[0].double())[classes].cpu().numpy(),
        silent=ends[1],
        response=values,
        gradient=slopes,
        path=path,
        points=points,
        dictionary=dictionary_of(values),
        groups=find_groups(tailed.logits, active, slopes, path),
    )


def _most_probable(logits: Tensor) -> list[int]:
    # Logits that differ in the last bits only are a tie, which the lower index wins.
    values = np.round(_values(logits), 5)
    return [int(c) for c in np.argsort(-values, kind="stable")[:CLASSES]]


def _values(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def dictionary_of(response: np.ndarray) -> np.ndarray:
    """The LISTED strongest channels of each cell, (height, width, LISTED); -1 for none above zero."""
    rounded = np.round(response, 5)
    order = np.argsort(-rounded, axis=0, kind="stable")[:LISTED]
    found = np.where(np.take_along_axis(rounded, order, axis=0) > 0, order, -1)
    missing = LISTED - len(found)
    return np.pad(found, ((0, missing), (0, 0), (0, 0)), constant_values=-1).transpose(1, 2, 0)


@dataclass(frozen=True, eq=False)
class _Tail:
    """The network behind a layer, for one picture, whose response is `active`, and some classes."""

    model: VisionModel
    layer: Layer
    batch: Tensor
    classes: list[int]
    active: Tensor

    def run(self, responses: Tensor) -> Tensor:
        """Logits (N, classes) for other responses (N, C, H, W) in the layer's place."""
        return self._run(responses, 1 if self.grows else len(responses))

    @cached_property
    def grows(self) -> bool:
        """Whether the picture can be run once up to the layer, and all responses from there.

        Not where what passes by the layer, over a shortcut, must be of the same batch size.
        """
        responses = torch.stack([self.active, self.active / 2])
        try:
            with torch.no_grad():
                both = self._run(responses, 1), self._run(responses, 2)
        except (RuntimeError, IndexError):
            return False
        return apart(*both) <= CLOSE

    def _run(self, responses: Tensor, pictures: int) -> Tensor:
        batch = self.batch.expand(pictures, -1, -1, -1)
        with tapped(self.model, (self.layer,), lambda _layer, _response: responses.clone()):
            return logits_of(self.model.module(batch))[:, self.classes]

    def logits(self, responses: Sequence[Tensor]) -> np.ndarray:
        """Logits (N, classes), float64, a batch at a time."""
        found = []
        with torch.no_grad():
            for start in range(0, len(responses), BATCH):
                found.append(self.run(torch.stack(list(responses[start : start + BATCH]))))
        return _values(torch.cat(found)).astype(np.float64)
