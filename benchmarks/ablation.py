"""What the sweep of ablations costs, beside one plain forward pass for each head and sequence.

Prints the ratio for SmolLM2-135M (30 layers of 9 heads) on six curated texts. Processor seconds are
counted, so that other work on the machine does not enter; run it with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from generator.exhibit_yaml import load_exhibit
from generator.inputs.texts import curated_texts
from generator.models.heads_access import find_heads
from generator.models.load import load_model
from generator.models.text_model import LanguageModel
from generator.paths import cache_root
from generator.probes.ablation import ablate, scored_texts
from generator.store import Store

TEXTS = 6
RUNS = 3


def main() -> None:
    exhibit = load_exhibit(Path(__file__).parent.parent / "exhibit.yml")
    spec = next(model for model in exhibit.models if model.id == "smollm2-135m")
    model = load_model(spec, exhibit.base, cache_root())
    assert isinstance(model, LanguageModel)
    texts = {text.id: model.encode(text) for text in curated_texts(exhibit)[:TEXTS]}
    heads = len(find_heads(model)) * model.heads
    plain = {name: [] for name in texts}
    for run in range(RUNS + 1):
        for name, encoding in texts.items():
            started = time.process_time()
            model.run(encoding.ids)
            if run:
                plain[name].append(time.process_time() - started)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        ablate(model, scored_texts(texts), Store(Path(folder)))
        sweep = time.process_time() - started
    passes = heads * sum(min(times) for times in plain.values())
    print(
        f"{heads} heads, {len(texts)} texts: sweep {sweep:.1f} s, {heads} plain passes each {passes:.1f} s"
    )
    print(f"ratio {sweep / passes:.3f}")


if __name__ == "__main__":
    main()
