"""What each layer makes of the inputs: asked of models that are compared."""

from __future__ import annotations

from functools import partial

from generator.probes.exemplars import PoolImage
from generator.probes.representations import (
    Representations,
    picture_representations,
    text_representations,
)
from generator.run import PAIRS, PICTURES, TEXTS, Run, Technique
from generator.store import digest_of_value


def measure(run: Run) -> Representations:
    """Layers on the pool of pictures, else on the curated ones; blocks on all texts, held-out ones too."""
    if run.reads == PICTURES:
        images = run.pool_images or [
            PoolImage(name, digest_of_value(pixels), partial(run.pixels.__getitem__, name), "")
            for name, pixels in run.pixels.items()
        ]
        return picture_representations(run.vision, images, run.store, run.step)
    model = run.pair if run.reads == PAIRS else run.language
    texts = {text.id: model.encode(text).ids for text in (*run.inputs.texts, *run.inputs.held_out)}
    found = text_representations(model, texts, run.store)
    run.step(f"{run.id}: representations")
    return found


REPRESENTATIONS = Technique(
    name="representations",
    title="Representations",
    search="representations",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    controlled=True,
)
