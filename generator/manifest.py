"""Where everything on a site comes from, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from generator import __version__
from generator.exhibit import Exhibit
from generator.models.text_model import TextModel
from generator.models.trial import CLOSE
from generator.probes import repeated_sequences as head_probe
from generator.probes.seq2seq import LONGEST
from generator.run import PAIRS, PICTURES, Run, why_not
from generator.store import digest_of
from generator.techniques.answers import ANSWERS
from generator.techniques.heads import HEADS
from generator.techniques.live import LIVE
from generator.techniques.neurons import NEURONS
from generator.techniques.patch_maps import PATCH_MAPS, grid_of
from generator.techniques.token_units import passages_of
from generator.unfinished import UNFINISHED
from generator.versions import measured_with

# Raised when a key of manifest.json, or of a table that scripts read, is renamed or loses its meaning.
SCHEMA = 1


def manifest(exhibit: Exhibit, runs: Sequence[Run]) -> str:
    """Sources, digests, versions, seed and parameters; nothing that changes from run to run."""
    stated = {
        "schema": SCHEMA,
        "generator": {"name": "cutaway", "version": __version__},
        "exhibit": {"title": exhibit.title, "seed": exhibit.seed},
        "environment": measured_with(),
        "models": [_model(run) for run in runs],
        "comparisons": [one.model_dump() for one in exhibit.compare],
    }
    return json.dumps(stated, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def unfinished_manifest(exhibit: Exhibit) -> str:
    """What stands there while a site is being made: that it is not finished."""
    stated = {
        "schema": SCHEMA,
        "generator": {"name": "cutaway", "version": __version__},
        "exhibit": {"title": exhibit.title, "seed": exhibit.seed},
        UNFINISHED: True,
    }
    return json.dumps(stated, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _model(run: Run) -> dict[str, Any]:
    """What manifest.json says of a model; of one that is only compared, what it is."""
    if run.paged:
        return {**_identity(run), **_measured(run)}
    return {**_identity(run), "pages": False}


def _identity(run: Run) -> dict[str, Any]:
    model, origin = run.model, run.model.provenance
    return {
        "id": model.id,
        "title": model.title,
        "kind": model.kind,
        "parameters": model.parameters,
        "layers": len(model.layers),
        "block_outputs": sum(layer.joins for layer in model.layers) if run.reads == PICTURES else 0,
        "device": model.device.type,
        "source": origin.source,
        "origin": origin.origin,
        "revision": origin.revision,
        "files": dict(origin.files),
        "weights_sha256": origin.weights_sha256,
        "architecture": origin.architecture,
        "licence": origin.licence,
        "checks": [
            {
                "name": check.name,
                "says": check.says,
                "passed": check.passed,
                "difference_at_most": _at_most(check.difference),
            }
            for check in model.trial
        ],
        "left_out": {part.name: part.reason for part in model.left_out},
        "notes": list(origin.notes),
    }


def _measured(run: Run) -> dict[str, Any]:
    """What the model was run on."""
    stated: dict[str, Any] = {}
    if run.reads == PICTURES:
        stated["pool"] = {one.id: one.sha256 for one in run.inputs.pool}
        stated |= _patches(run)
        stated["preprocessing"] = run.vision.preprocessing.model_dump(mode="json")
        stated["inputs"] = [
            {
                "id": i.id,
                "label": i.label,
                "sha256": i.sha256,
                "licence": i.licence,
                "origin": i.origin,
            }
            for i in run.inputs.images
        ]
    else:
        stated |= _pairs(run) if run.reads == PAIRS else _texts(run)
        if not why_not(NEURONS, run):
            texts = [one.text for one in passages_of(run)]
            digest = digest_of({"texts": texts})
            stated["passages"] = {"count": len(texts), "sha256": digest}
    if not why_not(LIVE, run):
        stated["live"] = _live(run)
    return stated


def _live(run: Run) -> dict[str, Any]:
    """What a reader's browser loads of the network and how far its numbers are off, or why it does not."""
    offer = run[LIVE]
    if offer.reason:
        return {"refused": offer.reason}
    return {
        "bytes": offer.bytes,
        "files": {
            name: {"bytes": size, "sha256": offer.digests[name]}
            for name, size in offer.files.items()
        },
        "weights_by_codec": dict(offer.codecs),
        "longest_text": offer.limit or None,
        "measured": [asdict(one) for one in offer.measured],
    }


def _at_most(difference: float) -> float | None:
    """A bound of one digit, never below what passes: rounding differs from run to run, this must not."""
    if not math.isfinite(difference):
        return None
    digit = 10.0 ** math.floor(math.log10(max(difference, CLOSE)))
    return float(f"{max(math.ceil(difference / digit) * digit, CLOSE):.0e}")


def _texts(run: Run) -> dict[str, Any]:
    """What a transformer read, and on what its heads were silenced."""
    (stack,), model = run[HEADS], run.language
    stated: dict[str, Any] = {
        "inputs": [
            {"id": text.id, "text": text.text, "tokens": len(run.encodings[text.id].ids)}
            for text in run.inputs.texts
        ],
        **_repeats(model),
        "silenced_on": {
            "texts": list(stack.ablation.inputs),
            "repeated_sequences": len(stack.repeats.inputs),
            **({} if stack.choice is None else {"heads": len(stack.choice.heads)}),
        },
        "random_twin_seed": stack.control.seed,
    }
    if stack.named is not None:
        held_out = stack.named.held_out
        stated["effects_tested_on"] = {
            "texts": list(held_out.texts.inputs),
            "repeated_sequences": len(held_out.repeats.inputs),
        }
    if model.head is not None:  # a classifier's, which is not shown
        stated["labels"] = list(model.head.labels)
        stated["problem_type"] = model.head.problem_type or None
    if model.windows:  # how many tokens away is not seen; 0 where nothing ends it
        stated["windows"] = {layer.name: layer.window for layer in model.layers}
    return stated


def _patches(run: Run) -> dict[str, Any]:
    """How a vision transformer cuts its pictures, and the seed of its random twin."""
    if why_not(PATCH_MAPS, run):
        return {"no_attention": run.vision.no_attention} if run.vision.no_attention else {}
    grid, (stack,) = grid_of(run), run[HEADS]
    return {
        "patches": {
            "grid": [grid.rows, grid.columns],
            "pixels": [grid.height, grid.width],
            "other_tokens": list(grid.special),
        },
        "silenced_on": {"pictures": list(stack.ablation.inputs)},
        "random_twin_seed": stack.control.seed,
    }


def _pairs(run: Run) -> dict[str, Any]:
    """What manifest.json says of the texts and of what was done with them."""
    pairs, stack = run[ANSWERS], run[HEADS][0]
    return {
        "inputs": [
            {
                "id": text.id,
                "text": text.text,
                "tokens": len(pairs[text.id].source.ids),
                "target": pairs[text.id].target,
                "target_is_own_answer": pairs[text.id].generated,
            }
            for text in run.inputs.texts
        ],
        "longest_answer": LONGEST,
        **_repeats(run.pair),
        "silenced_on": {"texts": list(stack.ablation.inputs)},
        "random_twin_seed": stack.control.seed,
    }


def _repeats(model: TextModel) -> dict[str, Any]:
    """How many sequences of repeated random tokens were read, and why none."""
    reason = head_probe.why_no_repeats(model)
    if reason:
        return {"repeated_sequences": 0, "no_repeated_sequences": reason}
    return {"repeated_sequences": head_probe.SEQUENCES}
