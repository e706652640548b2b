"""Photograph a page of every kind of a built site, in both palettes and three widths.

    python tests/screenshots.py [site] [folder]      `make screenshots` runs it, into build/screenshots/

Of every kind the page with the most bytes is taken: the one where most can go wrong. Each is shown as long as
it is, up to LONGEST screens.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from chromium import launch
from playwright.sync_api import sync_playwright

WIDTHS = {360: 740, 1280: 860, 1920: 1080}
PALETTES = ("light", "dark")
LONGEST = 5
KINDS = {
    "front": "index.html",
    "figures": "figures/index.html",
    "glossary": "glossary/index.html",
    "section": "articles/index.html",
    "article": "articles/*/index.html",
    "lecture": "lectures/*/index.html",
    "slides": "lectures/*/slides/index.html",
    "guide": "guide/*/index.html",
    "layer": "models/{model}/layers/*/index.html",
    "unit": "models/{model}/layers/*/units/*/index.html",
    "head": "models/{model}/layers/*/heads/*/index.html",
    "model": "models/{model}/index.html",
    "part": "models/{model}/*/index.html",
}


def pages(site: Path) -> Iterator[tuple[str, Path]]:
    """A name and a page: one of each kind and model, and all pages that a model has beside its layers."""
    models = sorted(path.name for path in (site / "models").iterdir() if path.is_dir())
    for kind, pattern in KINDS.items():
        for model in models if "{model}" in pattern else ("",):
            found = sorted(site.glob(pattern.format(model=model)))
            if kind == "part":
                yield from ((f"{model}-{page.parent.name}", page) for page in found)
            elif found:
                largest = max(found, key=lambda page: page.stat().st_size)
                yield f"{model}-{kind}" if model else kind, largest


def main(site: Path, folder: Path) -> int:
    """Photograph, and say where a page is wider than its screen or complains."""
    folder.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for palette in PALETTES:
            for width, height in WIDTHS.items():
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=palette
                )
                for name, path in pages(site):
                    page = context.new_page()
                    said: list[str] = []
                    page.on("pageerror", lambda error, said=said: said.append(str(error)))
                    page.goto(path.resolve().as_uri())
                    page.wait_for_load_state("networkidle")
                    long, wide = page.evaluate(
                        "[document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
                    )
                    page.set_viewport_size({"width": width, "height": min(long, LONGEST * height)})
                    page.wait_for_timeout(250)  # what is loaded late comes into view
                    page.screenshot(path=folder / f"{name}-{width}-{palette}.png")
                    if wide > width:
                        said.append(f"{wide} px wide on a screen of {width}")
                    for complaint in said:
                        wrong += 1
                        print(f"{name} {width} {palette}: {complaint}")
                    page.close()
                context.close()
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}, {wrong} complaints")
    return 1 if wrong else 0


if __name__ == "__main__":
    given = [Path(one) for one in sys.argv[1:]]
    sys.exit(main(*(given + [Path("site"), Path("build/screenshots")][len(given) :])))
