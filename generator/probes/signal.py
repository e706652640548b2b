"""What happens to the signal on its way: zero and near-zero activations at each layer.

An activation is near zero where its magnitude is at most 1 % of the layer's scale on the same input.
The scale is the median over positions of the root mean square over units: a single token can carry
activations a hundred times larger than all others (Sun et al. 2024), and a plain mean would follow
it. Linear outputs are almost never exactly zero; rectified ones are. A smooth activation (GELU, SiLU)
is exactly zero only where single precision cannot hold the value, which is no sparsity: for it, and for
softmax, only near zeros are stated (`exact_zeros`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor

from generator.models.dispatch import hooks
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import DECODER, ENCODER
from generator.models.text_model import Encoding, LanguageModel, TextModel
from generator.probes.seq2seq import Pair
from generator.store import Store, digest_of_value

VERSION = 2
NEAR = 0.01
BINS = 60


@dataclass(frozen=True)
class LayerSignal:
    """One layer's activations over all inputs.

    `zero`, `near_zero` (fractions) and `scale` have shape (inputs,); `active` (fraction of positions
    above zero), `mean`, `maximum` and `minimum` have shape (units,), over all inputs and positions.
    `counts` and `edges` are a histogram of the activations that are not exactly zero.
    """

    layer: str
    zero: np.ndarray
    near_zero: np.ndarray
    scale: np.ndarray
    active: np.ndarray
    mean: np.ndarray
    maximum: np.ndarray
    minimum: np.ndarray
    counts: np.ndarray
    edges: np.ndarray


def exact_zeros(layer: Layer, signal: LayerSignal) -> np.ndarray:
    """Share of exact zeros on each input, (inputs,); NaN where the layer makes none by design."""
    return signal.zero if layer.rectified else np.full_like(signal.zero, np.nan)


@dataclass(frozen=True)
class Signal:
    """All layers of one model. `stream` is the size of block outputs, (layers, inputs)."""

    inputs: tuple[str, ...]
    layers: tuple[LayerSignal, ...]
    stream: np.ndarray

    def of(self, layer: str) -> LayerSignal:
        """The signal of one layer."""
        return next(found for found in self.layers if found.layer == layer)


class _Tally:
    """Running sums of one layer, input by input."""

    def __init__(self) -> None:
        self.per_input: list[tuple[float, float, float]] = []
        self.positions = 0
        self.active: np.ndarray | float = 0.0
        self.total: np.ndarray | float = 0.0
        self.maximum: np.ndarray | float = -np.inf
        self.minimum: np.ndarray | float = np.inf
        self.counts: np.ndarray = np.zeros(BINS, dtype=np.int64)

    def add(self, response: Tensor) -> None:
        values = response.detach().float().flatten(1) if response.dim() > 1 else response[:, None]
        scale = _median(values.double().square().mean(0).sqrt())
        zero = float((values == 0).double().mean())
        near = float((values.abs() <= NEAR * scale).double().mean())
        self.per_input.append((zero, near, scale))
        self.positions += values.shape[1]
        self.active = self.active + (values > 0).sum(1).cpu().numpy()
        self.total = self.total + values.double().sum(1).cpu().numpy()
        self.maximum = np.maximum(self.maximum, values.amax(1).cpu().numpy())
        self.minimum = np.minimum(self.minimum, values.amin(1).cpu().numpy())

    def count(self, response: Tensor, edges: np.ndarray) -> None:
        values = response.detach().float().cpu().numpy().ravel()
        self.counts += np.histogram(values[values != 0], bins=edges)[0]

    def edges(self) -> np.ndarray:
        low, high = float(np.min(self.minimum)), float(np.max(self.maximum))
        return np.linspace(low, high if high > low else low + 1.0, BINS + 1)

    def finish(self, layer: str) -> LayerSignal:
        zero, near, scale = (np.array(column) for column in zip(*self.per_input, strict=True))
        return LayerSignal(
            layer=layer,
            zero=zero,
            near_zero=near,
            scale=scale,
            active=np.asarray(self.active) / self.positions,
            mean=np.asarray(self.total) / self.positions,
            maximum=np.asarray(self.maximum),
            minimum=np.asarray(self.minimum),
            counts=self.counts,
            edges=self.edges(),
        )


def measure_vision_signal(
    model: VisionModel, pictures: Mapping[str, np.ndarray], store: Store
) -> Signal:
    """Signal of a vision model over pictures, each (3, H, W) and normalised, by id."""

    def make() -> Signal:
        tallies: dict[str, _Tally] = {layer.name: _Tally() for layer in model.layers}
        for pixels in pictures.values():
            model.run(pixels, lambda layer, response: tallies[layer.name].add(response))
        edges = {name: tally.edges() for name, tally in tallies.items()}
        # The range must be known before values can be counted: a second pass over the same inputs.
        for pixels in pictures.values():
            model.run(
                pixels,
                lambda layer, response: tallies[layer.name].count(response, edges[layer.name]),
            )
        found = tuple(tally.finish(name) for name, tally in tallies.items())
        return Signal(tuple(pictures), found, np.zeros((0, len(pictures))))

    inputs = {name: digest_of_value(pixels) for name, pixels in pictures.items()}
    return store.result("signal", VERSION, {"model": model.key, "inputs": inputs}, Signal, make)


def measure_text_signal(
    model: LanguageModel, encodings: Mapping[str, Encoding], store: Store
) -> Signal:
    """Signal of a transformer over texts: MLP activations, and the size of what each block hands on.

    An MLP's activations are what enters its output matrix. The size of a block's output is the
    median over tokens of the root mean square over its width: a few tokens carry huge values. Where MLPs
    are left out there are no layers.
    """

    def make() -> Signal:
        names = [layer.name for layer in model.layers] if model.mlp_outputs else []
        runs = {name: partial(model.run, one.ids) for name, one in encodings.items()}
        return _signal(names, model, runs)

    inputs = {name: list(encoding.ids) for name, encoding in encodings.items()}
    return store.result("signal", VERSION, {"model": model.key, "inputs": inputs}, Signal, make)


def measure_pair_signal(model: Seq2SeqModel, pairs: Sequence[Pair], store: Store) -> Signal:
    """The same for the blocks of an encoder-decoder, the encoder's first.

    A block of the decoder has the name of its self-attention.
    """

    def make() -> Signal:
        names = [layer.name for stack in (ENCODER, DECODER) for layer in model.stack(stack)]
        names = names if model.mlp_outputs else []
        runs = {one.text: partial(model.run, one.source.ids, one.read.ids) for one in pairs}
        return _signal(names, model, runs)

    inputs = {one.text: [list(one.source.ids), list(one.read.ids)] for one in pairs}
    parts = {"model": model.key, "inputs": inputs}
    return store.result("pair_signal", VERSION, parts, Signal, make)


def _signal(
    names: Sequence[str],
    model: TextModel,
    runs: Mapping[str, Callable[[], object]],
) -> Signal:
    """The signal of all MLPs, by the name of each, and of all blocks, over runs of the model."""
    tallies = {name: _Tally() for name in names}
    stream = np.zeros((len(model.blocks), len(runs)))
    for number, run in enumerate(runs.values()):
        with _watch(names, model, lambda name, hidden: tallies[name].add(hidden)) as outputs:
            run()
        stream[:, number] = [_median(each[0].double().square().mean(-1).sqrt()) for each in outputs]
    edges = {name: tally.edges() for name, tally in tallies.items()}
    for run in runs.values():
        with _watch(names, model, lambda name, hidden: tallies[name].count(hidden, edges[name])):
            run()
    found = tuple(tally.finish(name) for name, tally in tallies.items())
    return Signal(tuple(runs), found, stream)


@contextmanager
def _watch(
    names: Sequence[str], model: TextModel, take: Callable[[str, Tensor], None]
) -> Iterator[list[Tensor]]:
    """Within the block, hand `take` each MLP's activations (units, tokens); yields the blocks' outputs."""
    outputs: list[Tensor] = []

    def hidden(name: str) -> Callable[..., None]:
        return lambda _module, inputs: take(name, inputs[0].flatten(0, -2).t())

    def keep(_module: object, _inputs: object, output: Tensor | Sequence[Tensor]) -> None:
        outputs.append(output if isinstance(output, Tensor) else output[0])

    mlps = zip(names, model.mlp_outputs, strict=True)
    entering = [part.register_forward_pre_hook(hidden(name)) for name, part in mlps]
    with hooks([*entering, *(block.register_forward_hook(keep) for block in model.blocks)]):
        yield outputs


def _median(values: Tensor) -> float:
    # Of an even number of values PyTorch's own median is the lower of the middle two.
    return float(np.median(values.cpu().numpy()))
