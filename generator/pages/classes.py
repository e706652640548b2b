"""The page on what in a picture made the class: class activation maps, Grad-CAM, learned classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from generator.addresses import part_address
from generator.findings import VisionFindings
from generator.inputs.images import CuratedImage
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.parts import CLASSES, part_place
from generator.probes.grad_cam import GradCam
from generator.probes.learned_classes import LearnedMap


def classes_page(findings: VisionFindings, pages: Pages) -> Page:
    """All maps of evidence for classes of one model."""
    model = findings.model
    first = next(iter(findings.class_maps.values()))
    grad = next(iter(findings.grad_cams.values()))
    learned = findings.searched.learned if findings.searched else None
    return pages.page(
        "classes.html",
        part_address(model.id, CLASSES.key),
        f"What made the class · {model.title}",
        f"Class activation maps, Grad-CAM and learned classes of {model.title}: where in each picture "
        "the evidence lies, with the sums that check it.",
        model=model,
        place=part_place(findings, CLASSES),
        reason=first.reason,
        layer=first.layer,
        maps=list(_class_maps(findings, pages)),
        grad_reason=grad.reason,
        cams=list(_grad_cams(findings, pages)),
        learned=learned,
        shown=[_learned(findings, one, pages) for one in learned.shown] if learned else [],
        chance=float(learned.learned.shuffled_majority.mean())
        if learned and learned.learned
        else None,
        tables=[
            *(["class_maps.csv", "class_channels.csv"] if first.classes else []),
            *(["grad_cams.csv"] if grad.depths else []),
            *(["learned_classes.csv", "learned_scores.csv"] if learned and learned.learned else []),
        ],
    )


def _folder(findings: VisionFindings) -> str:
    return f"models/{findings.model.id}"


def _thumb(findings: VisionFindings, image: CuratedImage, pages: Pages) -> dict[str, Any]:
    thumb = pages.figure(f"{_folder(findings)}/pictures/{image.id}.webp", image.alt)
    return {"id": image.id, "label": image.label, "thumb": thumb}


def _class_maps(findings: VisionFindings, pages: Pages) -> Iterator[dict[str, Any]]:
    """For each picture its most probable classes, each with the map of its evidence."""
    for image in findings.images:
        maps = findings.class_maps[image.id]
        classes = [
            {
                "map": each,
                "figure": pages.figure(
                    f"{_folder(findings)}/classes/{image.id}-{number}.webp",
                    f"Where the evidence for {each.label} lies in the picture of {image.label}: "
                    f"strongest {place_of(each.values)}.",
                ),
            }
            for number, each in enumerate(maps.classes)
        ]
        if classes:
            yield {
                **_thumb(findings, image, pages),
                "classes": classes,
                "worked": maps.worked,
            }


def _grad_cams(findings: VisionFindings, pages: Pages) -> Iterator[dict[str, Any]]:
    for image in findings.images:
        found = findings.grad_cams[image.id]
        every = (*found.depths, *found.controls)
        figures = [_cam(findings, image, each, n, pages) for n, each in enumerate(every)]
        count = len(found.depths)
        if every:
            likeness = [found.likeness(control) for control in found.controls]
            yield {
                **_thumb(findings, image, pages),
                "label_of_class": found.depths[-1].label,
                "depths": figures[:count],
                "controls": [
                    {**figure, "likeness": value}
                    for figure, value in zip(figures[count:], likeness, strict=True)
                ],
            }


def _cam(
    findings: VisionFindings, image: CuratedImage, cam: GradCam, number: int, pages: Pages
) -> dict[str, Any]:
    where = place_of(cam.values) if cam.values.max() > 0 else "nowhere above zero"
    alt = f"Grad-CAM for {cam.label} at {cam.layer} on the picture of {image.label}: {where}."
    path = f"{_folder(findings)}/classes/grad-{image.id}-{number}.webp"
    return {"cam": cam, "figure": pages.figure(path, alt)}


def _learned(findings: VisionFindings, shown: LearnedMap, pages: Pages) -> dict[str, Any]:
    assert findings.searched is not None
    classes = findings.searched.learned.classes
    picture = next(one for one in findings.pool if one.id == shown.picture)
    alt = f"{picture.label}, from the pool."
    return {
        "map": shown,
        "label": picture.label,
        "truth": classes[shown.truth],
        "predicted": classes[shown.predicted],
        "picture": pages.figure(f"{_folder(findings)}/pool/{picture.id}.webp", alt),
        "classes": [
            {
                "name": name,
                "score": float(shown.scores[c]),
                "probability": float(shown.probabilities[c]),
                "mean": float(shown.values[c].mean()),
                "bias": float(shown.bias[c]),
                "figure": pages.figure(
                    f"{_folder(findings)}/classes/learned-{shown.picture}-{c}.webp",
                    f"Evidence for {name} (orange) and against it (blue) in the picture of "
                    f"{picture.label}; most for it {place_of(shown.values[c])}.",
                ),
            }
            for c, name in enumerate(classes)
        ],
    }


def place_of(values: np.ndarray) -> str:
    """Where a map (height, width) is largest, in words."""
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    down = ("at the top", "in the middle", "at the bottom")[int(3 * row / values.shape[0])]
    across = ("left", "centre", "right")[int(3 * column / values.shape[1])]
    return f"{down}, {across}"


def class_rows(findings: VisionFindings) -> list[Sequence[Any]]:
    """Each class activation map's sum: mean plus bias is the logit."""
    return [
        (
            picture,
            maps.layer,
            each.label,
            each.probability,
            each.logit,
            each.values.mean(),
            each.bias,
        )
        for picture, maps in findings.class_maps.items()
        for each in maps.classes
    ]


def grad_rows(findings: VisionFindings) -> list[Sequence[Any]]:
    """Each Grad-CAM: class, layer, what the network says of the class, and the map's maximum."""
    return [
        (picture, each.layer, each.label, each.logit, each.probability, each.values.max())
        for picture, cams in findings.grad_cams.items()
        for each in (*cams.depths, *cams.controls)
    ]


def learned_rows(findings: VisionFindings) -> list[Sequence[Any]]:
    """Every held-out picture: its class, what it was taken for, and the probabilities."""
    learned = findings.searched.learned if findings.searched else None
    if learned is None or learned.learned is None:
        return []
    names, found = learned.classes, learned.learned
    return [
        (
            picture,
            int(found.fold[n]),
            names[learned.truth[n]],
            names[found.predicted[n]],
            *found.probabilities[n],
        )
        for n, picture in enumerate(learned.pictures)
    ]


def channel_rows(findings: VisionFindings) -> list[Sequence[Any]]:
    """What each listed channel adds to the logit of a picture's first class, and what all of them do."""
    rows: list[Sequence[Any]] = []
    for picture, maps in findings.class_maps.items():
        worked = maps.worked
        if worked is None:
            continue
        where = (picture, maps.layer, worked.label)
        rows += [(*where, one.unit, one.mean, one.weight, one.product) for one in worked.top]
        rows.append((*where, "raising", "", "", worked.raising))
        rows.append((*where, "lowering", "", "", worked.lowering))
    return rows


def score_rows(findings: VisionFindings) -> list[Sequence[Any]]:
    """How well the learned classes are told apart on held-out pictures, and what chance reaches."""
    found = findings.searched.learned if findings.searched else None
    if found is None or found.learned is None:
        return []
    return [
        ("accuracy", found.accuracy, found.standard_error),
        ("most frequent class", found.majority, ""),
        ("shuffled labels", found.shuffled, ""),
        ("shuffled labels, most frequent", found.learned.shuffled_majority.mean(), ""),
    ]
