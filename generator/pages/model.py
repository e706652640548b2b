"""The pages of a model: its overview, the ways in, its layers with their heads, its units."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from generator.addresses import model_address
from generator.files import some_of
from generator.formatting import amount, thousands
from generator.models.mlp_neurons import NEURONS
from generator.models.tokens import context_text
from generator.pages.context import Place, home, inputs_text, layer_strip, layer_strips, size_text
from generator.pages.credits import with_credits
from generator.pages.environment import Pages
from generator.pages.layer import layer_pages
from generator.pages.page import Page
from generator.pages.parts import part_pages, ways
from generator.pages.sections import sections_of, technique_tables
from generator.pages.unit import latent_pages, unit_pages
from generator.run import PAIRS, PICTURES, TEXTS, Run, why_not
from generator.store import BusyError
from generator.techniques.flops import why_no_pictures
from generator.techniques.links import layer_link, paged_layers
from generator.techniques.live import LIVE
from generator.techniques.measured_stack import heads_of
from generator.techniques.naming import counted

Facts = list[tuple[str, str | int]]


def model_pages(run: Run, pages: Pages) -> Iterator[Page]:
    """The model's page, its own pages, then each layer's, each followed by its heads', and its units'."""
    return (with_credits(run, page) for page in _pages(run, pages))


def _pages(run: Run, pages: Pages) -> Iterator[Page]:
    yield _overview(run, pages)
    yield from part_pages(run, pages)
    yield from layer_pages(run, pages)
    yield from latent_pages(run, pages)
    if run.reads == PICTURES:
        yield from unit_pages(run, pages)


def _overview(run: Run, pages: Pages) -> Page:
    model = run.model
    first = layer_link(model, paged_layers(model)[0])
    strips = (layer_strip(model, None),) if run.reads == PICTURES else layer_strips(run, None)
    return pages.page(
        "model.html",
        model_address(model.id),
        model.title,
        f"{model.title} opened: {_inside(run)}, measured on {inputs_text(run)}.",
        model=model,
        place=Place((home(),), strips, None, first),
        facts=_facts(run),
        ways=ways(run),
        notes=_notes(run),
        sections=sections_of(run, "model"),
        tables=[table.name for table in technique_tables(run)],
    )


def _inside(run: Run) -> str:
    model = run.model
    size = f"{size_text(model.parameters)} parameters"
    if run.reads == PICTURES:
        return f"{counted(run.vision)[0]} of a {model.kind} with {size}"
    heads = sum(stack.count for stack in heads_of(model))
    if run.reads == PAIRS:
        return f"an encoder-decoder with {heads} attention heads in three stacks, {size}"
    layers = amount(len(model.layers), "layer")
    return f"{layers} with {amount(run.language.heads, 'attention head')} each, {size}"


def _facts(run: Run) -> Facts:
    model, licence = run.model, run.model.provenance.licence
    size = size_text(model.parameters)
    if run.reads == PICTURES:
        layers, units = counted(run.vision)
        side = run.vision.preprocessing.size
        return [
            ("Kind", model.kind),
            ("Parameters", size),
            ("Layers", layers.removesuffix(" layers").replace(" layers", ",")),
            ("Units", units.replace(" units", "")),
            ("Input", f"{side} × {side} px"),
            ("Classes", thousands(len(run.vision.labels))),
            ("Licence", licence),
        ]
    heads = thousands(sum(stack.count for stack in heads_of(model)))
    start: Facts = [("Kind", f"transformer {model.kind}"), ("Parameters", size)]
    end: Facts = [("Width", model.layers[0].shape[0])]
    if run.reads == PAIRS:
        inner: Facts = [("Heads", heads), ("Head width", run.pair.head_width)]
        return [
            *start,
            *inner,
            *end,
            ("Context", context_text(run.pair.max_tokens)),
            ("Licence", licence),
        ]
    inner = [
        ("Layers", len(model.layers)),
        ("Heads", heads),
        ("KV groups a layer", run.language.kv_groups),
    ]
    head = run.language.head
    if head is not None:
        end += [("Labels", head.labels_text), ("An answer", head.problem_text)]
    return [
        *start, *inner, *end, ("Context", context_text(run.language.max_tokens)), ("Licence", licence)
    ]  # fmt: skip


_THREE = (
    "An encoder-decoder reads one text, the source, and writes another, the target. Its heads stand in "
    "three stacks: those of the encoder (E0H0, …) and of the decoder (D0H0, …) look at their own text, those "
    "of cross attention (X0H0, …) look from the target into the source. X0 belongs to the same block of the "
    "decoder as D0."
)


def _notes(run: Run) -> tuple[str, ...]:
    """What stands below the ways into a model."""
    start = "Or start at a layer: the row of numbers above, or the table below."
    if run.reads == PAIRS:
        return (_THREE, *_not_live(run))
    if run.reads == TEXTS:
        return (start, *_not_live(run))
    pages = f"{start} Every layer page lists its units."
    undrawn = why_no_pictures(run)
    return (*_refused(run), pages, *([undrawn] if undrawn else []), *_not_live(run))


def _not_live(run: Run) -> Iterator[str]:
    """Why there is no page to try one's own on, where that is for a reason of the network's."""
    with suppress(BusyError):
        reason = "" if why_not(LIVE, run) else run[LIVE].reason
        if reason:
            own = "picture" if run.reads == PICTURES else "sentence"
            yield f"It cannot be tried on a {own} of your own: {reason}."


def _refused(run: Run) -> Iterator[str]:
    """What has no pages that such networks often have, and why."""
    hidden = run.vision.no_attention
    refused = [one for one in run.vision.left_out if one.name.startswith(NEURONS)]
    told = refused and run.inputs.pool
    if hidden:
        same = " For the same reason neurons of its MLPs have no pages." if told else ""
        yield f"This network attends, but its maps are not laid over the pictures: {hidden}.{same}"
    elif told:
        for reason in dict.fromkeys(one.reason for one in refused):
            names = [one.name for one in refused if one.reason == reason]
            yield f"No pages are made of {some_of(names, 3)}: {reason}."
