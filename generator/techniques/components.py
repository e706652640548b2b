"""What the attention components in the browser are given: tokens, weights and vectors as compact text.

A weight is written as a whole number of ten-thousandths, so that the four digits a reader sees are the
digits of the exact weight. Most weights are small: one under 128 takes one byte, any other two, the first
with its top bit set. Under a causal mask only the keys that a query can see are written.

The text of a page holds the weights of one head. Those of all heads stand in a script beside the
pages, `attention-<text>.js`, which a page loads when it needs it: scripts load from disk as well, where
a browser refuses everything else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from generator.addresses import head_address
from generator.figures.attention import block_maximum
from generator.inputs.texts import readable
from generator.models.stacks import STACKS
from generator.probes.attention import Attention
from generator.probes.queries import Queries

UNIT = 10_000
SHORT = 128  # a weight below takes one byte
LONG = 96  # tokens; the weights of a longer text are split into a file a head
SIDE = 64  # blocks on a side of the overview of a long text
STEPS = 32_767


@dataclass(frozen=True)
class Component:
    """One component on a page: the `kind` of view ("head", "layer" or "model") and its data.

    `data` is inline JSON, or empty where the browser loads `source`. `alone`, `neurons` and `heads` are
    addresses with `{layer}` and `{head}` in them: the weights of a head on a long text, the vectors of
    a layer ("" for none), and the page of a head. `opens` is the view that it opens in ("neurons"), if
    not its usual one; `without_first` leaves the first token out until a reader asks for it.
    """

    kind: str
    text: str
    layer: int | None
    head: int | None
    data: Markup
    source: str
    alone: str
    neurons: str
    heads: str
    opens: str = ""
    without_first: bool = False


def component(
    model: str,
    attention: Attention,
    layer: int | None = None,
    head: int | None = None,
    *,
    neurons: bool = False,
    embed: bool = True,
    without_first: bool = False,
) -> Component:
    """All heads of a model on one text, those of a layer, or one.

    The weights of one head are in the page itself. Without `embed`, and for a text of more than LONG tokens,
    they are loaded when the text is shown.
    """
    name, data = _name(attention), Markup("")
    alone, source = weights_address(model, name, "{layer}.{head}"), weights_address(model, name)
    if _long(attention) and layer is not None:
        source = alone.replace("{layer}", str(layer)).replace("{head}", str(head or 0))
    elif embed and layer is not None and head is not None:
        weights = attention.weights[layer : layer + 1, head : head + 1]
        data = inline(_weights(attention, weights, layer, head))
    named = STACKS[attention.stack].layer("{layer}")
    return Component(
        kind="model" if layer is None else "layer" if head is None else "head",
        text=attention.text,
        layer=layer,
        head=head,
        data=data,
        source=source,
        alone=alone if _long(attention) else "",
        neurons=vectors_address(model, name, "{layer}") if neurons else "",
        heads=head_address(model, named, "{head}"),
        without_first=without_first,
    )


def _name(found: Attention | Queries) -> str:
    """What the scripts of a text are named after: the text, behind the stack where there are several."""
    return f"{found.stack}-{found.text}" if found.stack else found.text


def weights_address(model: str, name: str, head: str = "") -> str:
    """The script with the weights of a text, or of one head on it ("layer.head")."""
    return f"models/{model}/attention/attention-{name}{head and '--'}{head}.js"


def vectors_address(model: str, name: str, layer: str) -> str:
    """The script with the queries and keys of a layer on a text."""
    return f"models/{model}/attention/neurons-{name}--{layer}.js"


def attention_files(model: str, attention: Attention) -> Iterator[tuple[str, str]]:
    """The scripts of one text with their addresses: one, or for a long text an overview and the heads."""
    name = _name(attention)
    if not _long(attention):
        yield script(weights_address(model, name), _weights(attention, attention.weights, 0, 0))
        return
    block = -(-max(len(attention.tokens), len(attention.keys)) // SIDE)
    overview = block_maximum(attention.weights, block)
    yield script(
        weights_address(model, name), {**_weights(attention, overview, 0, 0), "block": block}
    )
    for layer, head in np.ndindex(*attention.weights.shape[:2]):
        weights = attention.weights[layer : layer + 1, head : head + 1]
        data = {**_weights(attention, weights, layer, head), "of": attention.weights.shape[1]}
        yield script(weights_address(model, name, f"{layer}.{head}"), data)


def layer_file(model: str, attention: Attention, layer: int) -> tuple[str, str]:
    """The script of a short text with the heads of one layer alone, by the name of that of all."""
    weights = attention.weights[layer : layer + 1]
    return script(weights_address(model, _name(attention)), _weights(attention, weights, layer, 0))


def vector_files(model: str, queries: Queries) -> Iterator[tuple[str, str]]:
    """The scripts with the queries and keys of each layer on one text; none where they were not found."""
    for layer in range(len(queries.query)):
        scale = float(queries.scale[layer])
        query, query_steps = packed_vectors(queries.query[layer])
        key, key_steps = packed_vectors(queries.key[layer])
        data: dict[str, Any] = {
            "heads": queries.query.shape[1],
            "groups": queries.key.shape[1],
            "width": queries.query.shape[-1],
            "scale": scale if np.isfinite(scale) else None,
            "query": query,
            "querySteps": query_steps,
            "key": key,
            "keySteps": key_steps,
        }
        if not np.isfinite(scale):  # a bias or a cap: the sum and a factor do not make the score
            seen = np.where(queries.visible_in(layer), queries.scores[layer], 0)
            data["scores"], data["scoreSteps"] = packed_vectors(seen)
        yield script(vectors_address(model, _name(queries), str(layer)), data)


def packed_weights(weights: np.ndarray, causal: bool) -> str:
    """Base64 of weights (layers, heads, queries, keys), row by row; under a causal mask the keys
    up to the query."""
    whole = np.rint(weights * UNIT).astype(np.uint16)
    flat = whole[..., np.tri(whole.shape[-1], dtype=bool)] if causal else whole
    values = flat.ravel()
    wide = values >= SHORT
    ends = np.cumsum(1 + wide)
    first = ends - 1 - wide
    packed = np.empty(int(ends[-1]), dtype=np.uint8)
    packed[first] = np.where(wide, SHORT | (values >> 8), values)
    packed[first[wide] + 1] = values[wide] & 255
    return base64.b64encode(packed.tobytes()).decode()


def packed_vectors(values: np.ndarray) -> tuple[str, list[float]]:
    """Base64 of (groups, ...) as little-endian 16-bit steps, and each group's step.

    The error of an element is at most half a step, 1/65,534 of the largest magnitude of its group.
    """
    largest = np.abs(values).reshape(len(values), -1).max(-1).astype(np.float64)
    steps = np.where(largest > 0, largest / STEPS, 1.0)
    scaled = values / steps.reshape(-1, *[1] * (values.ndim - 1))
    packed = np.rint(scaled).astype("<i2")
    return base64.b64encode(packed.tobytes()).decode(), steps.tolist()


def as_json(data: Any) -> str:
    """JSON in ASCII that no HTML parser takes for markup, whatever strings are in it."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def inline(data: Any) -> Markup:
    """Data for a `<script type="application/json">`."""
    return Markup(as_json(data))


def _long(attention: Attention) -> bool:
    return max(len(attention.tokens), len(attention.keys)) > LONG


def _weights(attention: Attention, weights: np.ndarray, layer: int, head: int) -> dict[str, Any]:
    other: dict[str, Any] = {}
    if attention.source is not None:
        other["keys"] = [readable(token) for token in attention.source]
    return {
        "tokens": [readable(token) for token in attention.tokens],
        **other,
        "letter": STACKS[attention.stack].letter,
        "causal": attention.causal,
        "layer": layer,
        "head": head,
        "layers": weights.shape[0],
        "heads": weights.shape[1],
        "weights": packed_weights(weights, attention.causal),
    }


def script(address: str, data: Any) -> tuple[str, str]:
    """A file that puts its data where the components look for it, under its own name."""
    name = address.rsplit("/", 1)[-1].removesuffix(".js")
    return address, f"(globalThis.cutawayData??={{}})[{as_json(name)}]={as_json(data)};\n"
