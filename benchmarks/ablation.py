"""What the sweep of ablations costs, beside one plain forward pass for each head and text.

SmolLM2-135M, 30 layers of 9 heads, on two curated texts. Not every plain pass is made: PASSES a text, and
their time is counted as often as there are heads.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from turns import Measured, ratio, take_turns, told

from generator.exhibit_yaml import load_exhibit
from generator.inputs.texts import curated_texts
from generator.models.heads_access import find_heads
from generator.models.load import load_model
from generator.models.text_model import LanguageModel
from generator.paths import cache_root
from generator.probes.ablation import ablate, scored_texts
from generator.store import Store

PASSES = 10


def measure(runs: int = 3, count: int = 2) -> list[Measured]:
    exhibit = load_exhibit(Path(__file__).parent.parent / "exhibit.yml")
    spec = next(model for model in exhibit.models if model.id == "smollm2-135m")
    model = load_model(spec, exhibit.base, cache_root())
    assert isinstance(model, LanguageModel)
    texts = {text.id: model.encode(text) for text in curated_texts(exhibit)[:count]}
    heads = len(find_heads(model)) * model.heads

    def plain() -> None:
        for encoding in list(texts.values()) * PASSES:
            model.run(encoding.ids)

    def sweep() -> None:
        with tempfile.TemporaryDirectory() as folder:
            ablate(model, scored_texts(texts), Store(Path(folder)))

    times = take_turns(runs, {"plain": plain, "sweep": sweep})
    told(times)
    found = ratio(times, "sweep", "plain") * PASSES / heads
    return [Measured(f"ablation of {heads} heads over as many plain passes", found, 0.25)]
