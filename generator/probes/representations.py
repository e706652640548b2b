"""What each layer makes of the same inputs, as similarities between these: a Gram matrix for each layer.

Of a model that reads, a row is a token: what the block hands on there. A text's first token is left out:
many decoders keep a vector there that is a hundred times as long as all others (Sun et al. 2024), which
alone would decide every product. Of a model that sees, a row is a picture: the mean of each unit over
positions. An encoder-decoder is compared in its encoder, since two decoders are not fed the same words where
each answers by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from generator.models.dispatch import hooks
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import ENCODER
from generator.models.text_model import LanguageModel
from generator.probes.exemplars import PoolImage
from generator.store import Store

VERSION = 2
ROWS = 320  # tokens, or pictures: a matrix of 0.4 MB for each layer


@dataclass(frozen=True)
class Representations:
    """Products between the rows of each layer, centred, (rows, rows) float32; their lengths say nothing.

    `row` names what each row is, `half` is 0 or 1: the half of the inputs that it belongs to. Two models can
    be held against each other where their rows are the same.
    """

    layers: tuple[str, ...]
    row: tuple[str, ...]
    half: np.ndarray
    products: tuple[np.ndarray, ...]


def text_representations(
    model: LanguageModel | Seq2SeqModel, texts: Mapping[str, tuple[int, ...]], store: Store
) -> Representations:
    """Blocks on tokens of texts, spread evenly over all of them."""
    places = [(name, at) for name, ids in texts.items() for at in range(1, len(ids))]
    chosen = [places[at] for at in _spread(len(places))]
    numbers = {name: number % 2 for number, name in enumerate(texts)}
    blocks = model.stack(ENCODER) if isinstance(model, Seq2SeqModel) else model.layers
    names = [layer.name for layer in blocks]

    def make() -> Representations:
        if not chosen:  # nothing but first tokens, which read no other
            return Representations(tuple(names), (), np.zeros(0, dtype=np.int64), ())
        found = {name: _outputs(model, ids, len(names)) for name, ids in texts.items()}
        layers = range(len(names))
        states = (torch.stack([found[name][layer][at] for name, at in chosen]) for layer in layers)
        rows = tuple(f"{name}:{at}:{texts[name][at]}" for name, at in chosen)
        half = np.array([numbers[name] for name, _ in chosen], dtype=np.int64)
        return Representations(
            tuple(names), rows, half, tuple(products(one.numpy()) for one in states)
        )

    inputs = {name: list(ids) for name, ids in texts.items()}
    parts = {"model": model.key, "texts": inputs, "rows": ROWS}
    return store.result("representations", VERSION, parts, Representations, make)


def picture_representations(
    model: VisionModel, pictures: Sequence[PoolImage], store: Store, step: Callable[[str], None]
) -> Representations:
    """Layers on pictures, spread evenly over those that are given."""
    chosen = [pictures[at] for at in _spread(len(pictures))]
    layers = [layer for layer in model.layers if layer.name in model.paged]

    def make() -> Representations:
        rows: dict[str, list[np.ndarray]] = {layer.name: [] for layer in layers}

        def take(layer: Layer, response: Tensor) -> None:
            if layer.name in rows:
                of_units = response.detach().double().reshape(len(response), -1)
                rows[layer.name].append(of_units.mean(1).cpu().numpy())

        for image in chosen:
            model.run(image.load(), take)
        step(f"{model.id}: representations")
        half = np.arange(len(chosen), dtype=np.int64) % 2
        made = tuple(products(np.stack(rows[layer.name])) for layer in layers)
        names = tuple(layer.name for layer in layers)
        rows_of = tuple(f"{image.id}:{image.key}" for image in chosen)
        return Representations(names, rows_of, half, made)

    parts = {
        "model": model.key,
        "layers": [layer.name for layer in layers],
        "pictures": [image.key for image in chosen],
    }
    return store.result("picture_representations", VERSION, parts, Representations, make)


def products(states: np.ndarray) -> np.ndarray:
    """Products between the centred rows of (rows, width), as (rows, rows), with the mean square 1."""
    centred = states.astype(np.float64) - states.mean(0, dtype=np.float64)
    made = centred @ centred.T
    size = float(np.sqrt(np.square(made).mean()))
    return (made / size if size else made).astype(np.float32)


def _spread(count: int) -> list[int]:
    """At most `ROWS` places, evenly from first to last."""
    if count <= ROWS:
        return list(range(count))
    return np.linspace(0, count - 1, ROWS).round().astype(int).tolist()


def _outputs(model: LanguageModel | Seq2SeqModel, ids: tuple[int, ...], count: int) -> list[Tensor]:
    """What each of the first `count` blocks hands on for one text, (tokens, width)."""
    found: list[Tensor] = []

    def keep(_: nn.Module, _inputs: object, output: Tensor | Sequence[Tensor]) -> None:
        state = output if isinstance(output, Tensor) else output[0]
        found.append(state.detach().reshape(len(ids), -1).float().cpu())

    with hooks(block.register_forward_hook(keep) for block in model.blocks[:count]):
        if isinstance(model, Seq2SeqModel):
            model.run(ids, (model.start,))
        else:
            model.run(ids)
    return found
