"""The render loop: raises the objectives of a batch of pictures together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from generator.models.intake import sees_grey
from generator.models.layer import Layer
from generator.models.model import VisionModel, logits_of
from generator.models.tap import responses, tapped
from generator.probes.optvis.folding import Folded, Folding, foldable, leak
from generator.probes.optvis.objectives import Objective, Seen, values
from generator.probes.optvis.parametrisation import Pictures, grounds, over
from generator.probes.optvis.transforms import Shake, draw_views, view

WAKING = 16  # first steps, in which a picture without any gradient gets a redirected one


@dataclass(frozen=True)
class Recipe:
    """How pictures are made: side in pixels, steps of Adam, its first rate, and what views do.

    The spectrum falls as 1 / f ** `decay`: a larger one brings broad shapes and strong colours. Above
    `cut`, in cycles a pixel, it is held down. The mean is stepped `lead` times as far.

    With `alpha` pictures are transparent where the objective does not care (Lucid): they are seen over
    random grounds, and the objective is scaled by 1 - mean(alpha), so that less is drawn.
    """

    size: int = 128
    steps: int = 256
    rate: float = 0.05
    decay: float = 1.0
    cut: float = math.inf
    lead: float = 1.0
    shake: Shake = field(default_factory=Shake)
    alpha: bool = False


@dataclass(frozen=True)
class Drawn:
    """Pictures (N, size, size, 3 or 4) uint8 and the objective of each view, (steps, N)."""

    pictures: np.ndarray
    course: np.ndarray


def see(model: VisionModel, batch: Tensor, objectives: Sequence[Objective]) -> Seen:
    """What the network answers to pixels (N, 3, H, W) in (0, 1), with its gradient.

    The pass ends behind the last layer that an objective needs.
    """
    wanted = frozenset().union(*(objective.layers for objective in objectives))
    layers = [layer for layer in model.layers if layer.name in wanted]
    ready = normalised(model, batch).contiguous(memory_format=torch.channels_last)
    if not any(objective.needs_logits for objective in objectives):
        return Seen(responses(model, ready, layers))
    kept: dict[str, Tensor] = {}

    def touch(layer: Layer, response: Tensor) -> Tensor:
        kept[layer.name] = response
        return response.clone()  # an activation that works in place must not write over it

    with tapped(model, layers, touch):
        logits = logits_of(model.module(ready))
    return Seen(kept, logits)


def normalised(model: VisionModel, batch: Tensor) -> Tensor:
    """Pixels in [0, 1] as the network was trained to see them."""
    mean, std = (
        batch.new_tensor(each)[:, None, None]
        for each in (model.preprocessing.mean, model.preprocessing.std)
    )
    return (batch - mean) / std


def optimise(
    model: VisionModel,
    objectives: Sequence[Objective],
    recipe: Recipe,
    seeds: Sequence[int],
    folds: Sequence[Folded] | None = None,
) -> Drawn:
    """One picture an objective, all in one batch, each with its own seed.

    On one machine the same batch gives the same pictures (on a GPU but for the order of its sums). In
    another batch a picture starts and is shaken alike, and differs by what rounding makes of it.
    """
    loop = _Loop(model, objectives, recipe, seeds, foldable(model) if folds is None else folds)
    adam = torch.optim.Adam([loop.pictures.spectra], lr=recipe.rate)
    course = []
    for step in range(recipe.steps):
        falls = 0.5 * (1 + math.cos(math.pi * (step / recipe.steps)))
        adam.param_groups[0]["lr"] = recipe.rate * falls
        course.append(loop.find_gradient(step))
        adam.step()
    with torch.no_grad():
        shown = loop.pictures().movedim(1, -1).mul(255).round().to(torch.uint8)
    return Drawn(shown.cpu().numpy(), torch.stack(course).cpu().numpy())


class _Loop:
    """The pictures of one batch and everything that stays the same from step to step."""

    def __init__(
        self,
        model: VisionModel,
        objectives: Sequence[Objective],
        recipe: Recipe,
        seeds: Sequence[int],
        folds: Sequence[Folded],
    ) -> None:
        self.pictures = Pictures(
            seeds,
            recipe.size,
            device=model.device,
            decay=recipe.decay,
            cut=recipe.cut,
            lead=recipe.lead,
            alpha=recipe.alpha,
            grey=sees_grey(model),
        )
        self._model, self._objectives, self._recipe = model, objectives, recipe
        self._seeds, self._folds = seeds, folds
        shaken = [seed + 1 for seed in seeds]
        self._maps = draw_views(shaken, recipe.steps, recipe.shake, recipe.size).to(model.device)

    def find_gradient(self, step: int) -> Tensor:
        """Put the gradient of the loss, minus the objectives, at the spectra; return the objectives."""
        spectra = self.pictures.spectra
        found = self._ask(step)
        (spectra.grad,) = torch.autograd.grad(-found.sum(), spectra)
        if step < WAKING:
            peaks = spectra.grad.flatten(1).abs().amax(1)
            asleep = [sample for sample, peak in enumerate(peaks.tolist()) if peak == 0]
            if asleep:
                woken = self._ask(step, asleep, redirect=True)
                spectra.grad += torch.autograd.grad(-woken.sum(), spectra)[0]
        return found.detach()

    def _ask(
        self, step: int, some: Sequence[int] | None = None, *, redirect: bool = False
    ) -> Tensor:
        """The objectives of some samples, all if None, as this step's views show them."""
        samples = list(range(len(self._seeds))) if some is None else some
        objectives = [self._objectives[sample] for sample in samples]
        shown = view(self.pictures(some), self._maps[step, samples])
        alpha = shown[:, 3:]
        if self._recipe.alpha:
            # A ground of its own for every step, or the picture would adapt to it.
            seeds = [self._seeds[sample] + 2 + step for sample in samples]
            shown = over(shown, grounds(seeds, self._recipe.size).to(shown))
        with Folding(self._folds, redirect=redirect):
            seen = see(self._model, shown, objectives)
        leak(seen.responses.values())
        found = values(objectives, seen)
        return found * (1 - alpha.flatten(1).mean(1)) if self._recipe.alpha else found
