"""A model's card as a folder: exhibit or source -> run -> README.md."""

from __future__ import annotations

from pathlib import Path

from generator.cards.content import card_of
from generator.cards.write import CardFolder, write_card
from generator.exhibit import PARTS, Exhibit
from generator.figures.render import render
from generator.processes import fixed_threads
from generator.progress import Reporter
from generator.single import with_entry
from generator.store import Store
from generator.subjects import (
    all_techniques,
    comparisons_of,
    load_runs,
    opened_in_parts,
    read_inputs,
)


@fixed_threads()
def make_cards(
    exhibit: Exhibit,
    model: str,
    folder: Path,
    work: Path,
    reporter: Reporter,
    *,
    device: str = "auto",
    overwrite: bool = False,
) -> tuple[CardFolder, ...]:
    """Measure one model of an exhibit and write its card; one for each tower of a network of two.

    These lie in folders of their own, named like the towers. Raises UsageError for an unknown id. `work` is
    where results are kept, and found again if the site was built there.
    """
    spec = exhibit.model(model).model_copy(update={"checkpoints": ()})
    own = {model, *(spec.tower(part).id for part in PARTS if not spec.part)}
    pairs = tuple(one for one in exhibit.compare if one.after in own)
    names = dict.fromkeys(one.before for one in pairs if one.before not in own)
    befores = [exhibit.model(name) for name in names]
    alone = exhibit.model_copy(update={"models": (spec, *befores), "compare": pairs})
    store = Store(work / "store")
    with reporter.stage("Model", 1) as step:
        techniques = all_techniques(alone)
        alone, inputs = opened_in_parts(alone, read_inputs(alone))
        known = {one.id for one in befores}
        exhibit = with_entry(exhibit, spec, *(one for one in alone.models if one.id not in known))
        every = load_runs(alone, inputs, device, store, step, reporter.step, techniques)
        comparisons = comparisons_of(alone, every)
        runs = [run for run in every if run.id not in known]
    with reporter.stage("Probes", None):
        cards = [card_of(exhibit, run, comparisons) for run in runs]
        reporter.note(f"{store.reused} of {store.reused + store.made} results from the store")
    made = []
    with reporter.stage("Card", None) as step:
        for run, card in zip(runs, cards, strict=True):
            wanted = {figure.path: figure.drawing for figure in card.figures()}
            drawings = list({drawing.paths: drawing for drawing in wanted.values()}.values())
            pictures, _ = render(drawings, work / "store" / "figures", 1, lambda: step(""))
            place = folder / run.model.id if len(runs) > 1 else folder
            made.append(write_card(place, exhibit, run, card, pictures, overwrite=overwrite))
    return tuple(made)
