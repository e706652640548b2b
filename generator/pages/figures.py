"""The gallery of figures: a chosen few of every technique, each with the page it stands on."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from generator.figures.render import Drawn
from generator.figures.thumbs import thumbnails
from generator.findings import Findings, TextFindings
from generator.pages.context import Place, home
from generator.pages.environment import Pages
from generator.pages.page import Page, head_address

ADDRESS = "figures/index.html"
LONGEST = 110


@dataclass(frozen=True)
class Technique:
    """A group of the gallery: whose figures stand on pages of one kind, in sections of one name.

    `page`, `section` and `picture` are regular expressions for the page's folder below the model's, the
    id of the section or figure around the picture, and the picture's file. `most` are shown of a model.
    """

    key: str
    name: str
    page: str
    section: str = ".*"
    picture: str = ".*"
    most: int = 6


TECHNIQUES: tuple[Technique, ...] = (
    Technique("class-maps", "Class activation maps", "classes", "maps", r".*-[0-2]\.webp", 8),
    Technique("grad-cam", "Grad-CAM", "classes", "grad-cam", r"grad-.*"),
    Technique("learned", "Learned classes", "classes", "learned", r"learned-.*"),
    Technique("filters", "Filters", r"layers/[^/]+", "filters"),
    Technique("maps", "Activation maps", r"layers/[^/]+", "maps", r"maps-.*"),
    Technique("evolution", "Features, layer by layer", "evolution", most=5),
    Technique("deconvolution", "Deconvolution", r"layers/[^/]+/units/\d+", picture=r"\d+-rules.*"),
    Technique("features", "Feature visualisation", "features", "units", most=16),
    Technique("classes", "Classes by logit and by probability", "features", "classes", most=8),
    Technique("variations", "Diversity and interpolation", "features", "diversity|interpolation"),
    Technique("dream", "Deep Dream", "features", "dream"),
    Technique(
        "blocks",
        "Building blocks",
        "building-blocks",
        picture=r".*-(cells|class-0|group.*)\.webp",
        most=8,
    ),
    Technique("training", "Through training", "training", most=8),
    Technique("controls", "Controls", "controls", "maps", r".*-(trained|random)\.webp"),
    Technique("attention", "Attention maps", r"layers/[^/]+/heads/\d+", "maps", most=12),
    Technique("layers", "Heads of a layer", r"layers/[^/]+", "heads", most=8),
    Technique("readings", "Attention, read in several ways", r"layers/[^/]+", "readings", most=4),
    Technique("rollout", "Attention rollout", "attention", "rollout"),
    Technique("heads", "Statistics of all heads", r"|atlas", "heads|map"),
    Technique("decoding", "Logit lens and attribution", "decoding", most=4),
    Technique("probes", "Limits and biases probed", "card", "probes", r"probes\.svg"),
    Technique("signal", "Signal and sparsity", r"|layers/[^/]+", "signal|activity", most=3),
)
_TAG = re.compile(
    r'<(?:section|figure) id="([^"]+)"|<img src="([^"]+)"[^>]*? alt="([^"]*)"([^>]*)>'
)


@dataclass(frozen=True)
class Shown:
    """One figure of the gallery: its picture, where it stands, what it shows, and whose it is."""

    path: str
    target: str
    about: str
    model: str
    ink: bool


def chosen_figures(
    findings: Sequence[Findings], written: Iterable[Page]
) -> dict[Technique, list[Shown]]:
    """The figures of each technique, in the order of the models; a technique without any is left out."""
    models = {found.model.id: found for found in findings}
    leading = {name: _leading(found) for name, found in models.items()}
    found: dict[tuple[Technique, str], dict[str, Shown]] = {}
    for page in written:
        _, _, below = page.address.partition("models/")
        model, _, rest = below.partition("/")
        if model not in models or ("/heads/" in rest and page.address not in leading[model]):
            continue
        folder = posixpath.dirname(rest)
        for technique in (each for each in TECHNIQUES if re.fullmatch(each.page, folder)):
            for shown in _on_page(page, technique, model):
                found.setdefault((technique, model), {}).setdefault(shown.path, shown)
    chosen = {
        technique: [
            shown
            for model in models
            for shown in _spread(list(found.get((technique, model), {}).values()), technique.most)
        ]
        for technique in TECHNIQUES
    }
    return {technique: shown for technique, shown in chosen.items() if shown}


def _leading(found: Findings) -> set[str]:
    """The pages of the heads that are highest in some statistic: not three thousand maps, but these."""
    if not isinstance(found, TextFindings):
        return set()
    model, places = found.model, set()
    for statistic in found.statistics:
        layer, head = np.unravel_index(statistic.mean.argmax(), statistic.mean.shape)
        places.add(head_address(model.id, model.layers[int(layer)].name, int(head)))
    return places


def _on_page(page: Page, technique: Technique, model: str) -> Iterator[Shown]:
    """The technique's figures on one page, with the section that each stands in."""
    section = ""
    for tag in _TAG.finditer(page.body):
        if tag[1]:
            section = tag[1]
        elif re.fullmatch(technique.section, section):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page.address), tag[2]))
            drawn = f"models/{model}/pictures/" not in path  # what was drawn, not what was shown
            if drawn and re.fullmatch(technique.picture, posixpath.basename(path)):
                target = f"{page.address}#{section}" if section else page.address
                yield Shown(path, target, _short(html.unescape(tag[3])), model, " ink" in tag[4])


def _short(alt: str) -> str:
    first = re.split(r"(?<=[^\d.])[.:;] ", alt)[0].rstrip(".")
    return first if len(first) <= LONGEST else first[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def _spread(found: Sequence[Shown], most: int) -> list[Shown]:
    """At most `most` of them, evenly from first to last."""
    places = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[int(place)] for place in places]


def figures_page(
    findings: Sequence[Findings],
    written: Iterable[Page],
    pictures: Mapping[str, Drawn],
    store: Path,
    pages: Pages,
) -> tuple[Page, dict[str, Drawn]]:
    """The gallery of what stands on the pages that were written, and its thumbnails by their path."""
    chosen = chosen_figures(findings, written)
    every = {one.path: pictures[one.path] for shown in chosen.values() for one in shown}
    small = thumbnails(every, "figures", store)
    pages = pages.with_pictures(dict(small.values()))
    groups = [
        (technique, [(one, pages.figure(small[one.path][0], "", ink=one.ink)) for one in shown])
        for technique, shown in chosen.items()
    ]
    owners = {one.model for shown in chosen.values() for one in shown}
    page = pages.page(
        "figures.html",
        ADDRESS,
        "Figures",
        f"{len(every)} figures of {len(groups)} techniques, each with the page that explains it.",
        place=Place((home(),)),
        groups=groups,
        models=[found.model for found in findings if found.model.id in owners],
    )
    return page, dict(small.values())
