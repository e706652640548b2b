"""Whose pictures are shown: one list a model of all that it is run on, which other pages link to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from generator.inputs.images import CuratedImage
from generator.inputs.pool import PoolPicture
from generator.inputs.shown import NOT_STATED, Picture
from generator.run import PICTURES, Run, Section, Technique

_NAME = 60


@dataclass(frozen=True)
class Credit:
    """Pictures of one origin under one licence: their place in the list, and what the origin begins with."""

    anchor: str
    name: str
    origin: str
    licence: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """The list, curated pictures first; `pictures` are counted in it."""

    credits: tuple[Credit, ...]
    pictures: int


def measure(run: Run) -> Mapping[str, Credit]:
    """The credit of each picture, by the digest of its bytes."""
    listed: dict[tuple[str, str], list[Picture]] = {}
    for picture in _pictures(run):
        listed.setdefault((picture.origin, picture.licence), []).append(picture)
    found: dict[str, Credit] = {}
    for number, ((origin, licence), pictures) in enumerate(listed.items()):
        labels = tuple(dict.fromkeys(one.label for one in pictures))
        credit = Credit(f"p{number}", short(origin), origin, licence, labels)
        found |= {one.sha256: found.get(one.sha256, credit) for one in pictures}
    return found


def _pictures(run: Run) -> Iterator[Picture]:
    images: tuple[CuratedImage, ...] = run.inputs.images
    pool: tuple[PoolPicture, ...] = run.inputs.pool
    yield from images
    yield from pool


def short(origin: str) -> str:
    """What an origin begins with, as a rule the author: up to its first comma outside brackets."""
    if origin == NOT_STATED:
        return "origin not stated"
    depth, end = 0, len(origin)
    for place, sign in enumerate(origin):
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth <= 0:
            end = place
            break
    name = re.sub(r"\s+", " ", origin[:end]).strip(" .")
    return name if len(name) <= _NAME else f"{name[:_NAME].rstrip()}…"


def credits_of(run: Run, pictures: Iterable[Picture]) -> tuple[Credit, ...]:
    """The credits of some pictures, each once."""
    known = run[CREDITS]
    return tuple(dict.fromkeys(known[one.sha256] for one in pictures))


def view(run: Run) -> View:
    """The section on the page of its own."""
    every = dict.fromkeys(run[CREDITS].values())
    return View(tuple(every), len(run.inputs.images) + len(run.inputs.pool))


CREDITS = Technique(
    name="credits",
    title="Pictures and whose they are",
    search="authors licences origin photographs credits",
    reads=PICTURES,
    measure=measure,
    sections=(Section("pictures", "credits", "credits.html", view),),
)
