"""A network for pictures that Cutaway trains itself, so that a reader can watch units come into being.

Here it is `digits`, a small convolutional network on the digits that scikit-learn ships.
It runs once on the CPU in one thread, so that the same seed gives the same weights on one machine
whatever else is set, and the weights after every epoch are kept.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from generator.atomic_folder import atomic_folder
from generator.exhibit import Preprocessing
from generator.formatting import amount, fixed
from generator.inputs.digits import Digits, digits
from generator.inputs.images import as_pixels, as_seen
from generator.inputs.source import Files, Source
from generator.models.digest import file_sha256
from generator.models.own_training import chosen_state, known_training, one_thread
from generator.models.vision import Network
from generator.uncertainty import share_interval

VERSION = 3
EPOCHS = 64
BATCH = 64
RATE = 0.002
MOMENTUM = 0.9
# What chance put into a kernel must give way to what is learned, or every filter shows the noise that it
# started from: kernels learn faster than the rest, and decay. Batch norm undoes the size of both.
KERNEL_RATE = 0.2
DECAY = 0.0015
_RECORD = "training.json"
# Mean and deviation of the training part, in shares of full ink.
_HOW = Preprocessing(
    size=32, crop=1.0, mean=(0.305,) * 3, std=(0.376,) * 3, interpolation="bilinear"
)


@dataclass(frozen=True)
class Epoch:
    """What was measured of one epoch, losses in nats.

    `train_loss` is the mean over the epoch's batches, each taken before the step that it caused (for
    epoch 0: over the untouched network); the others are of the held-out part after the epoch.
    """

    epoch: int
    train_loss: float
    test_loss: float
    test_accuracy: float


def build_trained(name: str, seed: int) -> Network:
    """The network of a training, before its first step."""
    known_training(name)
    labels = tuple(str(digit) for digit in range(10))
    return Network(_network(seed), "train:digits", _HOW, labels)


def _network(seed: int) -> nn.Module:
    """Four convolutions of 16, 16, 32 and 32 channels, an average over positions, a linear map."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(
            OrderedDict(
                [
                    *_block(1, 3, 16, 5),
                    ("pool1", nn.MaxPool2d(2)),
                    *_block(2, 16, 16, 3),
                    ("pool2", nn.MaxPool2d(2)),
                    *_block(3, 16, 32, 3),
                    *_block(4, 32, 32, 3),
                    ("average", nn.AdaptiveAvgPool2d(1)),
                    ("flatten", nn.Flatten()),
                    ("classes", nn.Linear(32, 10)),
                ]
            )
        )
    # A grey picture has the same values in all channels and gives their kernels the same gradient:
    # kernels that start equal stay so, and a filter is drawn grey, not in the colours of its chance.
    first = _kernels(module)[0]
    first.data.copy_(first.data.mean(1, keepdim=True).expand_as(first) * 3**0.5)
    return module


def _kernels(module: nn.Module) -> list[Tensor]:
    return [each.weight for each in module.modules() if isinstance(each, nn.Conv2d)]


def _block(number: int, inputs: int, outputs: int, kernel: int) -> list[tuple[str, nn.Module]]:
    return [
        (f"conv{number}", nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)),
        # A running mean that follows within one epoch, since every epoch is shown.
        (f"norm{number}", nn.BatchNorm2d(outputs, momentum=0.2)),
        (f"relu{number}", nn.ReLU()),
    ]


def trained(source: Source, cache: Path, seed: int, epochs: int = EPOCHS) -> Files:
    """The weights after the epoch that a source names, the last if it names none.

    The network is trained if the cache does not hold the whole training. Epoch 0 is the network before
    its first step. Raises UsageError for an epoch that the training does not reach.
    """
    network = build_trained(source.name, seed)
    chosen = chosen_state(source, range(epochs + 1), "epoch")
    place = training_folder(source.name, cache, seed, epochs)
    atomic_folder(place, partial(_train, network.module, digits(), epochs, seed))
    weights = place / f"epoch-{chosen:02d}.safetensors"
    return Files(
        root=weights,
        revision=f"epoch {chosen}",
        sha256={weights.name: file_sha256(weights)},
        origin=_in_words(record_of(weights)[chosen], seed),
    )


