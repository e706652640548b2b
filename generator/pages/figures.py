"""The gallery of figures: a chosen few of every technique, each with the page it stands on."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from generator.addresses import head_address
from generator.figures.figure import Figure
from generator.figures.render import Drawn
from generator.figures.thumbs import thumbnails
from generator.findings import Findings, TextFindings
from generator.pages.context import Place, home
from generator.pages.environment import Pages
from generator.pages.page import Page

ADDRESS = "figures/index.html"
LONGEST = 110


@dataclass(frozen=True)
class Technique:
    """A group of the gallery: whose figures stand on pages of one kind, in sections of one name.

    `page`, `section` and `picture` are regular expressions for the page's folder below the model's, the
    id of the section or figure around the picture, and the picture's file. `most` are shown of a model.
    `kinds` are those of figures that articles ask for.
    """

    key: str
    name: str
    page: str = "(?!)"
    section: str = ".*"
    picture: str = ".*"
    most: int = 6
    kinds: tuple[str, ...] = ()


_UNIT = r"layers/[^/]+/units/\d+"
_HEAD = r"layers/[^/]+/heads/\d+"
_LAYER = r"layers/[^/]+"
TECHNIQUES: tuple[Technique, ...] = (
    Technique("pictures", "Pictures", kinds=("image", "picture")),
    Technique("class-maps", "Class activation maps", most=8, kinds=("cam",)),
    Technique("grad-cam", "Grad-CAM", kinds=("grad_cam",)),
    Technique("integrated-gradients", "Integrated gradients", kinds=("integrated_gradients",)),
    Technique("learned", "Learned classes", kinds=("learned_cam",)),
    Technique("matching", "Pictures and texts", kinds=("matching",)),
    Technique("filters", "Filters", kinds=("filters",)),
    Technique("maps", "Activation maps", kinds=("activation_maps",)),
    Technique("units", "Exemplars and responses", kinds=("exemplars", "unit_responses")),
    Technique("evolution", "Features, layer by layer", most=5, kinds=("evolution",)),
    Technique("deconvolution", "Deconvolution", kinds=("deconvolution",)),
    Technique("features", "Feature visualisation", most=16, kinds=("feature",)),
    Technique("classes", "Classes by logit and by probability", "features", "classes", most=8),
    Technique("variations", "Diversity and interpolation", kinds=("feature_set",)),
    Technique("dream", "Deep Dream", kinds=("dream",)),
    Technique("blocks", "Building blocks", most=8, kinds=("building_blocks", "nmf")),
    Technique("training", "Through training", most=8, kinds=("training", "training_course")),
    Technique("controls", "Controls", kinds=("control",)),
    Technique("attention", "Attention maps", _HEAD, "maps", most=12,
              kinds=("attention_map", "patch_attention")),
    Technique("layers", "Heads of a layer", _LAYER, "heads", most=8, kinds=("attention_heads",)),
    Technique("readings", "Attention, read in several ways", _LAYER, "readings", most=4,
              kinds=("readings",)),
    Technique("rollout", "Attention rollout", "attention", "rollout", kinds=("rollout", "patch_rollout")),
    Technique("heads", "Statistics of all heads", r"|atlas", "heads|map",
              kinds=("head_scatter", "head_grid", "ablation")),
    Technique("steps", "One head, step by step", kinds=("context_steps", "circuits")),
    Technique("decoding", "Logit lens and attribution", "decoding", most=4,
              kinds=("logit_lens", "logit_attribution")),
    Technique("probes", "Limits and biases probed", kinds=("changes", "leans")),
    Technique("signal", "Signal and sparsity", r"|layers/[^/]+", "signal|activity", most=3,
              kinds=("sparsity",)),
)  # fmt: skip
_TAG = re.compile(
    r'<(?:section|figure) id="([^"]+)"|<img src="([^"]+)"[^>]*? alt="([^"]*)"([^>]*)>'
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
    findings: Sequence[Findings], written: Iterable[Page], told: Sequence[Told] = ()
) -> dict[Technique, list[GalleryItem]]:
    """The figures of each technique, in the order of the models; a technique without any is left out.

    Those `told` of in articles come behind the models' own.
    """
    models = {found.model.id: found for found in findings}
    leading = {name: _leading(found) for name, found in models.items()}
    found: dict[tuple[Technique, str], dict[str, GalleryItem]] = {}
    for page in written:
        _, _, below = page.address.partition("models/")
        model, _, rest = below.partition("/")
        if model not in models or ("/heads/" in rest and page.address not in leading[model]):
            continue
        for figure, section in page.figures():
            for technique in (each for each in TECHNIQUES if figure.kind in each.kinds):
                shown = _item(figure, page.address, section, model)
                found.setdefault((technique, model), {}).setdefault(shown.path, shown)
        folder = posixpath.dirname(rest)
        for technique in (each for each in TECHNIQUES if re.fullmatch(each.page, folder)):
            for shown in _on_page(page, technique, model):
                found.setdefault((technique, model), {}).setdefault(shown.path, shown)
    chosen = {
        technique: [
            *(
                shown
                for model in models
                for shown in _spread(
                    list(found.get((technique, model), {}).values()), technique.most
                )
            ),
            *(shown for kind, shown in told if kind in technique.kinds),
        ]
        for technique in TECHNIQUES
    }
    return {technique: shown for technique, shown in chosen.items() if shown}


def _item(figure: Figure, address: str, section: str, model: str) -> GalleryItem:
    target = f"{address}#{section}" if section else address
    return GalleryItem(figure.path, target, shortened(figure.alt), model, figure.ink)


def _leading(found: Findings) -> set[str]:
    """The pages of the heads that are highest in some statistic: not three thousand maps, but these."""
    if not isinstance(found, TextFindings):
        return set()
    model, places = found.model, set()
    for statistic in found.statistics:
        layer, head = np.unravel_index(statistic.mean.argmax(), statistic.mean.shape)
        places.add(head_address(model.id, model.layers[int(layer)].name, int(head)))
    return places


def _on_page(page: Page, technique: Technique, model: str) -> Iterator[GalleryItem]:
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
                yield GalleryItem(
                    path, target, shortened(html.unescape(tag[3])), model, " ink" in tag[4]
                )


def shortened(alt: str) -> str:
    """The first sentence of an alt text, or its beginning."""
    first = re.split(r"(?<=[^\d.])[.:;] ", alt)[0].rstrip(".")
    return first if len(first) <= LONGEST else first[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def _spread(found: Sequence[GalleryItem], most: int) -> list[GalleryItem]:
    """At most `most` of them, evenly from first to last."""
    places = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[int(place)] for place in places]


def figures_page(
    findings: Sequence[Findings],
    written: Iterable[Page],
    told: Sequence[Told],
    pictures: Mapping[str, Drawn],
    store: Path,
    pages: Pages,
) -> tuple[Page, dict[str, Drawn]]:
    """The gallery of what stands on the pages that were written, and its thumbnails by their path."""
    chosen = chosen_figures(findings, written, told)
    all_shown = [one for shown in chosen.values() for one in shown]
    paths = dict.fromkeys(path for one in all_shown for path in (one.path, one.dark) if path)
    small = thumbnails({path: pictures[path] for path in paths}, "figures", store)
    pages = pages.with_pictures(dict(small.values()))

    def thumbs(one: GalleryItem) -> list[Thumbnail]:
        both = [path for path in (one.path, one.dark) if path]
        return [Thumbnail(small[path][0], one.ink) for path in both]

    groups = [
        (technique, [(one, thumbs(one)) for one in shown]) for technique, shown in chosen.items()
    ]
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
        models=[found.model for found in findings if found.model.id in owners],
        places={key: name for key, name in places.items() if key in sections},
    )
    return pages.fill(page), dict(small.values())
