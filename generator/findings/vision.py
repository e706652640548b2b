"""Everything that was measured on one vision model: model + pictures -> findings, through the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from generator.exhibit import Choices
from generator.findings.evaluation import VisionEvaluation, evaluate_vision
from generator.findings.patches import PatchFindings, measure_patches
from generator.inputs.images import CuratedImage, as_pixels, pixels_of, square_of
from generator.inputs.pool import PoolPicture
from generator.inputs.texts import CuratedText
from generator.models.model import VisionModel
from generator.probes.activation_maps import PictureMaps, measure_maps
from generator.probes.building_blocks import BuildingBlocks, blocks_layer, measure_building_blocks
from generator.probes.checkpoints import CheckpointSeries, measure_checkpoints
from generator.probes.class_maps import ClassMaps, measure_class_maps
from generator.probes.controls import Controls, measure_controls
from generator.probes.deconvolution import Deconvolutions, measure_deconvolution
from generator.probes.deep_dream import Dream, dream, dream_layers
from generator.probes.effects import LayerEffects, measure_effects
from generator.probes.exemplars import Exemplars, PoolImage, find_exemplars
from generator.probes.feature_visualisation import Visualised, visualise_features
from generator.probes.filters import Filters, read_filters
from generator.probes.grad_cam import GradCams, measure_grad_cam
from generator.probes.learned_classes import LearnedClasses, learn_classes
from generator.probes.matching import Matching, measure_matching
from generator.probes.optvis.wants import Effort, Want, default_wants, want_direction
from generator.probes.predictions import Prediction, classify
from generator.probes.signal import Signal, measure_vision_signal
from generator.store import Store

Step = Callable[[str], None]

# How many units are shown in every detail where none is visualised.
FEATURED = 24


@dataclass(frozen=True, eq=False)
class PoolFindings:
    """What a pool of pictures says of the units; `featured` are those shown in every detail."""

    pictures: tuple[PoolPicture, ...]
    exemplars: Exemplars
    deconvolutions: Deconvolutions
    effects: tuple[LayerEffects, ...]
    learned: LearnedClasses
    controls: Controls | None
    checkpoints: CheckpointSeries | None

    def effects_of(self, layer: str) -> LayerEffects | None:
        """What the units of one layer do to the classes, if it was measured."""
        return next((found for found in self.effects if found.layer == layer), None)


@dataclass(frozen=True, eq=False)
class VisionFindings:
    """A vision model on the curated pictures; `seen` holds each picture as the network saw it.

    `searched` is None where the exhibit names no pool. `dreams` start from the picture `dreamt`, which is
    empty where none was asked for. `groups`
    are the pictures of the groups of channels that the building blocks found, by picture and group.
    `patches` is the attention of a vision transformer. `matching` compares the pictures with texts, where the
    model is one tower of two and the other is shown too.
    """

    model: VisionModel
    images: tuple[CuratedImage, ...]
    seen: Mapping[str, np.ndarray]
    predictions: Mapping[str, Prediction]
    signal: Signal
    maps: tuple[PictureMaps, ...]
    class_maps: Mapping[str, ClassMaps]
    grad_cams: Mapping[str, GradCams]
    filters: Mapping[str, Filters]
    searched: PoolFindings | None
    features: tuple[Visualised, ...]
    dreamt: str
    dreams: tuple[Dream, ...]
    blocks: Mapping[str, BuildingBlocks]
    groups: Mapping[tuple[str, int], Visualised]
    evaluation: VisionEvaluation
    patches: PatchFindings | None
    matching: Matching | None = None

    @property
    def pool(self) -> tuple[PoolPicture, ...]:
        """The pictures that exemplars were searched in."""
        return self.searched.pictures if self.searched else ()

    @property
    def exemplars(self) -> Exemplars | None:
        """The strongest pictures of every unit, where a pool was searched."""
        return self.searched.exemplars if self.searched else None

    def feature(self, layer: str, unit: int) -> Visualised | None:
        """The feature visualisation of one unit, if it was made."""
        named = ((f.want.kind, f.want.layer, f.want.unit) for f in self.features)
        wanted = ("channel", layer, unit)
        return next(
            (f for f, name in zip(self.features, named, strict=True) if name == wanted), None
        )


def measure_vision(
    model: VisionModel,
    images: Sequence[CuratedImage],
    pool: Sequence[PoolPicture],
    checkpoints: Sequence[tuple[str, VisionModel]],
    choices: Choices,
    *,
    seed: int,
    full: bool,
    lean: bool = False,
    texts: Sequence[CuratedText] = (),
    store: Store,
    step: Step,
) -> VisionFindings:
    """Run every vision probe. `step` is told the name of each piece of work that is done.

    `full` visualises and sends back to pixels every unit, which is work for a GPU. `lean` leaves out what
    only pages of a site show: dreams, building blocks, checkpoints, and what is shown of each unit. `texts`
    are those that a picture tower's pictures are compared with.
    """
    seen, pixels = _as_seen(model, images)
    predictions, maps, class_maps, grad_cams = {}, [], {}, {}
    for name, each in pixels.items():
        predictions[name] = classify(model, name, each, store)
        maps.append(measure_maps(model, name, each, store))
        class_maps[name] = measure_class_maps(model, name, each, store)
        grad_cams[name] = measure_grad_cam(model, name, each, store)
        step(f"{model.id}: {name}")
    signal = measure_vision_signal(model, pixels, store)
    step(f"{model.id}: signal")
    patches = measure_patches(model, pixels, seed, store, step)
    about_pool = _Pool(model, tuple(pool), seed, store, step)
    exemplars = about_pool.exemplars() if pool else None
    wants = _wants(model, exemplars, grad_cams, choices, seed, full)
    features = visualise_features(model, wants, seed=seed, store=store, step=step)
    matching = None
    if texts and model.towers and not lean:
        matching = measure_matching(model, pixels, texts, seed, store)
        step(f"{model.id}: pictures and texts")
    dreamt = "" if lean else _dreamt(choices, images)
    blocks = {} if lean else _blocks(model, pixels, choices, store, step)
    return VisionFindings(
        model=model,
        images=tuple(images),
        seen=seen,
        predictions=predictions,
        signal=signal,
        maps=tuple(maps),
        class_maps=class_maps,
        grad_cams=grad_cams,
        filters=_filters(model),
        searched=about_pool.search(
            exemplars, choices, signal, pixels, checkpoints, full=full, lean=lean
        )
        if exemplars
        else None,
        features=features,
        dreamt=dreamt,
        dreams=_dreams(model, seen[dreamt], seed, store, step) if dreamt else (),
        blocks=blocks,
        groups=_groups(model, blocks, seed, choices, store, step),
        evaluation=evaluate_vision(model, images, pool, seen, store, step),
        patches=patches,
        matching=matching,
    )


def _as_seen(
    model: VisionModel, images: Sequence[CuratedImage]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    squares = {image.id: square_of(image.path, model.preprocessing) for image in images}
    seen = {name: np.asarray(square) for name, square in squares.items()}
    how = model.preprocessing
    return seen, {name: as_pixels(square, how) for name, square in squares.items()}


def _filters(model: VisionModel) -> dict[str, Filters]:
    paged = [layer for layer in model.layers if layer.name in model.paged]
    drawn = {layer.name: read_filters(model, layer) for layer in paged}
    return {name: found for name, found in drawn.items() if found is not None}


def _dreamt(choices: Choices, images: Sequence[CuratedImage]) -> str:
    """The picture to dream from: a named one, or the first where pictures of units are made; or none."""
    if choices.dream is None:
        return images[0].id if choices.features else ""
    return choices.dream


def _wants(
    model: VisionModel,
    exemplars: Exemplars | None,
    shown: Mapping[str, GradCams],
    choices: Choices,
    seed: int,
    full: bool,
) -> tuple[Want, ...]:
    """Units by chance; classes that the curated pictures show, as the network names them."""
    # By number: labels of ImageNet are not unique.
    classes = sorted({found.depths[-1].index for found in shown.values() if found.depths})
    chosen = np.random.default_rng(seed).permutation(classes)[: choices.classes].tolist()
    effort = Effort(
        units=None if full else choices.features,
        classes=choices.classes,
        sets=choices.features > 0,
        steps=choices.steps,
    )
    return default_wants(model, exemplars, seed, classes=sorted(chosen), effort=effort)


def _featured(
    model: VisionModel, exemplars: Exemplars, choices: Choices, seed: int
) -> dict[str, list[int]]:
    """Units by chance, those that are visualised among them: they are shown in every detail."""
    effort = Effort(units=choices.features or FEATURED, classes=0, sets=False)
    found: dict[str, list[int]] = {}
    for want in default_wants(model, exemplars, seed, effort=effort):
        found.setdefault(want.layer, []).append(want.unit)
    return found


def _dreams(
    model: VisionModel, picture: np.ndarray, seed: int, store: Store, step: Step
) -> tuple[Dream, ...]:
    found = []
    for layer in dream_layers(model):
        found.append(dream(model, picture, layer, seed=seed, store=store))
        step(f"{model.id}: dream of {layer.name}")
    return tuple(found)


def _blocks(
    model: VisionModel,
    pixels: Mapping[str, np.ndarray],
    choices: Choices,
    store: Store,
    step: Step,
) -> dict[str, BuildingBlocks]:
    chosen = choices.blocks or tuple(pixels)[:3]
    layer, found = blocks_layer(model), {}
    for name in chosen:
        found[name] = measure_building_blocks(model, name, pixels[name], layer, store)
        step(f"{model.id}: building blocks of {name}")
    return found


def _groups(
    model: VisionModel,
    blocks: Mapping[str, BuildingBlocks],
    seed: int,
    choices: Choices,
    store: Store,
    step: Step,
) -> dict[tuple[str, int], Visualised]:
    """A picture for each group of channels: the layer's units as the group weighs them."""
    layer = blocks_layer(model)
    if layer is None or not choices.features:
        return {}
    wants = {
        (picture, g): want_direction(model, layer, weights, f"group-{picture}-{g}")
        for picture, found in blocks.items()
        for g, weights in enumerate(found.groups.weights if found.groups else ())
    }
    # They are shown small.
    wants = {
        key: replace(want, size=min(128, want.size), steps=max(1, round(160 * choices.steps)))
        for key, want in wants.items()
    }
    made = visualise_features(model, list(wants.values()), seed=seed, store=store, step=step)
    return dict(zip(wants, made, strict=True))


