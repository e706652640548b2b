"""Deep Dream: a picture changed to excite a layer."""

from __future__ import annotations

from dataclasses import dataclass

from generator.errors import UsageError
from generator.figures.figure import Figure, on_page, published
from generator.figures.panels import Panel, in_rows
from generator.formatting import number
from generator.inputs.images import CuratedImage
from generator.probes.deep_dream import Dream, dream, dream_layers
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.naming import one_of

_ACROSS = 3


@dataclass(frozen=True)
class View:
    """The photograph that was changed, and a strip for each layer."""

    image: CuratedImage
    strips: tuple[Figure, ...]


def dreamt(run: Run) -> str:
    """The picture to dream from: a named one, or the first where pictures of units are made; "" for none."""
    if run.budget.dream is None:
        return run.inputs.images[0].id if run.budget.features else ""
    return run.budget.dream


def measure(run: Run) -> tuple[Dream, ...]:
    """The dreams of a few layers from one picture; none where none was asked for."""
    if not dreamt(run):
        return ()
    dreams, picture = [], run.seen[dreamt(run)]
    for layer in dream_layers(run.vision):
        dreams.append(dream(run.vision, picture, layer, seed=run.seed, store=run.store))
        run.step(f"{run.model.id}: dream of {layer.name}")
    return tuple(dreams)


def _rise(chosen: Dream) -> str:
    first, last = (number(float(chosen.answer[end])) for end in (0, -1))
    return f"The layer’s mean squared response goes from {first} to {last}."


def figure(run: Run, layer: str = "") -> Figure:
    """Deep Dream: a photograph, and what it becomes octave by octave as a layer answers more."""
    known = {each.layer: each for each in run[DEEP_DREAM]}
    if not known:
        raise UsageError(f"{run.model.id} has no layer to dream with.")
    name = one_of("layer", layer or next(iter(known)), known, "no dream was made with the")
    chosen, label = known[name], run.image(dreamt(run)).label
    row = [
        Panel(
            frame,
            f"octave {octave}" if octave else "photograph",
            f"answer {number(float(answer), 2)}",
        )
        for octave, (frame, answer) in enumerate(zip(chosen.frames, chosen.answer, strict=True))
    ]
    return published(
        "panels",
        {"rows": in_rows(row, _ACROSS), "widest": 260.0},
        f"A photograph of {label} that changes step by step as {name} answers more strongly.",
        f"Deep Dream with {name}: the photograph of {label}, then after each octave. {_rise(chosen)}",
    )


def view(run: Run) -> View | None:
    """The section on the page of feature visualisation; None without a dream."""
    strips = tuple(_strip(run, each) for each in run[DEEP_DREAM])
    if not strips:
        return None
    return View(next(one for one in run.inputs.images if one.id == dreamt(run)), strips)


def _strip(run: Run, chosen: Dream) -> Figure:
    path = f"{run.folder}/features/dream-{chosen.layer}.webp"
    return on_page(figure(run, chosen.layer), path, "dream")


DEEP_DREAM = Technique(
    name="deep_dream",
    title="Deep Dream",
    search="Deep Dream DeepDream inceptionism",
    reads=PICTURES,
    measure=measure,
    figures={"dream": figure},
    sections=(Section("features", "dream", "deep_dream.html", view),),
)
