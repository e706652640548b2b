"""The gallery of figures: a chosen few of every technique, each with the page it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from generator.figures.figure import Figure
from generator.figures.render import Drawn
from generator.figures.thumbs import thumbnails
from generator.pages.context import Place, home
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.run import Run
from generator.techniques.heads import stacks_of
from generator.techniques.standings import best_heads

ADDRESS = "figures/index.html"
LONGEST = 110


@dataclass(frozen=True)
class Group:
    """Figures of some kinds, under one heading; at most so many are shown of a model."""

    key: str
    name: str
    kinds: tuple[str, ...]
    most: int = 6


GROUPS: tuple[Group, ...] = (
    Group("pictures", "Pictures", ("image", "picture")),
    Group("class-maps", "Class activation maps", ("cam",), 8),
    Group("grad-cam", "Grad-CAM", ("grad_cam",)),
    Group("integrated-gradients", "Integrated gradients", ("integrated_gradients",)),
    Group("learned", "Learned classes", ("learned_cam",)),
    Group("matching", "Pictures and texts", ("matching",)),
    Group("filters", "Filters", ("filters",)),
    Group("maps", "Activation maps", ("activation_maps",)),
    Group("units", "Exemplars and responses", ("exemplars", "unit_responses")),
    Group("evolution", "Features, layer by layer", ("evolution",), 5),
    Group("deconvolution", "Deconvolution", ("deconvolution",)),
    Group("features", "Feature visualisation", ("feature",), 16),
    Group("classes", "Classes by logit and by probability", ("feature_classes",), 8),
    Group("variations", "Diversity and interpolation", ("feature_set",)),
    Group("dream", "Deep Dream", ("dream",)),
    Group("blocks", "Building blocks", ("building_blocks", "nmf"), 8),
    Group("training", "Through training", ("training", "training_course"), 8),
    Group("controls", "Controls", ("control",)),
    Group("attention", "Attention maps", ("attention_map", "patch_attention"), 12),
    Group("layers", "Heads of a layer", ("attention_heads",), 8),
    Group("readings", "Attention, read in several ways", ("readings",), 4),
    Group("rollout", "Attention rollout", ("rollout", "patch_rollout")),
    Group("heads", "Statistics of all heads", ("head_scatter", "head_grid", "ablation")),
    Group("steps", "One head, step by step", ("context_steps", "circuits")),
    Group("decoding", "Logit lens and attribution", ("logit_lens", "logit_attribution"), 4),
    Group("probes", "Limits and biases probed", ("changes", "leans")),
    Group("signal", "Signal and sparsity", ("sparsity",), 3),
)


@dataclass(frozen=True)
class GalleryItem:
    """One figure of the gallery: its picture, where it stands, what it shows, and whose it is.

    `dark` is the picture for a dark ground, where there are two. `section` is that of the site:
    "models", "articles" or "lectures", and `title` the article's.
    """

    path: str
    target: str
    about: str
    model: str
    ink: bool
    dark: str = ""
    section: str = "models"
    title: str = ""


@dataclass(frozen=True)
class Thumbnail:
    """A small picture in the gallery, beside the words that say what it shows."""

    path: str
    ink: bool
    alt: str = ""
    pixelated: bool = False


# A figure of an article, behind its kind.
Told = tuple[str, GalleryItem]


def chosen_figures(
    runs: Sequence[Run], written: Iterable[Page], told: Sequence[Told] = ()
) -> dict[Group, list[GalleryItem]]:
    """The figures of each group, in the order of the models; a group without any is left out.

    Those `told` of in articles come behind the models' own.
    """
    models = {run.model.id: run for run in runs}
    leading = {name: _leading(run) for name, run in models.items()}
    found: dict[tuple[Group, str], dict[str, GalleryItem]] = {}
    for page in written:
        _, _, below = page.address.partition("models/")
        model, _, rest = below.partition("/")
        if model not in models or ("/heads/" in rest and page.address not in leading[model]):
            continue
        for figure, section in page.figures():
            for group in (each for each in GROUPS if figure.kind in each.kinds):
                shown = _item(figure, page.address, section, model)
                found.setdefault((group, model), {}).setdefault(shown.path, shown)
    chosen = {
        group: [
            *(
                shown
                for model in models
                for shown in _spread(list(found.get((group, model), {}).values()), group.most)
            ),
            *(shown for kind, shown in told if kind in group.kinds),
        ]
        for group in GROUPS
    }
    return {group: shown for group, shown in chosen.items() if shown}


def _item(figure: Figure, address: str, section: str, model: str) -> GalleryItem:
    target = f"{address}#{section}" if section else address
    return GalleryItem(figure.path, target, shortened(figure.alt), model, figure.ink)


def _leading(run: Run) -> set[str]:
    """The pages of the heads that are highest in some statistic: not three thousand maps, but these."""
    return {
        stack.link(*best_heads(statistic.mean, 1)[0]).target
        for stack in stacks_of(run)
        for statistic in stack.statistics
    }


def shortened(alt: str) -> str:
    """The first sentence of an alt text, or its beginning."""
    first = re.split(r"(?<=[^\d.])[.:;] ", alt)[0].rstrip(".")
    return first if len(first) <= LONGEST else first[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def _spread(found: Sequence[GalleryItem], most: int) -> list[GalleryItem]:
    """At most `most` of them, evenly from first to last."""
    places = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[int(place)] for place in places]


def figures_page(
    runs: Sequence[Run],
    written: Iterable[Page],
    told: Sequence[Told],
    pictures: Mapping[str, Drawn],
    store: Path,
    pages: Pages,
) -> tuple[Page, dict[str, Drawn]]:
    """The gallery of what stands on the pages that were written, and its thumbnails by their path."""
    chosen = chosen_figures(runs, written, told)
    all_shown = [one for shown in chosen.values() for one in shown]
    paths = dict.fromkeys(path for one in all_shown for path in (one.path, one.dark) if path)
    small = thumbnails({path: pictures[path] for path in paths}, "figures", store)
    pages = pages.with_pictures(dict(small.values()))

    def thumbs(one: GalleryItem) -> list[Thumbnail]:
        both = [path for path in (one.path, one.dark) if path]
        return [Thumbnail(small[path][0], one.ink) for path in both]

    groups = [(group, [(one, thumbs(one)) for one in shown]) for group, shown in chosen.items()]
    owners = {one.model for one in all_shown}
    sections = {one.section for one in all_shown}
    places = {"models": "models’ pages", "articles": "articles", "lectures": "lectures"}
    count = len({one.path for one in all_shown})
    page = pages.page(
        "figures.html",
        ADDRESS,
        "Figures",
        f"{count} figures of {len(groups)} techniques, each with the page that explains it.",
        place=Place((home(),)),
        groups=groups,
        models=[run.model for run in runs if run.model.id in owners],
        places={key: name for key, name in places.items() if key in sections},
    )
    return pages.fill(page), dict(small.values())
