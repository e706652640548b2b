"""All that a browser loads to run a network: exported, packed, and run once here on what it was packed to."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np
import torch

from generator.errors import CutawayError
from generator.live.check import (
    PICTURES,
    Measured,
    compared_pictures,
    compared_texts,
    measured,
    runner,
    text_inputs,
)
from generator.live.graph import Graph, session
from generator.live.pack import Stored, packed, unpacked
from generator.live.picture import picture_graph
from generator.live.text import text_graph
from generator.live.tokens import tokenizer_bundle
from generator.models.model import VisionModel
from generator.models.text_model import LanguageModel

T = TypeVar("T", VisionModel, LanguageModel)

VERSION = 1
NEEDS = ("onnx", "onnxscript", "onnxruntime")
OLDEST_TORCH = (2, 13)  # whose exporter was tried


@dataclass(frozen=True)
class Bundle:
    """A network for a browser; of one that is refused the `reason` alone.

    `graph` is ONNX without weights and `tokenizer` JSON, both as gzip; `weights` are the packed tensors of
    `table`. `layers` are the names behind the outputs `layerN`, in their `shapes`; `attends` says whether
    there is attention. `answers`, `lens`, `limit` and `scales` are those of a TextGraph.
    """

    graph: np.ndarray
    weights: np.ndarray
    tokenizer: np.ndarray
    table: tuple[Stored, ...]
    measured: tuple[Measured, ...]
    layers: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    answers: str = ""
    scales: tuple[float, ...] = ()
    lens: bool = False
    attends: bool = False
    limit: int = 0
    reason: str = ""


def missing() -> str:
    """Why nothing can be exported here; "" where all is there that it needs."""
    lacks = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if lacks:
        return f"{' and '.join(lacks)} missing: pip install 'cutaway[live]'"
    here = version("torch")
    if tuple(int(part) for part in here.split("+")[0].split(".")[:2]) < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        return f"the exporter of torch {oldest} or newer is needed, and this is torch {here}"
    return ""


def made_with() -> dict[str, str]:
    """The versions of what exports and checks, for the store."""
    return {name: version(name) for name in ("torch", *NEEDS)}


def text_bundle(model: LanguageModel, texts: Iterable[tuple[int, ...]]) -> Bundle:
    """A transformer that takes one text, checked on some texts as token ids."""
    try:
        tokenizer = _json(tokenizer_bundle(model))
        with _on_cpu(model) as moved:
            made = text_graph(moved)
            weights, table, run = _packed(made.graph)
            inputs = text_inputs(texts, made.limit)
            found = measured(compared_texts(moved, made, run, inputs), table)
        _require(found)
    except CutawayError as error:
        return _refused(error)
    return Bundle(
        _zipped(made.graph.content), weights, tokenizer, table, found,
        answers=made.answers, scales=made.scales, lens=made.lens, limit=made.limit,
    )  # fmt: skip


def picture_bundle(model: VisionModel, pictures: Sequence[np.ndarray]) -> Bundle:
    """A network that takes a picture, checked on the first few of some, each (3, side, side)."""
    try:
        with _on_cpu(model) as moved:
            made = picture_graph(moved)
            weights, table, run = _packed(made.graph)
            found = measured(compared_pictures(moved, made, run, pictures[:PICTURES]), table)
        _require(found)
    except CutawayError as error:
        return _refused(error)
    layers = tuple(layer.name for layer in made.layers)
    graph, none = _zipped(made.graph.content), np.zeros(0, np.uint8)
    return Bundle(graph, weights, none, table, found, layers, made.shapes, attends=made.attends)


@contextmanager
def _on_cpu(model: T) -> Iterator[T]:
    """Within the block the network is where browsers compute: another device rounds otherwise."""
    before = model.device
    model.module.to("cpu")
    try:
        yield replace(model, device=torch.device("cpu"))
    finally:
        model.module.to(before)


def _packed(graph: Graph) -> tuple[np.ndarray, tuple[Stored, ...], Any]:
    """The packed weights, where each lies, and the graph with what a browser makes of them."""
    weights, table = packed(graph.weights)
    return weights, table, runner(session(graph.content, unpacked(weights, table)))


def _require(found: Sequence[Measured]) -> None:
    """Raises CutawayError that names the first difference beyond its limit."""
    for one in found:
        if not one.holds:
            raise CutawayError(one.says)


def _refused(error: CutawayError) -> Bundle:
    nothing = np.zeros(0, np.uint8)
    return Bundle(nothing, nothing, nothing, (), (), reason=str(error).rstrip("."))


def _zipped(content: bytes) -> np.ndarray:
    return np.frombuffer(gzip.compress(content, 9, mtime=0), np.uint8)


def _json(data: Any) -> np.ndarray:
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return _zipped(text.encode())
