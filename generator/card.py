"""A model's card as a folder: exhibit or source -> run -> README.md."""

from __future__ import annotations

from pathlib import Path

from generator.cards.content import card_of
from generator.cards.write import CardFolder, write_card
from generator.exhibit import Exhibit
from generator.figures.render import render
from generator.processes import fixed_threads
from generator.progress import Reporter
from generator.single import with_entry
from generator.store import Store
from generator.subjects import all_techniques, load_runs, opened_in_parts, read_inputs


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
    alone = exhibit.model_copy(update={"models": (spec,)})
    store = Store(work / "store")
    with reporter.stage("Model", 1) as step:
        techniques = all_techniques(alone)
        alone, inputs = opened_in_parts(alone, read_inputs(alone))
        exhibit = with_entry(exhibit, spec, *alone.models)
        runs = load_runs(alone, inputs, device, store, step, reporter.step, techniques)
    with reporter.stage("Probes", None):
        cards = [card_of(exhibit, run) for run in runs]
        reporter.note(f"{store.reused} of {store.reused + store.made} results from the store")
    made = []
    with reporter.stage("Card", None) as step:
        for run, card in zip(runs, cards, strict=True):
            wanted = {figure.path: figure.drawing for figure in card.figures()}
            drawings = list({drawing.paths: drawing for drawing in wanted.values()}.values())
            pictures, _ = render(drawings, work / "store" / "figures", 1, lambda: step(""))
            own = folder / run.model.id if len(runs) > 1 else folder
            made.append(write_card(own, exhibit, run, card, pictures, overwrite=overwrite))
    return tuple(made)
