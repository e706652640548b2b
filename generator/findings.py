"""Everything that was measured on one model: models + inputs -> findings, through the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from generator.inputs.images import CuratedImage, as_pixels, as_seen, open_rgb
from generator.inputs.pool import PoolPicture
from generator.inputs.texts import CuratedText
from generator.models.model import Encoding, LanguageModel, VisionModel
from generator.probes.activation_maps import PictureMaps, measure_maps
from generator.probes.attention import Attention, measure_attention
from generator.probes.class_maps import ClassMaps, measure_class_maps
from generator.probes.exemplars import CHUNK, Exemplars, PoolImage, find_exemplars
from generator.probes.filters import Filters, read_filters
from generator.probes.heads import Statistic, head_statistics, repeated_sequences
from generator.probes.predictions import Prediction, classify, predict_texts
from generator.probes.signal import Signal, measure_text_signal, measure_vision_signal
from generator.store import Store

Step = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class VisionFindings:
    """A vision model on the curated pictures; `seen` holds each picture as the network saw it."""

    model: VisionModel
    images: tuple[CuratedImage, ...]
    seen: Mapping[str, np.ndarray]
    predictions: Mapping[str, Prediction]
    signal: Signal
    maps: tuple[PictureMaps, ...]
    class_maps: Mapping[str, ClassMaps]
    filters: Mapping[str, Filters]
    pool: tuple[PoolPicture, ...]
    exemplars: Exemplars | None


@dataclass(frozen=True, eq=False)
class TextFindings:
    """A transformer on the curated texts."""

    model: LanguageModel
    texts: tuple[CuratedText, ...]
    encodings: Mapping[str, Encoding]
    attentions: tuple[Attention, ...]
    statistics: tuple[Statistic, ...]
    predictions: Mapping[str, Prediction]
    signal: Signal

    def statistic(self, name: str) -> Statistic:
        """One statistic of all heads."""
        return next(found for found in self.statistics if found.name == name)


Findings = VisionFindings | TextFindings


def measure_vision(
    model: VisionModel,
    images: Sequence[CuratedImage],
    pool: Sequence[PoolPicture],
    store: Store,
    step: Step,
) -> VisionFindings:
    """Run every vision probe. `step` is told the name of each piece of work that is done."""
    how = model.preprocessing
    seen, pixels = {}, {}
    for image in images:
        square = as_seen(open_rgb(image.path), how)
        seen[image.id] = np.asarray(square)
        pixels[image.id] = as_pixels(square, how)
    predictions, maps, class_maps = {}, [], {}
    for image in images:
        predictions[image.id] = classify(model, image.id, pixels[image.id], store)
        maps.append(measure_maps(model, image.id, pixels[image.id], store))
        class_maps[image.id] = measure_class_maps(model, image.id, pixels[image.id], store)
        step(f"{model.id}: {image.id}")
    signal = measure_vision_signal(model, pixels, store)
    step(f"{model.id}: signal")
    paged = [layer for layer in model.layers if layer.name in model.paged]
    drawn = {layer.name: read_filters(model, layer) for layer in paged}
    return VisionFindings(
        model=model,
        images=tuple(images),
        seen=seen,
        predictions=predictions,
        signal=signal,
        maps=tuple(maps),
        class_maps=class_maps,
        filters={name: found for name, found in drawn.items() if found is not None},
        pool=tuple(pool),
        exemplars=find_exemplars(model, _pool_images(model, pool), store, step) if pool else None,
    )


def pool_chunks(pool: Sequence[PoolPicture]) -> int:
    """How many steps a pass over the pool takes."""
    return -(-len(pool) // CHUNK)


def _pool_images(model: VisionModel, pool: Sequence[PoolPicture]) -> list[PoolImage]:
    how = model.preprocessing

    def load(path: Path) -> np.ndarray:
        return as_pixels(as_seen(open_rgb(path), how), how)

    return [PoolImage(one.id, one.sha256, partial(load, one.path)) for one in pool]


def measure_text(
    model: LanguageModel, texts: Sequence[CuratedText], seed: int, store: Store, step: Step
) -> TextFindings:
    """Run every text probe. `step` is told the name of each piece of work that is done."""
    encodings = {text.id: model.encode(text) for text in texts}
    attentions = []
    for text in texts:
        attentions.append(measure_attention(model, text, store))
        step(f"{model.id}: {text.id}")
    statistics = head_statistics(attentions, repeated_sequences(model, seed, store))
    step(f"{model.id}: repeated sequences")
    predictions = {found.input: found for found in predict_texts(model, encodings, store)}
    signal = measure_text_signal(model, encodings, store)
    step(f"{model.id}: signal")
    return TextFindings(
        model=model,
        texts=tuple(texts),
        encodings=encodings,
        attentions=tuple(attentions),
        statistics=statistics,
        predictions=predictions,
        signal=signal,
    )
