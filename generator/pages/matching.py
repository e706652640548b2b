"""The page that compares every picture with every text, for a network of two towers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from generator.addresses import part_address
from generator.findings import VisionFindings
from generator.formatting import fixed
from generator.inputs.images import CuratedImage
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.parts import MATCHING, part_place
from generator.probes.matching import DRAWS, MOST, Matching, PictureMatch
from generator.techniques.class_maps import place_of

COSINE, FALL = 3, 4  # decimals


def matching_page(findings: VisionFindings, pages: Pages) -> Page:
    """Cosines and probabilities of all pairs, and what hiding parts of pictures does to the best match."""
    model, found = findings.model, findings.matching
    assert found is not None
    items = [
        _item(findings, found, image, match, pages)
        for image, match in zip(findings.images, found.pictures, strict=True)
    ]
    first = found.pictures[0]
    return pages.page(
        "matching.html",
        part_address(model.id, MATCHING.key),
        f"Pictures and texts · {model.title}",
        f"Cosines and probabilities of {len(items)} pictures with {len(found.texts)} texts in {model.title}, "
        "and which patches of each picture move its best match.",
        model=model,
        place=part_place(findings, MATCHING),
        found=found,
        rows=_rows(found),
        items=items,
        grid=first.drops.shape,
        parts=first.drops.size,
        hidden=len(first.strongest),
        draws=DRAWS,
        most=MOST,
    )


def _rows(found: Matching) -> list[dict[str, Any]]:
    """A row for each text, with a cell for each picture."""
    return [
        {
            "text": text,
            "cells": [
                {
                    "cosine": fixed(float(match.cosines[i]), COSINE),
                    "probability": float(match.probabilities[i]),
                    "best": match.best == i,
                }
                for match in found.pictures
            ],
        }
        for i, text in enumerate(found.texts)
    ]


def _item(
    findings: VisionFindings,
    found: Matching,
    image: CuratedImage,
    match: PictureMatch,
    pages: Pages,
) -> dict[str, Any]:
    folder, text = f"models/{findings.model.id}", found.texts[match.best].text
    most = float(match.drops.max())
    seen = f"falls most, by {fixed(most, FALL)}, when the part {place_of(match.drops)} is hidden"
    alt = (
        f"Which parts of the picture of {image.label} move its match with “{text}”: the cosine "
        f"{seen if most > 0 else 'falls with no part hidden'}."
    )
    return {
        "label": image.label,
        "thumb": pages.figure(f"{folder}/pictures/{image.id}.webp", image.alt),
        "figure": pages.figure(f"{folder}/matching/{image.id}.webp", alt),
        "text": text,
        "cosine": fixed(float(match.cosines[match.best]), COSINE),
        "probability": float(match.probabilities[match.best]),
        "changes": [fixed(-value, FALL) for value in (most, float(match.drops.min()))],
        "together": fixed(match.together, FALL),
        "others": fixed(match.others, FALL) if np.isfinite(match.others) else "–",
        "random": fixed(float(match.random.mean()), FALL),
        "spread": [fixed(float(end), FALL) for end in (match.random.min(), match.random.max())],
        "reached": match.reached,
    }


def match_rows(findings: VisionFindings) -> list[Sequence[Any]]:
    """Every picture with every text: cosine, logit, probability, and whether no other text fits better."""
    found = findings.matching
    if found is None:
        return []
    return [
        (
            match.picture,
            text.id,
            match.cosines[i],
            found.scale * float(match.cosines[i]) + found.bias,
            match.probabilities[i],
            int(match.best == i),
        )
        for match in found.pictures
        for i, text in enumerate(found.texts)
    ]


def part_rows(findings: VisionFindings) -> list[Sequence[Any]]:
    """By how much the best match falls with each part hidden, with the strongest, and with random ones."""
    found = findings.matching
    return [row for match in found.pictures for row in _falls(found, match)] if found else []


def _falls(found: Matching, match: PictureMatch) -> Iterator[Sequence[Any]]:
    where, count = (match.picture, found.texts[match.best].id), len(match.strongest)
    for row, values in enumerate(match.drops):
        yield from ((*where, "part", row, column, "", 1, v) for column, v in enumerate(values))
    yield (*where, "strongest", "", "", "", count, match.together)
    yield (*where, "strongest, other texts", "", "", "", count, match.others)
    for draw, value in enumerate(match.random):
        yield (*where, "random", "", "", draw, count, value)
