"""Weights in files that are mapped into memory: held while they are looked at, and shared by processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from generator.mapped import ALIGNED, let_go, map_file
from generator.models.any_model import AnyModel
from generator.models.model import VisionModel
from generator.store import writing_atomically


def map_model(model: AnyModel, folder: Path | None) -> None:
    """Move the weights of a model into a file below `folder`, which is mapped; those on the CPU alone.

    Nothing else changes: each tensor keeps its values and its layout, and starts where a new one would. They
    are not to be written to from then on: that would be lost with the next `let_go`. Where the disk refuses,
    weights stay in memory; without a folder, nothing is done.
    """
    if folder is None:
        return
    modules, others = [model.module], list[Tensor]()
    if isinstance(model, VisionModel):
        others = list(model.filters.values())
        modules += [model.towers.module] if model.towers else []
    every = {one: None for module in modules for one in module.parameters() if _is_plain(one)}
    if every:
        try:
            _map(list(every), others, folder)
        except OSError:
            for one in every:  # that sums are taken in the same order
                one.data = one.data.clone() if one.data_ptr() % ALIGNED else one.data
    let_go()


def _map(every: list[nn.Parameter], others: list[Tensor], folder: Path) -> None:
    """Map parameters, and `others` where they are the same memory as one of these."""
    starts, size = list[int](), 0
    for one in every:
        starts.append(size)
        size += -(-one.nbytes // ALIGNED) * ALIGNED
    held = map_file(_file(every, starts, folder), writable=True)
    for one, start in zip(every, starts, strict=True):
        flat = torch.frombuffer(held, dtype=one.dtype, count=one.numel(), offset=start)
        at = one.data_ptr(), one.nbytes
        for each in (*(other for other in others if (other.data_ptr(), other.nbytes) == at), one):
            each.data = flat.as_strided(each.shape, each.stride())


def _is_plain(one: Tensor) -> bool:
    """Whether a tensor fills a stretch of main memory."""
    dense = torch.empty_like(one, device="meta").stride() == one.stride()
    return one.device.type == "cpu" and one.layout is torch.strided and dense and one.numel() > 0


def _file(every: list[nn.Parameter], starts: list[int], folder: Path) -> Path:
    """The file of some tensors, by a digest of its bytes."""
    digest = hashlib.sha256(repr(starts).encode())
    for data in _bytes(every):
        digest.update(data)
    path = folder / digest.hexdigest()
    if not path.exists():
        with writing_atomically(path) as stream:
            for start, data in zip(starts, _bytes(every), strict=True):
                stream.seek(start)
                stream.write(data)
    return path


def _bytes(every: list[nn.Parameter]) -> Iterator[memoryview]:
    """What each tensor holds, in the order of memory."""
    for one in every:
        flat = one.data.as_strided((one.numel(),), (1,))
        yield flat.view(torch.uint8).numpy().data
