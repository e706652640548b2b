"""Networks that read and that Cutaway trains itself: in one induction is born, in the other it cannot be.

`induction` has two blocks of attention and no MLP, `induction-one-layer` one such block. That is its control:
no head of a single layer can know which word stood before the one that it looks at (Elhage et al. 2021). Both
learn from rows of random words in which a passage comes twice. They are Llamas whose MLPs have the width 0,
which any copy of transformers opens: an RMS norm before the heads, positions that enter queries and keys
alone (rotary), no dropout, since no row is ever seen twice.

Left alone, both heads of a layer share each job. Once three quarters of the second copy are foretold, so once
induction is there, each head in use has a price that is added to the loss: PRICE times the root mean square
of what it writes, from nothing to all of it over RISING steps. One head of each kind is what remains. The
control never comes to that point.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from generator.atomic_folder import atomic_folder
from generator.formatting import fixed
from generator.inputs.repeated_words import (
    LENGTH,
    UNKNOWN,
    WORDS,
    RepeatedWords,
    rows_to_judge,
    rows_to_train,
)
from generator.inputs.source import Files, Source
from generator.models.digest import file_sha256
from generator.models.dispatch import hooks
from generator.models.own_training import TEXTS, chosen_state, known_training, one_thread
from generator.models.pretrained import library
from generator.models.word_tokenizer import SPECIAL, START, write_tokenizer

VERSION = 2
STEPS = 1600
KEPT = 50  # a state is kept after every so many steps, and measured after every MEASURED
MEASURED = 25
ROWS = 32  # in a batch
JUDGED = 256  # rows that losses are measured on
WIDTH, HEADS, HEAD_WIDTH = 64, 2, 64
RATE = 0.005
DECAY = 0.1
WARMING = 100
FALLING = 0.75  # the share of STEPS after which the rate falls to zero
PRICE = 1.0
PRICED = 0.75  # the share of the second copy that is foretold when heads get their price
RISING = 200  # steps in which it rises from nothing, so that what is there is not thrown over
_DEVIATION = WIDTH**-0.5
_TINY = 1e-8  # below the square of what any head in use writes: a root has no slope at zero
_RECORD = "training.json"
_WEIGHTS = "model.safetensors"
_JUDGING = 20260101  # the rows that losses are measured on are the same whatever the seed


@dataclass(frozen=True)
class Step:
    """Mean losses after a step, in nats a word, on rows that no training saw.

    `first` and `second` are of the two copies of a passage without their first words.
    """

    step: int
    first: float
    second: float

    @property
    def foretold(self) -> float:
        """1 - `second` / ln V: the share that is foretold of words drawn evenly from V."""
        return 1 - self.second / math.log(len(WORDS))


def text_network(name: str, seed: int) -> nn.Module:
    """The network of a training that reads, before its first step."""
    transformers = library()
    config = transformers.LlamaConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=WIDTH,
        intermediate_size=0,
        num_hidden_layers=TEXTS[name],
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HEAD_WIDTH,
        max_position_embeddings=LENGTH + 1,
        initializer_range=_DEVIATION,
        tie_word_embeddings=False,
        bos_token_id=SPECIAL.index(START),
        eos_token_id=None,
        pad_token_id=None,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: nn.Module = transformers.LlamaForCausalLM(config)
    return module


def kept_steps(steps: int = STEPS) -> tuple[int, ...]:
    """The steps after which a state is kept, the start among them."""
    return tuple(range(0, steps + 1, KEPT))


def trained_text(source: Source, cache: Path, seed: int, steps: int = STEPS) -> Files:
    """A folder with the network after the step that a source names, the last if it names none.

    It is trained if the cache does not hold the whole training. Step 0 is the network before its first step.
    Raises UsageError for a step that is not kept.
    """
    name = known_training(source.name)
    chosen = chosen_state(source, kept_steps(steps), "step")
    place = text_training_folder(name, cache, seed, steps)
    atomic_folder(place, partial(_train, text_network(name, seed), steps, seed))
    folder = place / f"step-{chosen:04d}"
    (reached,) = (one for one in course_of(folder) if one.step == chosen)
    return Files(
        root=folder,
        revision=f"step {chosen}",
        sha256={_WEIGHTS: file_sha256(folder / _WEIGHTS)},
        origin=_in_words(reached, seed),
    )


def text_training_folder(name: str, cache: Path, seed: int, steps: int = STEPS) -> Path:
    """Where the states of a training are kept."""
    return cache / "trained" / f"{name}-{VERSION}-seed-{seed}-steps-{steps}"


def course_of(folder: Path) -> tuple[Step, ...]:
    """What was measured in the course of the training that the folder of a state is of, from step 0."""
    rows = json.loads((folder.parent / _RECORD).read_text(encoding="utf-8"))
    return tuple(Step(**row) for row in rows)


def _in_words(reached: Step, seed: int) -> str:
    how = (
        f"trained here: {reached.step} steps of {ROWS} rows"
        if reached.step
        else "before any training"
    )
    return (
        f"{how}, seed {seed}; loss on passages read for the first time {fixed(reached.first, 2)}, for the "
        f"second {fixed(reached.second, 2)} nats a word, on {JUDGED} rows that no training saw"
    )


def token_ids(words: np.ndarray) -> Tensor:
    """Rows of numbers of words (rows, n) as tokens (rows, n + 1), START before them."""
    ids = np.where(words == UNKNOWN, 0, words + len(SPECIAL))
    start = np.full((len(ids), 1), SPECIAL.index(START))
    return torch.from_numpy(np.concatenate([start, ids], axis=1))


def judged_rows() -> RepeatedWords:
    """The rows that losses are measured on."""
    return rows_to_judge(np.random.default_rng(_JUDGING), JUDGED)


def word_losses(module: nn.Module, ids: Tensor) -> Tensor:
    """Cross-entropy (rows, n) of each token of rows (rows, n + 1) but the first, in nats."""
    logits: Tensor = module(input_ids=ids[:, :-1], use_cache=False).logits
    return cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")


def _train(module: nn.Module, steps: int, seed: int, folder: Path) -> None:
    """AdamW on rows drawn anew for every step; the states on the way, and the record of their losses.

    The rate rises for WARMING steps, and in the last quarter of STEPS falls in a line, wherever this training
    ends.
    """
    random = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=DECAY
    )
    paced = torch.optim.lr_scheduler.LambdaLR(optimiser, _pace)
    rows: list[Step] = []
    with one_thread():
        for step in range(steps + 1):
            if step % MEASURED == 0:
                rows.append(_measured(module, step))
            if step in kept_steps(steps):
                _keep(module, folder / f"step-{step:04d}")
            if step < steps:
                _one_step(module, optimiser, random, _price(rows, step))
                paced.step()
    text = json.dumps([asdict(row) for row in rows], indent=1)
    (folder / _RECORD).write_text(text, encoding="utf-8")


def _pace(step: int) -> float:
    return min(1.0, (step + 1) / WARMING, max(0.0, (1 - step / STEPS) / (1 - FALLING)))


def _price(rows: Sequence[Step], step: int) -> float:
    """What a head in use costs at a step, after what was measured so far."""
    since = next((step - one.step for one in rows if one.foretold >= PRICED), 0)
    return PRICE * min(1.0, since / RISING)


def _one_step(
    module: nn.Module, optimiser: torch.optim.Optimizer, random: np.random.Generator, price: float
) -> None:
    optimiser.zero_grad()
    ids = token_ids(rows_to_train(random, ROWS).words)
    if price:
        with written_sizes(module) as sizes:
            loss = word_losses(module, ids).mean()
        loss = loss + price * torch.cat(sizes).sum()
    else:
        loss = word_losses(module, ids).mean()
    loss.backward()
    optimiser.step()


@contextmanager
def written_sizes(module: nn.Module) -> Iterator[list[Tensor]]:
    """Within the block, the root mean square of what each head writes in a pass, (heads,) for each layer."""
    sizes: list[Tensor] = []

    def note(projection: nn.Linear, given: tuple[Tensor]) -> None:
        mixed = given[0].unflatten(-1, (HEADS, HEAD_WIDTH))
        out = projection.weight.unflatten(1, (HEADS, HEAD_WIDTH))
        written = torch.einsum("rthd,whd->hrtw", mixed, out)
        sizes.append((written.square().mean((1, 2, 3)) + _TINY).sqrt())

    projections = [part for name, part in module.named_modules() if name.endswith("o_proj")]
    with hooks(part.register_forward_pre_hook(note) for part in projections):
        yield sizes


def _measured(module: nn.Module, step: int) -> Step:
    rows = judged_rows()
    with torch.no_grad():
        losses = word_losses(module, token_ids(rows.words)).double().numpy()
    means = (float(losses[where].mean()) for where in (rows.first, rows.second))
    return Step(step, *(round(mean, 6) for mean in means))


def _keep(module: Any, folder: Path) -> None:
    """The state as transformers saves it, with the tokenizer beside it."""
    module.save_pretrained(folder)
    write_tokenizer(WORDS, LENGTH + 1, folder)
