"""One figure alone, for slides and papers: `cutaway figure`."""

from __future__ import annotations

import functools
import os
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.articles.kinds import KINDS, parameters_of, plan
from generator.articles.plan import Plan
from generator.articles.shown import Shown, one_of
from generator.errors import UsageError, did_you_mean
from generator.exhibit import Exhibit, load_exhibit
from generator.findings import Findings
from generator.single import exhibit_of_one
from generator.store import Store
from generator.subjects import load_subjects, measure, read_inputs

FORMATS = ("pdf", "svg", "png")
_UNITS = {"mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0, "px": 1.0, "pt": 96 / 72, "": 1.0}


@dataclass(frozen=True)
class Paper:
    """Where a figure goes: the file, its width in CSS pixels, and the dots an inch of its rasters."""

    file: Path
    width: float
    dpi: int = 300


def pixels_of_width(text: str) -> float:
    """A width such as 160mm, 16cm, 6in or 680 in CSS pixels (96 an inch). Raises UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"--width: '{text}' is no width; write 160mm, 16cm, 6in or 680px.")
    width = float(match[1]) * _UNITS[match[2]]
    if not 100 <= width <= 5000:
        raise UsageError(f"--width: '{text}' is out of range: 100 to 5000 px, 26 to 1323 mm.")
    return width


def parameters(kind: str, words: Sequence[str]) -> dict[str, Any]:
    """The parameters of a kind from words such as --image cat --classes=tabby,lynx."""
    one_of("kind of figure", kind, KINDS)
    known = parameters_of(kind)
    found: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            raise UsageError(f"'{word}' is no option; parameters are written --name value.")
        key = name[2:].replace("-", "_")
        if key not in known:
            raise UsageError(f"'{kind}' has no option '{name}'. {did_you_mean(key, known)}")
        if not equals:
            if not rest:
                raise UsageError(f"'{name}' needs a value.")
            value = rest.pop(0)
        several = typing.get_origin(known[key].annotation) is typing.Annotated
        found[key] = tuple(part.strip() for part in value.split(",")) if several else value
    return found


def draw_alone(
    kind: str,
    model: str,
    exhibit: Path | None,
    chosen: Mapping[str, Any],
    paper: Paper,
    device: str,
) -> Plan:
    """Draw one figure of one model, an id of the exhibit or a source, and write the file.

    Probes run through the store of the exhibit, so that what a build measured is not measured again.
    """
    ending = one_of("format", paper.file.suffix.removeprefix(".").lower(), FORMATS)
    shown_exhibit, name = _exhibit(model, exhibit)
    base = shown_exhibit.base
    place = base if os.access(base, os.W_OK) else Path.cwd()
    store = Store(place / "build" / "store")
    inputs = read_inputs(shown_exhibit)
    subjects = load_subjects(shown_exhibit, inputs, device, lambda _: None)
    by_name = {one.model.id: one for one in subjects}

    @functools.cache
    def measured(asked: str) -> Findings:
        return measure(by_name[asked], shown_exhibit.seed, store, lambda _: None, full=False)

    shown = Shown(by_name, measured, store, shown_exhibit.seed)
    own = {"model": name} if "model" in parameters_of(kind) else {}
    made = plan(shown, kind, {**own, **chosen})
    _write(made, paper, ending)
    return made


def _exhibit(model: str, path: Path | None) -> tuple[Exhibit, str]:
    """The exhibit with this model alone, and the model's id in it."""
    here = path or Path()
    if path is not None or (here / "exhibit.yml").is_file():
        exhibit = load_exhibit(here)
        known = {spec.id: spec for spec in exhibit.models}
        if model in known:
            return exhibit.model_copy(update={"models": (known[model],)}), model
        if ":" not in model and not model.startswith((".", "/")):
            raise UsageError(f"the exhibit shows no model '{model}'. {did_you_mean(model, known)}")
    alone = exhibit_of_one(model, None, None, None, None, "pretrained", 0)
    return alone, alone.models[0].id


def _write(made: Plan, paper: Paper, ending: str) -> None:
    import matplotlib as mpl

    from generator.figures.publication.designs import DESIGNS
    from generator.figures.style import styled

    # Letters that stay letters in a PDF; no date, so that the same figure has the same bytes.
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    with styled(), mpl.rc_context({"pdf.fonttype": 42}):
        figure = DESIGNS[made.design].draw(width=paper.width, **made.arguments)
        paper.file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(paper.file, format=ending, dpi=paper.dpi, metadata=dates[ending])
