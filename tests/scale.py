"""How time, bytes and memory grow with the work: `make scale`, or with `--far` as far as 30,000 pictures.

Each line is one measurement in a process of its own on random networks: work, CPU seconds, bytes that it
leaves in the store, and the peak of memory, each as a multiple of the line before. Where seconds or bytes
grow faster than the work, or memory grows at all with what is no model, the line says so. `tests/scale.py
heads` runs one series.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

SLACK = 1.15  # what growth may be above that of the work before it is called more than linear
FAR = "--far"


def pool(folder: Path, count: int) -> None:
    """Exemplars of a small network in a pool of crops of noise."""
    import numpy as np
    from networks import SIDE, opened, timm_network

    from generator.probes.exemplars import PoolImage, find_exemplars

    rng = np.random.default_rng(0)
    model, side = opened(timm_network("resnet18")), SIDE
    large = rng.normal(size=(3, 512, 512)).astype(np.float32)
    starts = rng.integers(0, 512 - side, (count, 2))

    def crop(row: int, column: int) -> Callable[[], np.ndarray]:
        return lambda: large[:, row : row + side, column : column + side]

    images = [PoolImage(str(n), str(n), crop(*at)) for n, at in enumerate(starts.tolist())]
    find_exemplars(model, images, _store(folder), lambda _: None)


def texts(folder: Path, count: int) -> None:
    """All heads of a small decoder on some texts."""
    _heads_of_run(folder, layers=4, heads=8, width=64, count=count)


def heads(folder: Path, count: int) -> None:
    """All heads of a decoder of some number of heads, of width 256, on 8 texts."""
    layers, each, width = {72: (6, 12, 240), 270: (30, 9, 252), 1024: (32, 32, 256)}[count]
    _heads_of_run(folder, layers=layers, heads=each, width=width, count=8)


def models(folder: Path, count: int) -> None:
    """All heads of some small decoders, one after the other."""
    for number in range(count):
        _heads_of_run(folder, layers=4, heads=8, width=64, count=8, seed=number)


def _heads_of_run(
    folder: Path, layers: int, heads: int, width: int, count: int, seed: int = 0
) -> None:
    import torch
    from runs import run_on
    from tiny_transformers import tokenizer_of_words

    from generator.exhibit import ModelSpec
    from generator.inputs.texts import CuratedText
    from generator.models.compat import repair_torchvision
    from generator.models.load import load_model
    from generator.techniques.heads import HEADS

    repair_torchvision()
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = {"num_hidden_layers": layers, "num_attention_heads": heads, "hidden_size": width}
    more = {"intermediate_size": 2 * width, "vocab_size": 64, "bos_token_id": 1}
    made = LlamaForCausalLM(LlamaConfig(**shape, **more, initializer_range=0.06))
    made.save_pretrained(folder / "model")
    tokenizer_of_words().save_pretrained(folder / "model")
    model = load_model(ModelSpec(id="large", source=str(folder / "model")), folder, folder)
    words = [" ".join(f"w{(n * 7 + at * at) % 50}" for at in range(20)) for n in range(count)]
    shown = [CuratedText(str(n), text, "p", "") for n, text in enumerate(words)]
    run = run_on(model, shown, _store(folder), seed=seed, ablate=count, runs=1)
    run[HEADS]


def _store(folder: Path):
    from generator.store import Store

    return Store(folder / "store")


SERIES: dict[str, tuple[Callable[[Path, int], None], tuple[int, ...]]] = {
    "pool": (pool, (300, 3_000)),
    "texts": (texts, (8, 80)),
    "heads": (heads, (72, 270, 1_024)),
    "models": (models, (1, 8)),
}


def one(name: str, count: int) -> None:
    """Measure one line in this process, and print it as JSON."""
    import torch

    torch.set_num_threads(1)
    with TemporaryDirectory() as warm:  # imports are no work
        pool(Path(warm), 8) if name == "pool" else models(Path(warm), 1)
    with TemporaryDirectory() as made:
        folder = Path(made)
        started = time.process_time()
        SERIES[name][0](folder, count)
        cpu = time.process_time() - started
        size = sum(file.stat().st_size for file in folder.rglob("store/**/*") if file.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu": cpu, "bytes": size, "peak": peak}))


def series(name: str, far: bool) -> None:
    """Print all lines of a series."""
    counts = SERIES[name][1] + ((30_000,) if far and name == "pool" else ())
    before: tuple[int, dict[str, float]] | None = None
    for count in counts:
        command = [sys.executable, __file__, "one", name, str(count)]
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        found = json.loads(done.stdout.splitlines()[-1])
        line = f"{name:>7} {count:>6,}: {found['cpu']:7.1f} CPU s {found['bytes'] / 1e6:7.1f} MB "
        line += f"{found['peak'] / 1e9:5.2f} GB peak"
        if before is not None:
            work = count / before[0]
            ratios = {key: found[key] / max(before[1][key], 1e-9) for key in found}
            told = ", ".join(f"{key} x {ratio:.2f}" for key, ratio in ratios.items())
            more = [key for key in ("cpu", "bytes") if ratios[key] > SLACK * work]
            more += ["peak"] if ratios["peak"] > SLACK else []
            line += f"  work x {work:.1f}: {told}"
            line += f"  MORE THAN IT SHOULD: {', '.join(more)}" if more else ""
        print(line, flush=True)
        before = count, found


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["one"]:
        one(words[1], int(words[2]))
        return
    for name in [word for word in words if word != FAR] or SERIES:
        series(name, FAR in words)


if __name__ == "__main__":
    here = Path(__file__).parent
    sys.path[:0] = [str(here), str(here.parent)]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(here.parent), str(here)])
    main()