def training_folder(name: str, cache: Path, seed: int, epochs: int = EPOCHS) -> Path:
    """Where the states of a training are kept."""
    return cache / "trained" / f"{name}-{VERSION}-seed-{seed}-epochs-{epochs}"


def record_of(weights: Path) -> tuple[Epoch, ...]:
    """What was measured after every epoch of the training that a weights file is of, from epoch 0."""
    rows = json.loads((weights.parent / _RECORD).read_text(encoding="utf-8"))
    return tuple(Epoch(**row) for row in rows)


def _in_words(reached: Epoch, seed: int) -> str:
    seen, held_out = (len(part.classes) for part in digits())
    share = reached.test_accuracy
    ends = share_interval(share, held_out)
    low, high = (fixed(100 * end, 1) for end in ends)
    epochs = amount(reached.epoch, "epoch")
    how = f"trained here: {epochs} on {seen:,} digits" if reached.epoch else "before any training"
    measured = (
        f"{100 * share:.1f} % (95 % interval {low} to {high} %) on {held_out} digits held out"
    )
    return f"{how}, seed {seed}, test accuracy {measured}"


def _train(
    module: nn.Module, parts: tuple[Digits, Digits], epochs: int, seed: int, folder: Path
) -> None:
    """Stochastic gradient descent; the weights before it and after every epoch, and their record.

    The rates fall along a cosine to zero at `EPOCHS`, wherever this training ends.
    """
    from safetensors.torch import save_file

    seen, held_out = (_tensors(part) for part in parts)
    order = torch.Generator().manual_seed(seed)
    kernels = _kernels(module)
    known = {id(one) for one in kernels}
    others = [one for one in module.parameters() if id(one) not in known]
    groups = [
        {"params": kernels, "lr": KERNEL_RATE, "weight_decay": DECAY},
        {"params": others, "lr": RATE},
    ]
    optimiser = torch.optim.SGD(groups, momentum=MOMENTUM)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    rows = []
    with one_thread():
        for epoch in range(epochs + 1):
            if epoch:
                loss = _one_epoch(module, optimiser, seen, order)
                falling.step()
            else:
                loss, _ = _score(module, *seen)
            rows.append(Epoch(epoch, round(loss, 6), *_score(module, *held_out)))
            state = {name: value.contiguous() for name, value in module.state_dict().items()}
            save_file(state, folder / f"epoch-{epoch:02d}.safetensors")
    text = json.dumps([asdict(row) for row in rows], indent=1)
    (folder / _RECORD).write_text(text, encoding="utf-8")


def _tensors(part: Digits) -> tuple[Tensor, Tensor]:
    """Pixels (n, 3, 32, 32) as every probe gives them to the network, and classes (n,)."""
    pictures = (part.picture(place).convert("RGB") for place in range(len(part.classes)))
    pixels = np.stack([as_pixels(as_seen(picture, _HOW), _HOW) for picture in pictures])
    batch = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
    return batch, torch.from_numpy(part.classes)


def _one_epoch(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    seen: tuple[Tensor, Tensor],
    order: torch.Generator,
) -> float:
    """Every picture once, in an order drawn anew. Returns the mean loss."""
    pixels, classes = seen
    total = 0.0
    module.train()
    for batch in torch.randperm(len(classes), generator=order).split(BATCH):
        optimiser.zero_grad()
        loss = cross_entropy(module(pixels[batch]), classes[batch])
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(batch)
    return total / len(classes)


def _score(module: nn.Module, pixels: Tensor, classes: Tensor) -> tuple[float, float]:
    """Mean loss in nats, and the share of pictures whose class has the largest logit."""
    module.eval()
    with torch.no_grad():
        logits = torch.cat([module(batch) for batch in pixels.split(256)])
    right = (logits.argmax(1) == classes).double().mean()
    return round(float(cross_entropy(logits, classes)), 6), float(right)
