"""One figure or live component alone, for papers, slides and other pages: `cutaway figure`."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import Parameter
from pathlib import Path
from typing import Any

from generator.articles.catalogue import Catalogue
from generator.articles.kinds import Kind, figure, kinds_of, widget, widgets_of
from generator.errors import UsageError, did_you_mean
from generator.exhibit import PICTURE, TEXT, Exhibit, ModelSpec
from generator.exhibit_yaml import load_exhibit
from generator.figures.figure import Figure
from generator.figures.paper import FORMATS
from generator.inputs.shown import Inputs
from generator.processes import fixed_threads
from generator.progress import silent
from generator.run import PICTURES, TEXTS, Run, Technique
from generator.single import Given, exhibit_of_one, model_of_exhibit
from generator.store import Store
from generator.subjects import (
    all_techniques,
    comparisons_of,
    load_runs,
    opened_in_parts,
    other_tower,
    read_inputs,
)
from generator.techniques import TECHNIQUES
from generator.techniques.naming import one_of
from generator.widget import Widget

_READS = {PICTURE: PICTURES, TEXT: TEXTS}
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


def techniques_here(path: Path | None) -> tuple[Technique[Any], ...]:
    """All techniques, with those that the exhibit at `path`, or in the working folder, adds."""
    here = path or Path()
    there = path is not None or (here / "exhibit.yml").is_file()
    return all_techniques(load_exhibit(here)) if there else TECHNIQUES


def kind_for(kind: str, file: Path, techniques: Sequence[Technique[Any]]) -> Kind:
    """What a kind means for a file: in HTML it can be live. Raises UsageError with the nearest name."""
    drawn, live = kinds_of(techniques), widgets_of(techniques)
    if file.suffix.lower() == ".html":
        return (drawn | live)[one_of("kind of figure", kind, drawn | live)]
    if kind in live and kind not in drawn:
        raise UsageError(f"'{kind}' is live, and a file of it ends in .html, not '{file.suffix}'.")
    return drawn[one_of("kind of figure", kind, drawn)]


def parameters(
    kind: str, words: Sequence[str], techniques: Sequence[Technique[Any]], file: Path = Path()
) -> dict[str, Any]:
    """The parameters of a kind from words such as --image cat --classes=tabby,lynx."""
    known = kind_for(kind, file, techniques).parameters
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


@fixed_threads()
def draw_alone(
    kind: str,
    model: str,
    exhibit: Path | None,
    chosen: Mapping[str, Any],
    paper: Paper,
    device: str,
    techniques: tuple[Technique[Any], ...],
    architecture: str | None = None,
    weights: str = "pretrained",
    part: str = "",
) -> Figure | Widget:
    """Make one figure or component of one model, an id of the exhibit or a source, and write the file.

    Without a name it is the only model of the exhibit, or none for a kind that does without. Of a network of
    two towers it is the one named by `part`, or that which takes what the kind is made of.

    Probes run through the store of the exhibit, so that what a build measured is not measured again.
    """
    one_of("format", paper.file.suffix.removeprefix(".").lower(), FORMATS)
    meant = kind_for(kind, paper.file, techniques)
    known = meant.parameters
    asked = model or _only_model(kind, known, exhibit)
    compared = _compared(asked, exhibit)
    own, live = ({"model": asked} if asked and "model" in known else {}), False
    if not asked:
        catalogue = Catalogue({}, Store(Path("build") / "store"), 0)
    elif compared is not None:
        alone, inputs = _of_pair(compared, asked)
        runs = _runs(alone, inputs, device, techniques)
        pairs = {one.id: one for one in comparisons_of(alone, runs)}
        catalogue = Catalogue(pairs, runs[0].store, alone.seed, techniques=techniques)
    else:
        alone, beside = _exhibit(asked, exhibit, architecture, weights)
        alone, inputs, beside = _one_model(alone, beside, kind, part, meant)
        (run,) = _runs(alone, inputs, device, techniques)
        run = replace(run, other_tower=other_tower(alone.models[0], beside))
        catalogue = Catalogue({run.model.id: run}, run.store, alone.seed, techniques=techniques)
        own = {"model": run.model.id} if own else {}
        live = meant == widgets_of(techniques).get(kind)
    made = (widget if live else figure)(catalogue, kind, {**own, **chosen})
    made.save(paper.file, paper.width, paper.dpi)
    return made


def _runs(
    exhibit: Exhibit, inputs: Sequence[Inputs], device: str, techniques: tuple[Technique[Any], ...]
) -> list[Run]:
    """Runs that measure through the store of the exhibit; of the working folder where that is read only."""
    place = exhibit.base if os.access(exhibit.base, os.W_OK) else Path.cwd()
    store = Store(place / "build" / "store")
    return load_runs(exhibit, inputs, device, store, silent, silent, techniques)


def _compared(name: str, path: Path | None) -> Exhibit | None:
    """The exhibit that compares two models under this name; None where none does."""
    here = path or (Path() if Path("exhibit.yml").is_file() else None)
    known = load_exhibit(here) if here is not None else None
    return known if known and name in {one.id for one in known.compare} else None


def _of_pair(exhibit: Exhibit, name: str) -> tuple[Exhibit, Sequence[Inputs]]:
    """The exhibit with the two models of one comparison alone, and what they are run on."""
    opened, shown = opened_in_parts(exhibit, read_inputs(exhibit))
    pair = next(one for one in opened.compare if one.id == name)
    wanted = [both for both in zip(opened.models, shown, strict=True) if both[0].id in pair.models]
    update = {"models": tuple(spec for spec, _ in wanted), "compare": (pair,)}
    return opened.model_copy(update=update), [inputs for _, inputs in wanted]


def _exhibit(
    model: str, path: Path | None, architecture: str | None, weights: str
) -> tuple[Exhibit, tuple[ModelSpec, ...]]:
    """The exhibit with this model alone, and all models that stand in it."""
    here = model_of_exhibit(model, path)
    if here is None:
        return exhibit_of_one(model, Given(architecture=architecture, weights=weights)), ()
    known, spec = here
    if architecture or weights != "pretrained":
        raise UsageError(f"'{spec.id}' is in the exhibit, which says what it is.")
    return known.model_copy(update={"models": (spec,)}), known.models


def _one_model(
    exhibit: Exhibit,
    beside: tuple[ModelSpec, ...],
    kind: str,
    part: str,
    meant: Kind,
) -> tuple[Exhibit, Sequence[Inputs], tuple[ModelSpec, ...]]:
    """The exhibit with one model, of two towers the one that is meant, its inputs, and all that stand beside.

    Raises UsageError where either can be meant, and for a part that is not there.
    """
    opened, shown = opened_in_parts(exhibit, read_inputs(exhibit))
    name = exhibit.models[0].id
    parts = [str(spec.part) for spec in opened.models]
    if part and part not in parts:
        there = "picture or text" if len(parts) > 1 else "nothing, as it is one model"
        raise UsageError(f"--part: '{part}' names no part of {name}; there --part is {there}.")
    if len(parts) == 1:
        return opened, shown, beside
    technique = meant.technique
    takes = technique.takes if technique else ()
    fits = [
        at for at, one in enumerate(parts) if one == part or (not part and _READS[one] in takes)
    ]
    if len(fits) != 1:
        raise UsageError(
            f"{name} has two towers, and '{kind}' can be made of either: add --part picture or --part text."
        )
    (at,) = fits
    alone = opened.model_copy(update={"models": (opened.models[at],)})
    return alone, (shown[at],), opened.models


def _only_model(kind: str, known: Mapping[str, Parameter], path: Path | None) -> str:
    """The model that is meant where none is named; "" where the kind does without."""
    stated = known.get("model")
    if stated is None or stated.default is not stated.empty:
        return ""
    here = path or Path()
    specs = load_exhibit(here).models if path or (here / "exhibit.yml").is_file() else ()
    if len(specs) == 1:
        return specs[0].id
    names = f": {', '.join(spec.id for spec in specs)}" if specs else ", such as timm:resnet18"
    raise UsageError(f"'{kind}' needs --model{names}.")
