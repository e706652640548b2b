"""Try your own: the page on which a reader's own sentence or picture runs through the network itself."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from generator.addresses import Link, head_address
from generator.inputs.images import CuratedImage
from generator.live.check import Measured
from generator.models.layer import Layer
from generator.run import PICTURES, TEXTS, Run, Section, Technique
from generator.runtime_scripts import runtime_scripts
from generator.techniques.components import Component, inline, script
from generator.techniques.live import (
    LIVE,
    Offer,
    bundle,
    contents_of,
    offered,
    try_address,
    unwanted,
)
from generator.techniques.live_descriptor import descriptor, how_prepared
from generator.techniques.measured_stack import StackHeads, heads_of

VENDOR = "javascripts/vendor/"
_EXAMPLES, _LARGE = 10, 10**6  # curated pictures as buttons, and bytes of a file
_CODECS = {
    "affine": "in the very blocks that they were quantised in, exactly",
    "i16": "as whole numbers of 16 bits, one scale for each 32",
    "f32": "in 32 bits",
}


@dataclass(frozen=True)
class View:
    """The frame of the page: what a script fills, and what was measured when the site was made.

    `load` is what there is to load in bytes, the runtime included. `curated` leads to the inputs that need
    no script. `setup` is what a page for pictures knows before the network is there, `component` the model
    view of a page for texts.
    """

    load: int
    source: str
    vendor: str
    setup: Markup
    component: Component | None
    curated: Link
    measured: tuple[Measured, ...]
    storage: str
    limit: int
    attends: bool


def view(run: Run) -> View | None:
    """What stands on the page."""
    if not offered(run):
        return None
    offer = run[LIVE]
    text = run.reads == TEXTS
    return View(
        offer.bytes + runtime_bytes(text),
        _address(run, "live.js"),
        VENDOR,
        Markup("") if text else inline(_setup(run)),
        _component(run) if text else None,
        _curated(run),
        offer.measured,
        _storage(offer),
        offer.limit,
        _attends(run),
    )


def _attends(run: Run) -> bool:
    return any(one.what == "attention" for one in run[LIVE].measured)


def _address(run: Run, name: str) -> str:
    return f"{try_address(run).removesuffix('index.html')}{name}"


def _curated(run: Run) -> Link:
    """Where the same is seen of the inputs of the exhibit."""
    model = f"models/{run.model.id}"
    if run.reads == TEXTS:
        return Link(f"{model}/attention/index.html", "all heads on the texts of this site")
    return Link(f"{model}/index.html", "the pictures of this site")


def _storage(offer: Offer) -> str:
    """How weights are stored, in words."""
    said = [f"{count:,} weights {_CODECS[codec]}" for codec, count in offer.codecs.items()]
    return "; ".join(said)


def runtime_bytes(text: bool) -> int:
    """How much the libraries are that run and read, as they lie in the site."""
    scripts = runtime_scripts(text=text)
    return sum(len(content) for address, content in scripts if address.endswith(".js"))


def _component(run: Run) -> Component:
    """The view of all heads, which the script fills with the reader's own text."""
    (stack,) = heads_of(run.model)
    heads = head_address(run.model.id, stack.stack.layer("{layer}"), "{head}")
    return Component("model", "", None, None, Markup(""), _address(run, "live.js"), "", "", heads)


def _setup(run: Run) -> dict[str, Any]:
    """How pictures are prepared, whether they can be drawn, and the curated ones as examples."""
    rims = [(one[0], one[-1], one[:, 0], one[:, -1]) for one in run.seen.values()]
    dark = float(np.concatenate([np.concatenate(rim) for rim in rims]).mean()) < 128
    return {
        "how": how_prepared(run.vision.preprocessing),
        # Of no other network is it known how its pictures were cut out.
        "draw": run.model.provenance.source.startswith("train:"),
        "ink": "light on dark" if dark else "dark on light",
        "examples": [
            {
                "id": image.id, "label": image.label, "alt": image.alt, "file": f"example-{image.id}",
                "thumb": f"../pictures/{image.id}.webp",
            }
            for image in _examples(run)
        ],
    }  # fmt: skip


def _examples(run: Run) -> list[CuratedImage]:
    small = [image for image in run.inputs.images if image.path.stat().st_size <= _LARGE]
    return small[:_EXAMPLES]


def files(run: Run) -> Iterator[tuple[str, str]]:
    """Names and texts of the scripts in the folder of the page: the descriptor, the network, the examples."""
    made = bundle(run)
    yield "live.js", script("live.js", descriptor(run, made, run[LIVE]))[1]
    for name, content in contents_of(made):
        yield f"{name}.js", script(f"{name}.js", base64.b64encode(content).decode())[1]
    if run.reads == PICTURES:
        for image in _examples(run):
            name, content = f"example-{image.id}", image.path.read_bytes()
            yield f"{name}.js", script(f"{name}.js", base64.b64encode(content).decode())[1]


def scripts(run: Run) -> Iterator[tuple[str, str]]:
    """The files of the page, and what runs networks, which all pages of a site share."""
    if offered(run):
        yield from ((_address(run, name), text) for name, text in files(run))
        yield from runtime_scripts(text=run.reads == TEXTS)


@dataclass(frozen=True)
class Here:
    """A line that leads to the page, with what this page is about in the address."""

    link: Link
    state: str
    what: str


def _here(run: Run, state: str, what: str) -> Here | None:
    if not offered(run):
        return None
    words = "your own picture" if run.reads == PICTURES else "your own sentence"
    return Here(Link(try_address(run), words), state, what)


def layer_here(run: Run, layer: Layer) -> Here | None:
    """On the page of a layer that the graph returns."""
    if run.reads == TEXTS:
        return _here(run, f"layer={layer.index}", "this layer")
    if not offered(run) or layer.name not in run[LIVE].layers:
        return None
    return _here(run, f"layer={layer.name}", "this layer")


def unit_here(run: Run, layer: Layer, unit: int) -> Here | None:
    """On the page of a unit."""
    if not offered(run) or layer.name not in run[LIVE].layers:
        return None
    return _here(run, f"layer={layer.name}&unit={unit}", "this unit")


def head_here(run: Run, stack: StackHeads, place: int, head: int) -> Here | None:
    """On the page of a head, where the network answers with attention."""
    if not offered(run) or not _attends(run):
        return None
    layer = stack.layers[place].name if run.reads == PICTURES else place
    return _here(run, f"layer={layer}&head={head}", "this head")


TRY_OWN = Technique(
    name="try_own",
    title="Try your own",
    search=LIVE.search,
    reads=LIVE.reads,
    measure=LIVE.asked_of,
    why_not=unwanted,
    sections=(
        Section("try", "own", "live.html", view),
        Section("layer", "try-own", "live_link.html", layer_here, leads=True),
        Section("unit", "try-own", "live_link.html", unit_here, leads=True),
        Section("head", "try-own", "live_link.html", head_here, leads=True),
    ),
    scripts=scripts,
)
