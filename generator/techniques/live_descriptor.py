"""What the scripts of the page are told of a network: its files, inputs, outputs, and where its pages are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import PIL

from generator.addresses import head_address, layer_address, relative, unit_address
from generator.exhibit import Preprocessing
from generator.live.bundle import Bundle
from generator.live.graph import EXTERNAL
from generator.live.picture import PIXELS, output
from generator.live.text import ATTENTION, IDS, LENS, LOGITS, MASKED, PLACE
from generator.live.vectors import KEY, QUERY
from generator.models.layer import Layer
from generator.probes.class_maps import pooled_head
from generator.probes.exemplars import unit_layers
from generator.run import PICTURES, Run
from generator.techniques.class_maps import CLASS_MAPS
from generator.techniques.links import layer_title, paged_layers
from generator.techniques.live import Offer, try_address
from generator.techniques.measured_stack import heads_of
from generator.techniques.named_units import names_of
from generator.techniques.patch_widget import cut_data
from generator.techniques.signal import SIGNAL

SCHEMA = 1
Json = dict[str, Any]


def descriptor(run: Run, made: Bundle, offer: Offer) -> Json:
    """All of it, as JSON."""
    of_kind = _picture if run.reads == PICTURES else _text
    return {
        "schema": SCHEMA,
        "model": run.model.id,
        "title": run.model.title,
        "bytes": offer.bytes,
        "files": _files(offer),
        "crc32": dict(offer.crc32),
        "external": EXTERNAL,
        "tensors": [asdict(one) for one in made.table],
        "measured": [asdict(one) for one in made.measured],
        **of_kind(run, made),
    }


def _files(offer: Offer) -> Json:
    weights = [name for name in offer.files if name.startswith("weights-")]
    more = {"tokenizer": "tokenizer"} if "tokenizer" in offer.files else {}
    return {"graph": ["graph"], "weights": weights, **more}


def _text(run: Run, made: Bundle) -> Json:
    model, (stack,) = run.language, heads_of(run.model)
    outputs: list[Json] = [{"name": ATTENTION, "role": "attention", "stack": 0}]
    there = ((LOGITS, made.answers), (LENS, made.lens), (QUERY, made.scales), (KEY, made.scales))
    outputs += [{"name": name, "role": name} for name, shown in there if shown]
    masked = made.answers == MASKED
    one = {
        "letter": stack.stack.letter,
        "layers": len(stack.layers),
        "heads": stack.heads,
        "groups": stack.kv_groups,
        "causal": model.causal,
        "windows": list(model.windows),
    }
    layers = [
        {"title": layer_title(model, layer), "page": _way(run, layer_address(model.id, layer.name))}
        for layer in model.layers
    ]
    return {
        "kind": "text",
        "input": {"name": IDS, "type": "int64"},
        **({"place": {"name": PLACE, "type": "int64"}} if masked else {}),
        "outputs": outputs,
        "text": {
            "limit": made.limit,
            "minimum": 1,
            "special": True,
            "causal": model.causal,
            "stacks": [one],
            "answers": made.answers,
            "scales": list(made.scales),
            **({"mask": int(model.tokenizer.mask_token_id)} if masked else {}),
            "rows": int(model.module.get_input_embeddings().weight.shape[0]),  # type: ignore[operator]
            "layers": layers,
            "head_page": _head_page(run, stack.stack.layer("{layer}")),
        },
    }


def _way(run: Run, address: str) -> str:
    """The way from the page to an address of the site."""
    return relative(try_address(run), address)


def _head_page(run: Run, layer: str) -> str:
    return _way(run, head_address(run.model.id, layer, "{head}"))


def _picture(run: Run, made: Bundle) -> Json:
    model, side = run.vision, run.vision.preprocessing.size
    known = {layer.name: layer for layer in model.layers}
    outputs: list[Json] = [{"name": LOGITS, "role": "logits"}]
    for place, (name, shape) in enumerate(zip(made.layers, made.shapes, strict=True)):
        layer = known[name]
        units, height, width = (*shape, 1, 1)[:3]
        outputs.append(
            {
                "name": output(place), "role": "layer", "layer": name, "units": units,
                "title": layer_title(model, layer), "height": height, "width": width,
            }
        )  # fmt: skip
    if made.attends:
        outputs.append({"name": ATTENTION, "role": "attention", "stack": 0})
    return {
        "kind": "picture",
        "input": {"name": PIXELS, "type": "float32", "shape": [1, 3, side, side]},
        "outputs": outputs,
        "picture": {
            "how": how_prepared(model.preprocessing),
            "classes": list(model.labels) or None,
            "no_classes": "" if model.labels else model.no_classes,
            "exclusive": model.exclusive,
            "units": {name: _units(run, known[name]) for name in made.layers},
            "layer_page": _way(run, layer_address(model.id, "{layer}")),
            "unit_page": _way(run, unit_address(model.id, "{layer}", "{unit}")),
            **_cam(run, made),
            **(_patches(run) if made.attends else {}),
        },
    }


def how_prepared(how: Preprocessing) -> Json:
    """How pictures are prepared, and by which Pillow: 13 changed which of its two passes goes first."""
    return {**how.pixels, "pillow": int(PIL.__version__.split(".")[0])}


def _units(run: Run, layer: Layer) -> Json:
    """How strongly each unit of a layer answered to curated pictures, its name, and which have a page."""
    signal = run[SIGNAL].of(layer.name)
    found: Json = {
        "peaks": [_short(value) for value in signal.maximum],
        "active": [_short(value) for value in signal.active],
    }
    if float(signal.minimum.min()) < 0:
        found["least"] = [_short(value) for value in signal.minimum]
    names = {str(unit): name for unit, (name, _) in names_of(run, layer).items()}
    if names:
        found["names"] = names
    searched = bool(run.inputs.pool) and layer in unit_layers(run.vision)
    return {**found, "pages": searched}


def _short(value: Any) -> float:
    return float(f"{float(value):.4g}")


def _cam(run: Run, made: Bundle) -> Json:
    """The classifier's rows among the tensors, where the site has class activation maps."""
    maps = next(iter(run[CLASS_MAPS].values()))
    head = pooled_head(run.vision)
    place = {one.name: number for number, one in enumerate(made.table)}
    if maps.reason or head is None:
        return {"cam": None, "no_cam": maps.reason}
    features, _ = head
    name = f"network.{run.vision.layers[-1].module}"
    if features.name not in made.layers or f"{name}.weight" not in place:
        return {
            "cam": None,
            "no_cam": "The classifier's weights stand in the graph in another form.",
        }
    bias = place.get(f"{name}.bias")
    return {"cam": {"layer": features.name, "weight": place[f"{name}.weight"], "bias": bias}}


def _patches(run: Run) -> Json:
    """How a vision transformer cuts its pictures, and its blocks."""
    (stack,) = heads_of(run.model)
    layers = [layer.name for layer in paged_layers(run.model)]
    return {
        "patches": cut_data(run),
        "heads": [
            {
                "title": f"Block {place}",
                "name": one.name,
                "page": _way(run, layer_address(run.model.id, one.name))
                if one.name in layers
                else "",
            }
            for place, one in enumerate(stack.layers)
        ],
        "head_page": _head_page(run, "{layer}"),
    }
