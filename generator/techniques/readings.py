"""What is moved, not only where a head looks: its weights times the values they move, and without sinks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from generator.figures.figure import PAGE, Figure, on_page, published
from generator.models.layer import Layer
from generator.models.stacks import ONLY
from generator.probes.norms import ValueNorms, measure_norms, sink_masked, weighted
from generator.run import TEXTS, Run, Section, Technique
from generator.techniques.attention import ATTENTION
from generator.techniques.attention_drawings import coarse, grain_note
from generator.techniques.measured_stack import stack_named
from generator.techniques.naming import Numbers


def measure(run: Run) -> ValueNorms:
    """The lengths of what each weight moves, on the first text."""
    text = run.inputs.texts[0].id
    return measure_norms(run.language, text, run.encodings[text], run.store)


def readings(run: Run) -> Mapping[str, np.ndarray]:
    """The first text's weights read in several ways, (layers, heads, queries, keys), from 0 to 1.

    Weighted maps have no natural scale: each head's is divided by its largest entry. Of a long text
    they are blocks.
    """
    return run.once("readings", lambda: _readings(run))


def _readings(run: Run) -> Mapping[str, np.ndarray]:
    raw, norms = run[ATTENTION][ONLY.name].attentions[0].weights, run[READINGS]
    found = {"weights": coarse(raw)}
    if not norms.reason:
        found["value-weighted"] = _own_scale(coarse(weighted(raw, norms.value)))
        found["norm-weighted"] = _own_scale(coarse(weighted(raw, norms.output)))
    found["without sinks"] = coarse(sink_masked(raw, norms.sinks))
    return found


def _own_scale(maps: np.ndarray) -> np.ndarray:
    most = maps.max((-1, -2), keepdims=True)
    return np.divide(maps, most, out=np.zeros_like(maps), where=most > 0)


def view(run: Run, layer: Layer) -> Figure:
    """The section on a layer's page."""
    path = f"{run.folder}/layers/{layer.name}/readings.webp"
    # A wide layer scrolls sideways: its heads are drawn no smaller.
    width = max(PAGE, 90 * run.language.heads + 170)
    return on_page(figure(run, layer.index), path, "readings", width)


def figure(run: Run, layer: int | str, heads: Numbers = ()) -> Figure:
    """Heads of a layer on the first text, read in several ways, one below the other."""
    known, maps = stack_named(run.model), readings(run)
    row = known.layer_named(layer)
    chosen = [known.head_numbered(head) for head in heads] or list(range(known.heads))
    names = tuple(known.head(row, head) for head in chosen)
    values = np.concatenate([one[row, chosen] for one in maps.values()]).astype(np.float32)
    ways, attention = ", ".join(maps), run[ATTENTION][ONLY.name].attentions[0]
    why = f" {run[READINGS].reason}" if run[READINGS].reason else ""
    return published(
        "attention_grid",
        {
            "titles": names * len(maps),
            "weights": values,
            "causal": run.language.causal,
            "rows": tuple(maps),
            "columns": len(chosen),
        },
        f"Attention maps of {len(chosen)} heads of layer {row} on one text, read in {len(maps)} "
        f"ways: {ways}.",
        f"Heads of layer {row} on “{run.inputs.texts[0].text}”, read in {len(maps)} ways ({ways}). "
        f"Weighted maps are drawn up to their own largest entry.{grain_note(attention)}{why}",
    )


READINGS = Technique(
    name="readings",
    title="Attention, read in several ways",
    search="norm weighted value weighted sinks",
    reads=TEXTS,
    measure=measure,
    figures={"readings": figure},
    sections=(Section("layer", "readings", "readings.html", view),),
)
