"""Where everything on a site comes from, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from generator import __version__
from generator.exhibit import Exhibit
from generator.findings import Findings, Seq2SeqFindings, VisionFindings
from generator.probes import heads as head_probe
from generator.probes.seq2seq import LONGEST
from generator.versions import measured_with

# Raised when a key of manifest.json, or of a table that scripts read, is renamed or loses its meaning.
SCHEMA = 1


def manifest(exhibit: Exhibit, findings: Sequence[Findings]) -> str:
    """Sources, digests, versions, seed and parameters; nothing that changes from run to run."""
    stated = {
        "schema": SCHEMA,
        "generator": {"name": "cutaway", "version": __version__},
        "exhibit": {"title": exhibit.title, "seed": exhibit.seed},
        "environment": measured_with(),
        "models": [_model(found) for found in findings],
    }
    return json.dumps(stated, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _model(found: Findings) -> dict[str, Any]:
    model, origin = found.model, found.model.provenance
    stated: dict[str, Any] = {
        "id": model.id,
        "title": model.title,
        "kind": model.kind,
        "parameters": model.parameters,
        "layers": len(model.layers),
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
                "difference": check.difference if math.isfinite(check.difference) else None,
            }
            for check in model.trial
        ],
        "left_out": {part.name: part.reason for part in model.left_out},
        "notes": list(origin.notes),
    }
    if isinstance(found, VisionFindings):
        stated["pool"] = {one.id: one.sha256 for one in found.pool}
        stated |= _patches(found)
        stated["preprocessing"] = found.model.preprocessing.model_dump(mode="json")
        stated["inputs"] = [
            {
                "id": i.id,
                "label": i.label,
                "sha256": i.sha256,
                "licence": i.licence,
                "origin": i.origin,
            }
            for i in found.images
        ]
    elif isinstance(found, Seq2SeqFindings):
        stated |= _pairs(found)
    else:
        stated["inputs"] = [
            {"id": text.id, "text": text.text, "tokens": len(found.encodings[text.id].ids)}
            for text in found.texts
        ]
        stated["repeated_sequences"] = head_probe.SEQUENCES
        stated["silenced_on"] = {
            "texts": list(found.stack.ablation.inputs),
            "repeated_sequences": len(found.stack.repeats.inputs),
        }
        if found.stack.named is not None:
            held_out = found.stack.named.held_out
            stated["effects_tested_on"] = {
                "texts": list(held_out.texts.inputs),
                "repeated_sequences": len(held_out.repeats.inputs),
            }
        stated["random_twin_seed"] = found.stack.control.seed
        if found.model.windows:  # how many tokens away is not seen; 0 where nothing ends it
            stated["windows"] = {layer.name: layer.window for layer in found.model.layers}
    return stated


def _patches(found: VisionFindings) -> dict[str, Any]:
    """How a vision transformer cuts its pictures, and the seed of its random twin."""
    if found.patches is None:
        return {"no_attention": found.model.no_attention} if found.model.no_attention else {}
    grid = found.patches.attention.grid
    return {
        "patches": {
            "grid": [grid.rows, grid.columns],
            "pixels": [grid.height, grid.width],
            "other_tokens": list(grid.special),
        },
        "silenced_on": {"pictures": list(found.patches.stack.ablation.inputs)},
        "random_twin_seed": found.patches.stack.control.seed,
    }


def _pairs(found: Seq2SeqFindings) -> dict[str, Any]:
    """What manifest.json says of the texts and of what was done with them."""
    return {
        "inputs": [
            {
                "id": text.id,
                "text": text.text,
                "tokens": len(found.pairs[text.id].source.ids),
                "target": found.pairs[text.id].target,
                "target_is_own_answer": found.pairs[text.id].generated,
            }
            for text in found.texts
        ],
        "longest_answer": LONGEST,
        "repeated_sequences": head_probe.SEQUENCES,
        "silenced_on": {"texts": list(found.stacks[0].ablation.inputs)},
        "random_twin_seed": found.twin_seed,
    }
