"""One model's card as a folder: exhibit or source -> run -> README.md."""

from __future__ import annotations

from pathlib import Path

from generator.cards.content import card_of
from generator.cards.write import CardFolder, write_card
from generator.exhibit import Exhibit
from generator.figures.render import render
from generator.progress import Reporter
from generator.store import Store
from generator.subjects import all_techniques, load_runs, read_inputs


def make_card(
    exhibit: Exhibit,
    model: str,
    folder: Path,
    work: Path,
    reporter: Reporter,
    *,
    device: str = "auto",
    overwrite: bool = False,
) -> CardFolder:
    """Measure one model of an exhibit and write its card.

    Raises UsageError for an unknown id.

    `work` is where results are kept, and found again if the site was built there.
    """
    spec = exhibit.model(model).model_copy(update={"checkpoints": ()})
    alone = exhibit.model_copy(update={"models": (spec,)})
    store = Store(work / "store")
    with reporter.stage("Model", 1) as step:
        techniques = all_techniques(alone)
        inputs = read_inputs(alone)
        (run,) = load_runs(alone, inputs, device, store, step, reporter.step, techniques)
    with reporter.stage("Probes", None):
        card = card_of(exhibit, run)
        reporter.note(f"{store.reused} of {store.reused + store.made} results from the store")
    with reporter.stage("Card", None) as step:
        wanted = {figure.path: figure.drawing for figure in card.figures()}
        drawings = list({drawing.paths: drawing for drawing in wanted.values()}.values())
        pictures, _ = render(drawings, work / "store" / "figures", 1, lambda: step(""))
        return write_card(folder, exhibit, run, card, pictures, overwrite=overwrite)
