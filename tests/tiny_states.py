"""Tiny models that read at three states, on the straight way from one random network to another."""

from __future__ import annotations

import shutil
from dataclasses import replace

import torch
from runs import run_on
from safetensors.torch import load_file, save_file
from tiny_transformers import save_tiny, tokenizer_of_words

from generator.exhibit import ModelSpec
from generator.inputs.texts import CuratedText
from generator.models.checkpoints import load_checkpoints
from generator.models.load import load_model

TEXTS = (
    CuratedText("rain", "rain fell on the old town at night rain fell on the town", "", ""),
    CuratedText("words", "w1 w2 w3 w4 w5 w6 w1 w2 w3 w4", "", ""),
)
SHARES = (0.0, 0.6, 1.0)


def lay_out(folder, family="gpt2", mask=False):
    """States on the straight way between two random networks: the last is the final one."""
    ends = []
    for seed in (1, 2):
        save_tiny(family, folder / f"end{seed}", seed)
        ends.append(load_file(folder / f"end{seed}" / "model.safetensors"))
    for share in SHARES:
        shutil.copytree(folder / "end1", folder / f"{share:g}")
        mixed = {name: torch.lerp(ends[0][name], ends[1][name], share) for name in ends[0]}
        save_file(mixed, folder / f"{share:g}" / "model.safetensors", {"format": "pt"})
        if mask:
            tokenizer = tokenizer_of_words()
            tokenizer.mask_token = "[UNK]"
            tokenizer.save_pretrained(folder / f"{share:g}")
    return folder


def spec_of(**more):
    """The entry of the last state, which names all of them."""
    states = tuple({"label": f"at {x:g}", "source": f"./{x:g}"} for x in SHARES)
    return ModelSpec(**{"id": "tiny", "source": "./1", "checkpoints": states} | more)


def run_in(folder, store, spec=None, **more):
    """A run of the last state that has all of them."""
    spec = spec or spec_of()
    model = load_model(spec, folder, folder)
    run = run_on(model, TEXTS, store, **more)
    return replace(run, checkpoints=load_checkpoints(spec, model, folder, folder))
