"""The whole pipeline: exhibit -> models and inputs -> probes -> figures -> pages -> site."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.figures.render import Drawing, Drawn, render
from generator.findings import (
    Findings,
    TextFindings,
    measure_text,
    measure_vision,
    pool_chunks,
)
from generator.inputs.images import CuratedImage, curated_images
from generator.inputs.pool import PoolPicture, image_pool
from generator.inputs.texts import CuratedText, curated_texts
from generator.models.load import AnyModel, load_model
from generator.models.model import VisionModel
from generator.pages.environment import Pages
from generator.pages.gallery import gallery
from generator.pages.language import language_pages
from generator.pages.page import Page
from generator.pages.tables import manifest, tables
from generator.pages.units import unit_pages
from generator.pages.vision import vision_pages
from generator.paths import cache_root, data_root
from generator.plates import drawings
from generator.progress import Reporter, Step
from generator.site import Tree, check_target, lay_out_statics, run_builder
from generator.store import Store


@dataclass(frozen=True)
class Options:
    """How to build: where the site goes, where work is kept, on what device, with how many workers."""

    site: Path
    work: Path
    device: str = "auto"
    jobs: int = 0

    @property
    def workers(self) -> int:
        """The number of processes that draw figures."""
        return self.jobs or os.cpu_count() or 1


@dataclass(frozen=True)
class Inputs:
    """What models are run on."""

    images: tuple[CuratedImage, ...]
    texts: tuple[CuratedText, ...]
    pool: tuple[PoolPicture, ...]


@dataclass(frozen=True)
class Summary:
    """What a build made."""

    site: Path
    pages: int
    figures: int
    bytes: int


def build(exhibit: Exhibit, options: Options, reporter: Reporter) -> Summary:
    """Make the site of an exhibit. The site that was there stays until the new one is complete."""
    check_target(options.site, options.work, exhibit.base)
    inputs = Inputs(curated_images(exhibit), curated_texts(exhibit), image_pool(exhibit))
    store = Store(options.work / "store")
    store.sweep()
    models = _load(exhibit, options, reporter)
    findings = _measure(models, inputs, exhibit.seed, store, reporter)
    pictures = _draw(findings, options, reporter)
    pages = _write(exhibit, findings, pictures, options, reporter)
    with reporter.stage("Site", 1) as step:
        config = exhibit.base / "mkdocs.yml"
        chosen = config if config.is_file() else data_root() / "mkdocs.yml"
        run_builder(chosen, options.work, options.site, exhibit.site_url)
        size = sum(file.stat().st_size for file in options.site.rglob("*") if file.is_file())
        reporter.note(f"{size / 1e6:.1f} MB")
        step("")
    return Summary(options.site, pages, len(pictures), size)


def _load(exhibit: Exhibit, options: Options, reporter: Reporter) -> list[AnyModel]:
    with reporter.stage("Models", len(exhibit.models)) as step:
        models = []
        for spec in exhibit.models:
            models.append(
                load_model(
                    spec, exhibit.base, cache_root(), seed=exhibit.seed, device=options.device
                )
            )
            step(spec.id)
        return models


def _measure(
    models: Sequence[AnyModel], inputs: Inputs, seed: int, store: Store, reporter: Reporter
) -> list[Findings]:
    pictures = len(inputs.images) + 1 + pool_chunks(inputs.pool)
    work = [pictures if isinstance(m, VisionModel) else len(inputs.texts) + 2 for m in models]
    with reporter.stage("Probes", sum(work)) as step:
        found: list[Findings] = [_probe(model, inputs, seed, store, step) for model in models]
        reporter.note(f"{store.reused} of {store.reused + store.made} results from the store")
    return found


def _probe(model: AnyModel, inputs: Inputs, seed: int, store: Store, step: Step) -> Findings:
    if isinstance(model, VisionModel):
        if not inputs.images:
            raise UsageError(f"{model.id} takes pictures, and the exhibit names none ('images').")
        return measure_vision(model, inputs.images, inputs.pool, store, step)
    if not inputs.texts:
        raise UsageError(f"{model.id} takes texts, and the exhibit names none ('texts').")
    return measure_text(model, inputs.texts, seed, store, step)


def _draw(findings: Sequence[Findings], options: Options, reporter: Reporter) -> dict[str, Drawn]:
    wanted: list[Drawing] = [drawing for found in findings for drawing in drawings(found)]
    with reporter.stage("Figures", len(wanted)) as step:
        place = options.work / "store" / "figures"
        pictures, reused = render(wanted, place, options.workers, lambda: step(""))
        reporter.note(f"{reused} of {len(wanted)} drawings from the store")
    return pictures


def _write(
    exhibit: Exhibit,
    findings: Sequence[Findings],
    pictures: dict[str, Drawn],
    options: Options,
    reporter: Reporter,
) -> int:
    tree, data = Tree(options.work / "docs"), data_root()
    pages = Pages(data / "templates", pictures)
    with reporter.stage("Pages", None) as step:
        count = 0
        for page in _pages(exhibit, findings, pages):
            tree.page(page)
            step(page.address)
            count += 1
        for found in findings:
            for address, text in tables(found):
                tree.put(address, text.encode())
        tree.put("manifest.json", manifest(exhibit, findings).encode())
        tree.pictures(pictures)
        lay_out_statics(tree, options.work / "theme", data)
        tree.prune()
        reporter.note(f"{count} pages")
    return count


def _pages(exhibit: Exhibit, findings: Sequence[Findings], pages: Pages) -> list[Page]:
    made = [gallery(exhibit, findings, pages)]
    for found in findings:
        if isinstance(found, TextFindings):
            made += language_pages(found, pages)
        else:
            made += vision_pages(found, pages)
            made += unit_pages(found, pages)
    return made
