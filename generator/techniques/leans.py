"""How well a model predicts texts, and what it leans to where sentences differ in one word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generator.card_schema import PairedProbe, Pairs
from generator.errors import UsageError
from generator.figures.figure import Figure, on_page, published
from generator.formatting import number
from generator.models.text_model import LanguageModel
from generator.probes.language_loss import LanguageLoss, measure_language_loss
from generator.probes.paired_texts import CONTROL, PairedTexts, measure_paired_texts
from generator.probes.paraphrases import Paraphrases, measure_paraphrases
from generator.run import TEXTS, Run, Technique


@dataclass(frozen=True, eq=False)
class TextEvaluation:
    """A transformer on the curated texts and on sentences that differ in one word.

    `loss` is None for a model that predicts no tokens, `paraphrases` for one that is no sentence encoder.
    `paired` has a result for each of the probes of `pairs` that fits the model.
    """

    loss: LanguageLoss | None
    paraphrases: Paraphrases | None
    pairs: Pairs
    paired: tuple[PairedTexts, ...]


def measure(run: Run) -> TextEvaluation:
    """Losses or similarities, and leans, each beside those of the network with random weights."""
    model, pairs, seed, store = run.language, run.inputs.pairs, run.seed, run.store

    def twin() -> LanguageModel:
        """The network of the run's control, made only if a result is not in the store."""
        return run.control.run.language

    loss = measure_language_loss(model, run.encodings, seed, store, twin)
    paraphrases = measure_paraphrases(model, pairs.paraphrases, seed, store, twin)
    run.step(f"{model.id}: evaluation")
    paired = measure_paired_texts(model, pairs.probes, seed, store, twin)
    run.step(f"{model.id}: paired sentences")
    return TextEvaluation(loss, paraphrases, pairs, paired)


def figure(run: Run) -> Figure:
    """What a model leans to: sentences that differ in one word, beside the same on random weights."""
    found = run[LEANS]
    if not found.paired:
        raise UsageError(f"no pairs of sentences were compared on {run.model.id}.")
    return published("leans", _arguments(found), _alt(found), _CAPTION)


def leans_chart(run: Run) -> Figure:
    """The figure of the model's card."""
    return on_page(figure(run), f"{run.folder}/probes.svg", "leans", _WIDE)


_WIDE = 820  # CSS pixels
_CAPTION = (
    "One dot a subject; the bar is the mean of its group. Grey rows are control subjects, small grey "
    "dots the same network with random weights. The subjects at both ends are named."
)


def _arguments(found: TextEvaluation) -> Mapping[str, Any]:
    """What the chart is drawn of: a row for each group of each probe."""
    paired = found.paired
    titles = {probe.id: _title(probe) for probe in found.pairs.probes}
    rows = [(n, group) for n, one in enumerate(paired) for group in (*one.trained.names, CONTROL)]
    nats = paired[0].measure == "log-probability"
    return {
        "titles": tuple(titles[one.probe] for one in paired),
        "rows": tuple(rows),
        "values": tuple(paired[n].trained.of(group) for n, group in rows),
        "random": tuple(paired[n].random.of(group) for n, group in rows),
        "subjects": tuple(paired[n].trained.subjects_of(group) for n, group in rows),
        "unit": f"lean to the first choice, {'nats' if nats else 'difference of cosines'}",
    }


def _title(probe: PairedProbe) -> str:
    """What is asked, and which side of zero is which choice."""
    first, second = ("/".join(pair[n] for pair in probe.choices) for n in (0, 1))
    return f"{probe.title}   ← {second} · {first} →"


def _alt(found: TextEvaluation) -> str:
    """By how much the groups of each probe differ."""
    paired = found.paired
    titles = {probe.id: probe.title for probe in found.pairs.probes}
    differences = [
        f"{titles[one.probe]}: groups differ by {number(one.trained.difference)}"
        for one in paired
        if len(one.trained.names) == 2
    ]
    return f"Leans of every subject in {len(paired)} probes. {'; '.join(differences)}."


LEANS = Technique(
    name="leans",
    title="Limits and biases probed",
    search="evaluation loss perplexity bias fairness",
    reads=TEXTS,
    measure=measure,
    figures={"leans": figure},
)
