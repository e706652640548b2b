"""The whole pipeline: exhibit -> models and inputs -> probes -> figures -> pages -> site."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.errors import UsageError
from generator.exhibit import Choices, Exhibit
from generator.figures.render import Drawing, Drawn, render
from generator.findings import Findings, TextFindings, measure_text, measure_vision
from generator.inputs.datasets import on_disk
from generator.inputs.images import CuratedImage, curated_images
from generator.inputs.pool import PoolPicture, image_pool
from generator.inputs.texts import CuratedText, curated_texts
from generator.models.checkpoints import Checkpoints, load_checkpoints
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
    """How to build: where the site goes, where work is kept, on what device, with how many workers.

    `full` draws every unit in every way, which is work for a GPU.
    """

    site: Path
    work: Path
    device: str = "auto"
    jobs: int = 0
    full: bool = False

    @property
    def workers(self) -> int:
        """The number of processes that draw figures."""
        return self.jobs or os.cpu_count() or 1


@dataclass(frozen=True)
class Inputs:
    """What a model is run on."""

    images: tuple[CuratedImage, ...]
    texts: tuple[CuratedText, ...]
    pool: tuple[PoolPicture, ...]


@dataclass(frozen=True, eq=False)
class Subject:
    """A loaded model, the states of its training that the exhibit names, and what it is run on."""

    model: AnyModel
    checkpoints: Checkpoints
    inputs: Inputs
    choices: Choices


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
    inputs = _inputs(exhibit)
    store = Store(options.work / "store")
    store.sweep()
    subjects = _load(exhibit, inputs, options, reporter)
    findings = _measure(subjects, exhibit.seed, options, store, reporter)
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


def _inputs(exhibit: Exhibit) -> list[Inputs]:
    """What each model is run on; pictures that several are shown are read once."""
    texts = curated_texts(exhibit)
    read: dict[Any, Inputs] = {}
    found = []
    for spec in exhibit.models:
        shown = on_disk(exhibit.shown_to(spec), cache_root())
        key = (shown.images, shown.pool)
        if key not in read:
            read[key] = Inputs(curated_images(shown), texts, image_pool(shown))
        found.append(read[key])
    return found


def _load(
    exhibit: Exhibit, inputs: Sequence[Inputs], options: Options, reporter: Reporter
) -> list[Subject]:
    base, cache, seed = exhibit.base, cache_root(), exhibit.seed
    with reporter.stage("Models", len(exhibit.models)) as step:
        subjects = []
        for spec, shown in zip(exhibit.models, inputs, strict=True):
            model = load_model(spec, base, cache, seed=seed, device=options.device)
            checkpoints = load_checkpoints(spec, model, base, cache, seed=seed)
            subjects.append(Subject(model, checkpoints, shown, spec.make))
            step(spec.id)
        return subjects


def _measure(
    subjects: Sequence[Subject],
    seed: int,
    options: Options,
    store: Store,
    reporter: Reporter,
) -> list[Findings]:
    with reporter.stage("Probes", None) as step:
        found = [_probe(subject, seed, options.full, store, step) for subject in subjects]
        reporter.note(f"{store.reused} of {store.reused + store.made} results from the store")
    return found


def _probe(subject: Subject, seed: int, full: bool, store: Store, step: Step) -> Findings:
    model, inputs = subject.model, subject.inputs
    if not isinstance(model, VisionModel):
        if not inputs.texts:
            raise UsageError(f"{model.id} takes texts, and the exhibit names none ('texts').")
        return measure_text(model, inputs.texts, subject.choices, seed, store, step)
    if not inputs.images:
        raise UsageError(f"{model.id} takes pictures, and the exhibit names none ('images').")
    return measure_vision(
        model,
        inputs.images,
        inputs.pool,
        subject.checkpoints,
        subject.choices,
        seed=seed,
        full=full,
        store=store,
        step=step,
    )


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
