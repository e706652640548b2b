"""The runs of an exhibit: each model loaded, with what it is run on and how much is made of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from generator.addresses import Link, comparison_address
from generator.card_schema import Pairs
from generator.comparison import Comparison, compared
from generator.comparison_schema import ComparisonSpec
from generator.errors import UsageError, did_you_mean
from generator.exhibit import OF_ONE, PARTS, Exhibit, ModelSpec
from generator.exhibit_yaml import load_pairs
from generator.inputs.datasets import on_disk
from generator.inputs.images import CuratedImage, curated_images
from generator.inputs.passages import passage_pool
from generator.inputs.pool import image_pool
from generator.inputs.shown import Inputs
from generator.inputs.texts import curated_texts, held_out_texts
from generator.models.checkpoints import load_checkpoints
from generator.models.dictionary_files import with_dictionaries
from generator.models.load import AnyModel, load_model, parts_of
from generator.models.mapped import map_model
from generator.models.model import VisionModel
from generator.own_techniques import own_techniques, with_own
from generator.paths import cache_root
from generator.progress import Step
from generator.run import PICTURES, Run, Technique
from generator.sized import share_of, sized
from generator.store import Store
from generator.techniques import TECHNIQUES


def possible_ids(exhibit: Exhibit) -> list[str]:
    """The ids of what has pages: whether a network has two towers is known once it is fetched."""
    paged = [spec for spec in exhibit.models if spec.pages]
    return [*_with_towers(paged), *(one.id for one in exhibit.compare)]


def _with_towers(models: Sequence[ModelSpec]) -> list[str]:
    """The ids of models, and those that their towers would have."""
    towers = (spec.tower(part).id for spec in models if not spec.part for part in PARTS)
    return [*(spec.id for spec in models), *towers]


def check_compared(exhibit: Exhibit, *, fetched: bool) -> None:
    """Raises UsageError, with the nearest id, where the exhibit compares a model that it does not have.

    Before all are `fetched`, each may turn out to be a network of two towers.
    """
    models = exhibit.models
    known = [spec.id for spec in models] if fetched else _with_towers(models)
    for name in (name for one in exhibit.compare for name in one.models):
        _check_known(name, known)
    hidden = {spec.id for spec in models if not spec.pages}
    for one in exhibit.compare:
        if hidden.issuperset(one.models):
            raise UsageError(
                f"compare: neither {one.before} nor {one.after} has pages; one has to."
            )


def _check_known(name: str, known: Collection[str]) -> None:
    if name not in known:
        hint = did_you_mean(name, known)
        raise UsageError(f"compare: the exhibit has no model '{name}'. {hint}")


def opened_in_parts(
    exhibit: Exhibit, inputs: Sequence[Inputs]
) -> tuple[Exhibit, tuple[Inputs, ...]]:
    """The exhibit with an entry for each model, a network of two towers stands for two, and their inputs."""
    base, cache = exhibit.base, cache_root()
    pairs = [
        (part, shown)
        for spec, shown in zip(exhibit.models, inputs, strict=True)
        for part in parts_of(spec, base, cache)
    ]
    models, shown_to = zip(*pairs, strict=True)
    ids = [spec.id for spec in models]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"models: the id '{twice}' stands for two models, one of them a tower.")
    return exhibit.model_copy(update={"models": models}), shown_to


def read_inputs(exhibit: Exhibit) -> list[Inputs]:
    """What each model is run on; pictures and texts that several are shown are read once.

    Raises UsageError for what names an input that is not there, before any model is loaded.
    """
    read: dict[Any, Any] = {}

    def once(key: Any, made: Callable[[], Any]) -> Any:
        if key not in read:
            read[key] = made()
        return read[key]

    def inputs(shown: Exhibit) -> Inputs:
        images, pool = once(
            (shown.images, shown.pool), lambda: (curated_images(shown), image_pool(shown))
        )
        texts, held_out = once(
            (shown.texts, shown.held_out), lambda: (curated_texts(shown), held_out_texts(shown))
        )
        pairs = once(
            ("pairs", shown.pairs),
            lambda: load_pairs(shown.base / shown.pairs) if shown.pairs else Pairs(),
        )
        passages = once(("passages", shown.passages), lambda: passage_pool(shown))
        return Inputs(images, texts, held_out, pool, pairs, passages)

    found = []
    for spec in exhibit.models:
        shown = on_disk(exhibit.shown_to(spec), cache_root())
        found.append(once(tuple(getattr(shown, key) for key in OF_ONE), partial(inputs, shown)))
        _check(spec, found[-1].images)
    return found


def _check(spec: ModelSpec, images: Sequence[CuratedImage]) -> None:
    """Raises UsageError where `make` names a picture that the model is not shown."""
    known = [image.id for image in images]
    named = [("dream", spec.make.dream), *(("blocks", name) for name in spec.make.blocks)]
    for key, name in named:
        if name and name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"{spec.id}: make.{key} names no picture '{name}'. {hint}")


def all_techniques(exhibit: Exhibit) -> tuple[Technique[Any], ...]:
    """The techniques that can be asked of the models of an exhibit, the user's own at the end."""
    return with_own(TECHNIQUES, own_techniques(exhibit))


