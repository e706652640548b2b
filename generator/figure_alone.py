"""One figure alone, for slides and papers: `cutaway figure`."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.articles.catalogue import Catalogue
from generator.articles.kinds import KINDS, figure, parameters_of
from generator.errors import UsageError, did_you_mean
from generator.exhibit import Exhibit, load_exhibit
from generator.figures.figure import Figure
from generator.single import exhibit_of_one, model_of_exhibit
from generator.store import Store
from generator.subjects import load_runs, read_inputs
from generator.techniques.naming import one_of

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
    architecture: str | None = None,
    weights: str = "pretrained",
) -> Figure:
    """Draw one figure of one model, an id of the exhibit or a source, and write the file.

    Without a name it is the only model of the exhibit, or none for a kind that does without.

    Probes run through the store of the exhibit, so that what a build measured is not measured again.
    """
    ending = one_of("format", paper.file.suffix.removeprefix(".").lower(), FORMATS)
    asked = model or _only_model(kind, exhibit)
    if not asked:
        made = figure(Catalogue({}, Store(Path("build") / "store"), 0), kind, chosen)
        _write(made, paper, ending)
        return made
    shown_exhibit = _exhibit(asked, exhibit, architecture, weights)
    base, name = shown_exhibit.base, shown_exhibit.models[0].id
    place = base if os.access(base, os.W_OK) else Path.cwd()
    store = Store(place / "build" / "store")
    inputs = read_inputs(shown_exhibit)
    runs = load_runs(shown_exhibit, inputs, device, store, lambda _: None, lambda _: None)
    catalogue = Catalogue({run.model.id: run for run in runs}, store, shown_exhibit.seed)
    own = {"model": name} if "model" in parameters_of(kind) else {}
    made = figure(catalogue, kind, {**own, **chosen})
    _write(made, paper, ending)
    return made


def _exhibit(model: str, path: Path | None, architecture: str | None, weights: str) -> Exhibit:
    """The exhibit with this model alone."""
    here = model_of_exhibit(model, path)
    if here is None:
        return exhibit_of_one(model, None, None, None, architecture, weights, 0)
    known, spec = here
    if architecture or weights != "pretrained":
        raise UsageError(f"'{spec.id}' is in the exhibit, which says what it is.")
    return known.model_copy(update={"models": (spec,)})


def _only_model(kind: str, path: Path | None) -> str:
    """The model that is meant where none is named; "" where the kind does without."""
    stated = parameters_of(kind).get("model")
    if stated is None or stated.default is not stated.empty:
        return ""
    here = path or Path()
    known = load_exhibit(here).models if path or (here / "exhibit.yml").is_file() else ()
    if len(known) == 1:
        return known[0].id
    names = f": {', '.join(spec.id for spec in known)}" if known else ", such as timm:resnet18"
    raise UsageError(f"'{kind}' needs --model{names}.")


def _write(made: Figure, paper: Paper, ending: str) -> None:
    import matplotlib as mpl

    from generator.figures.publication.designs import design_of
    from generator.figures.style import styled

    # Letters that stay letters in a PDF; no date, so that the same figure has the same bytes.
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    with styled(), mpl.rc_context({"pdf.fonttype": 42}):
        drawn = design_of(made).draw(width=paper.width, **made.drawing.arguments)
        paper.file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(paper.file, format=ending, dpi=paper.dpi, metadata=dates[ending])
