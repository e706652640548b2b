"""What 3,000 leaf pages cost: their templates filled, written, and turned into a site; and its size.

The pages are those of the units of a small network (random weights), each under many addresses. A cost in
seconds of the processor, which depends on the machine: this has nothing to be compared with.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

from turns import Measured, take_turns, told

from generator.exhibit_yaml import load_exhibit
from generator.figures.render import render
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.unit import unit_pages
from generator.paths import data_root
from generator.site import Tree, lay_out_statics, run_builder
from generator.store import Store
from generator.subjects import load_runs, read_inputs
from generator.techniques import TECHNIQUES

POOL = data_root() / "site_src" / "inputs" / "pool" / "bird"
EXHIBIT = f"""
title: Leaves
pool: {POOL}
images: {POOL}
models:
  - {{id: net, source: "timm:test_efficientnet", weights: random, preprocessing: {{size: 64}},
      layers: [conv_stem], make: {{features: 1, classes: 0, steps: 0.01, dream: ""}}}}
"""
SHELL = ("index", "figures/index", "glossary/index")  # the builder's menu leads to these


def unit_pages_of(folder: Path) -> tuple[list[Page], Pages]:
    """The pages of the network's units, and the templates with the pictures that they show."""
    (folder / "exhibit.yml").write_text(EXHIBIT)
    exhibit, store = load_exhibit(folder), Store(folder / "store")
    quiet = lambda _: None  # noqa: E731
    (run,) = load_runs(exhibit, read_inputs(exhibit), "cpu", store, quiet, quiet, TECHNIQUES)
    pages = Pages(data_root() / "templates", {})
    made = list(unit_pages(run, pages))
    drawings = {each.drawing.paths: each.drawing for page in made for each, _ in page.figures()}
    pictures, _ = render(list(drawings.values()), folder / "drawn", 1, lambda: None)
    return made, pages.with_pictures(pictures)


def measure(runs: int = 1, count: int = 3000) -> list[Measured]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        few, pages = unit_pages_of(folder)
        leaves = [
            replace(few[n % len(few)], address=f"models/net/layers/conv_stem/units/{n}/index.html")
            for n in range(count)
        ]

        def work() -> None:
            tree = Tree(folder / "docs")
            for name in SHELL:
                tree.put(f"{name}.md", b"# A page\n")
            for page in leaves:
                tree.page(pages.fill(page))
            lay_out_statics(tree, folder / "theme", data_root())
            run_builder(data_root() / "mkdocs.yml", folder, folder / "site", "")

        times = take_turns(runs, {"leaf pages": work})
        told(times)
        files = (file for file in (folder / "site").rglob("*") if file.is_file())
        size = sum(file.stat().st_size for file in files) / 1e6
    return [
        Measured(f"{count:,} leaf pages, seconds", median(times["leaf pages"]), 7, "s"),
        Measured(f"{count:,} leaf pages with the theme, bytes", size, 65, "MB"),
    ]