def comparisons_of(exhibit: Exhibit, runs: Sequence[Run]) -> list[Comparison]:
    """What the exhibit compares. Raises UsageError, with the nearest id, for an unknown model."""
    by_id = {run.model.id: run for run in runs}
    return [comparison_of(spec, by_id) for spec in exhibit.compare]


def comparison_of(spec: ComparisonSpec, runs: Mapping[str, Run]) -> Comparison:
    """Two runs side by side, by the ids of their models. Raises UsageError for an unknown one."""
    for name in spec.models:
        _check_known(name, runs)
    return compared(runs[spec.before], runs[spec.after], spec.about)


def load_runs(
    exhibit: Exhibit,
    inputs: Sequence[Inputs],
    device: str,
    store: Store,
    loaded: Step,
    step: Step,
    techniques: tuple[Technique[Any], ...],
    full: bool = False,
    ready: Callable[[ModelSpec, Sequence[Run]], None] = lambda _, __: None,
) -> list[Run]:
    """Load every model. `loaded` is told the name of each, `step` what is measured of it later.

    `ready` waits for what a model is made from; it is told of the runs that are there.
    """
    base, cache, seed = exhibit.base, cache_root(), exhibit.seed
    runs: list[Run] = []
    for spec, shown in zip(exhibit.models, inputs, strict=True):
        ready(spec, runs)
        with store.profile.of("loading", spec.id):
            model = load_model(spec, base, cache, seed=seed, device=device)
            model = with_dictionaries(model, spec, base, cache)
            run = run_of(model, spec, shown, exhibit, store, step, techniques, full)
            checkpoints = load_checkpoints(spec, model, base, cache, seed=seed)
            map_model(model, store.weights)
        links = comparison_links(spec, exhibit)
        run = replace(run, checkpoints=checkpoints, comparisons=links, paged=spec.pages)
        runs.append(run)
        loaded(spec.id)
    return runs


def comparison_links(spec: ModelSpec, exhibit: Exhibit) -> tuple[Link, ...]:
    """Links from a model to the pages that hold it against others."""
    return tuple(_comparison_link(one, spec, exhibit) for one in exhibit.comparisons_of(spec.id))


def _comparison_link(comparison: ComparisonSpec, spec: ModelSpec, exhibit: Exhibit) -> Link:
    """A link from one of the two models to the page of both, with the name of the other."""
    before, after = comparison.models
    other = after if spec.id == before else before
    names = {one.id: one.name for one in exhibit.models}
    return Link(comparison_address(comparison.id), f"Beside {names.get(other, other)}")


def run_of(
    model: AnyModel,
    spec: ModelSpec,
    inputs: Inputs,
    exhibit: Exhibit,
    store: Store,
    step: Step,
    techniques: tuple[Technique[Any], ...],
    full: bool = False,
) -> Run:
    """The run of a loaded model. Raises UsageError where it is shown nothing that it takes."""
    share = 1.0 if full else share_of(model, store)
    run = Run(
        model,
        inputs,
        sized(spec.make, share, [image.id for image in inputs.images]),
        exhibit.seed,
        store,
        step,
        other_tower=other_tower(spec, exhibit.models),
        full=full,
        share=share,
        live=spec.live,
        techniques=techniques,
    )
    _check_shown(run)
    return run


def _check_shown(run: Run) -> None:
    """Raises UsageError where a model is shown nothing that it takes, or a text that it cannot read."""
    if run.reads == PICTURES and not run.inputs.images:
        raise UsageError(f"{run.model.id} takes pictures, and the exhibit names none ('images').")
    if run.reads != PICTURES and not run.inputs.texts:
        raise UsageError(f"{run.model.id} takes texts, and the exhibit names none ('texts').")
    if not isinstance(run.model, VisionModel):
        for text in run.inputs.texts:
            run.model.encode(text)


def other_tower(spec: ModelSpec, models: Sequence[ModelSpec]) -> str:
    """The id of the entry that is the other tower of the same network; "" where there is none."""
    whole = (spec.source, spec.weights, spec.altered)
    others = (one for one in models if spec.part and one.part not in (None, spec.part))
    return next((one.id for one in others if (one.source, one.weights, one.altered) == whole), "")