def pool_images(model: VisionModel, pictures: Sequence[PoolPicture]) -> list[PoolImage]:
    """The pictures of a pool as probes take them: opened when they are needed."""
    how = model.preprocessing
    return [PoolImage(one.id, one.sha256, partial(pixels_of, one.path, how)) for one in pictures]


@dataclass(frozen=True)
class _Pool:
    """The probes that run over the pool."""

    model: VisionModel
    pictures: tuple[PoolPicture, ...]
    seed: int
    store: Store
    step: Step

    @property
    def images(self) -> list[PoolImage]:
        return pool_images(self.model, self.pictures)

    def exemplars(self) -> Exemplars:
        return find_exemplars(self.model, self.images, self.store, self.step)

    def search(
        self,
        exemplars: Exemplars,
        choices: Choices,
        signal: Signal,
        pixels: Mapping[str, np.ndarray],
        checkpoints: Sequence[tuple[str, VisionModel]],
        *,
        full: bool,
        lean: bool,
    ) -> PoolFindings:
        model, images = self.model, self.images
        groups = [one.group for one in self.pictures]
        subjects = [one.subject for one in self.pictures]
        featured = _featured(model, exemplars, choices, self.seed)
        sent = Exemplars(exemplars.pool, ()) if lean else exemplars
        return PoolFindings(
            pictures=self.pictures,
            exemplars=exemplars,
            deconvolutions=measure_deconvolution(
                model, images, sent, featured, full=full, store=self.store, step=self.step
            ),
            effects=()
            if lean
            else measure_effects(model, images, exemplars, signal, self.store, self.step),
            learned=learn_classes(
                model, images, groups, subjects, seed=self.seed, store=self.store, step=self.step
            ),
            controls=measure_controls(
                model,
                images,
                groups,
                exemplars,
                pixels,
                subjects,
                seed=self.seed,
                store=self.store,
                step=self.step,
            ),
            checkpoints=measure_checkpoints(
                model,
                checkpoints,
                images,
                labels=groups,
                seed=self.seed,
                store=self.store,
                step=self.step,
            )
            if checkpoints and not lean
            else None,
        )
