"""How a network of two towers matches pictures with texts, and which parts of a picture move the match.

    c(x, t) = cosine between the vectors of picture x and text t
    p(t | x) = softmax over the texts of s c(x, t)      CLIP (Radford et al. 2021)
    p(x, t) = sigmoid(s c(x, t) + b)                    SigLIP (Zhai et al. 2023)

A part of a picture is one patch, or a square of patches where there are more than MOST of them; in networks
that cut none, one of MOST squares. Hidden, it has the mean colour of the picture (occlusion, Zeiler & Fergus
2014). What is measured is c before minus c after.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from generator.inputs.texts import CuratedText
from generator.models.digest import state_digest
from generator.models.model import TwoTowers, VisionModel
from generator.store import Store, digest_of_value

VERSION = 1
MOST = 64  # parts of a picture
STRONGEST = 8  # one part in so many is hidden with the others that lower the cosine most
DRAWS = 20
BATCH = 16


@dataclass(frozen=True, eq=False)
class PictureMatch:
    """One picture with all texts, arrays (texts,), and what hiding its parts does to the best match.

    `best` is the index of the text with the largest cosine. `drops` (rows, columns) is by how much that
    cosine falls when one part alone is hidden. `strongest` are the flat indices of the parts that lower it
    most; `together` is the fall with all of them hidden, `others` the mean fall of the cosines with the other
    texts then (NaN without any), `random` (draws,) the fall with as many parts hidden that were drawn at
    random.
    """

    picture: str
    cosines: np.ndarray
    probabilities: np.ndarray
    best: int
    drops: np.ndarray
    strongest: np.ndarray
    together: float
    others: float
    random: np.ndarray

    @property
    def reached(self) -> int:
        """In how many draws random parts lower the cosine at least as much as the strongest."""
        return int((self.random >= self.together).sum())


@dataclass(frozen=True, eq=False)
class Matching:
    """All pictures with all texts. `block` is a part's side in patches, `patch` a patch's in pixels.

    `cut` is False where the network cuts no patches, and `patch` is a square's side.
    """

    texts: tuple[CuratedText, ...]
    shares: str
    scale: float
    bias: float
    patch: int
    block: int
    cut: bool
    pictures: tuple[PictureMatch, ...]


@dataclass(frozen=True, eq=False)
class _Vectors:
    values: np.ndarray


def measure_matching(
    model: VisionModel,
    pixels: Mapping[str, np.ndarray],
    texts: Sequence[CuratedText],
    seed: int,
    store: Store,
) -> Matching:
    """Match pictures (3, H, W), normalised, with texts. `model` is the picture tower of a network of two."""
    towers = model.towers
    assert towers is not None
    size, attention = model.preprocessing.size, model.attention
    patch = size // math.isqrt(MOST) if attention is None else attention.grid.height
    vectors = _text_vectors(model, towers, texts, next(iter(pixels.values())), store)
    parts = {
        "model": model.key,
        "texts": digest_of_value(vectors),
        "how": [towers.shares, towers.scale, towers.bias, patch],
        "seed": seed,
    }
    found = []
    for name, each in pixels.items():
        key = {**parts, "picture": name, "pixels": digest_of_value(each)}
        make = partial(_match, model, towers, vectors, name, each, patch, seed)
        found.append(store.result("matching", VERSION, key, PictureMatch, make))
    return Matching(
        tuple(texts),
        towers.shares,
        towers.scale,
        towers.bias,
        patch,
        block_side(size // patch),
        attention is not None,
        tuple(found),
    )


def block_side(patches: int) -> int:
    """The side in patches of the smallest squares that are at most MOST to a picture of so many a side."""
    side = 1
    while math.ceil(patches / side) ** 2 > MOST:
        side += 1
    return side


def part_of_pixel(size: int, patch: int) -> np.ndarray:
    """Which part each pixel (size, size) belongs to, counted row by row; -1 where no patch covers it."""
    patches = size // patch
    block = block_side(patches)
    across = math.ceil(patches / block)
    place = np.arange(size) // (patch * block)
    found = place[:, None] * across + place[None, :]
    covered = np.arange(size) < patches * patch
    return np.where(covered[:, None] & covered[None, :], found, -1)


def probabilities(cosines: np.ndarray, towers: TwoTowers) -> np.ndarray:
    """The shares of cosines (texts,) of one picture, as the network was trained."""
    logits = torch.tensor(cosines) * towers.scale + towers.bias
    shares = logits.softmax(-1) if towers.shares == "softmax" else logits.sigmoid()
    return shares.numpy()


def _text_vectors(
    model: VisionModel,
    towers: TwoTowers,
    texts: Sequence[CuratedText],
    pixels: np.ndarray,
    store: Store,
) -> np.ndarray:
    """The vectors (texts, width) of length 1. The whole asks for a picture too: they do not depend on it."""

    def make() -> _Vectors:
        picture = torch.from_numpy(pixels)[None].to(model.device)
        found = []
        for first in range(0, len(texts), BATCH):
            read = towers.read([text.text for text in texts[first : first + BATCH]])
            with torch.no_grad():
                embedded = towers.module(pixel_values=picture, **read).text_embeds
            found.append(functional.normalize(embedded.float(), dim=-1).cpu())
        return _Vectors(torch.cat(found).numpy())

    parts = {
        "weights": state_digest(towers.module.state_dict()),
        "device": model.device.type,
        "texts": [text.text for text in texts],
        "ids": [towers.read([text.text])["input_ids"][0].tolist() for text in texts],
    }
    return store.result("matching_texts", VERSION, parts, _Vectors, make).values


def _picture_vectors(model: VisionModel, pictures: Iterable[Tensor]) -> Tensor:
    """The vectors (pictures, width) of length 1 of pictures (3, H, W)."""
    found, waiting = list[Tensor](), iter(pictures)
    while batch := list(islice(waiting, BATCH if model.batched else 1)):
        with torch.no_grad():
            vectors = model.module(torch.stack(batch).to(model.device)).float()
        found.append(functional.normalize(vectors, dim=-1).cpu())
    return torch.cat(found)


def _match(
    model: VisionModel,
    towers: TwoTowers,
    vectors: np.ndarray,
    name: str,
    pixels: np.ndarray,
    patch: int,
    seed: int,
) -> PictureMatch:
    picture, texts = torch.from_numpy(pixels), torch.tensor(vectors)
    parts = part_of_pixel(pixels.shape[-1], patch)
    count = int(parts.max()) + 1
    whole = (_picture_vectors(model, [picture]) @ texts.t())[0]
    best = int(whole.argmax())

    def falls(chosen: Iterable[np.ndarray]) -> np.ndarray:
        """By how much the cosines (sets, texts) fall with each set of parts hidden."""
        hidden = (_hidden(picture, parts, each) for each in chosen)
        return (whole - _picture_vectors(model, hidden) @ texts.t()).numpy()

    drops = falls(np.array([part]) for part in range(count))[:, best]
    strongest = np.argsort(-drops, kind="stable")[: math.ceil(count / STRONGEST)]
    draw = np.random.default_rng(seed)
    random = [draw.choice(count, len(strongest), replace=False) for _ in range(DRAWS)]
    together, *others = falls([strongest, *random])
    side = round(count**0.5)
    rest = np.delete(together, best)
    return PictureMatch(
        picture=name,
        cosines=whole.numpy(),
        probabilities=probabilities(whole.numpy(), towers),
        best=best,
        drops=drops.reshape(side, side),
        strongest=strongest,
        together=float(together[best]),
        others=float(rest.mean()) if len(rest) else float("nan"),
        random=np.array([each[best] for each in others]),
    )


def _hidden(picture: Tensor, parts: np.ndarray, chosen: np.ndarray) -> Tensor:
    """The picture (3, H, W) with some parts in its mean colour."""
    mask = torch.from_numpy(np.isin(parts, chosen))
    return torch.where(mask, picture.mean((1, 2), keepdim=True), picture)
