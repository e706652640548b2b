"""What an article can name: models, layers, units, heads, pictures, texts, classes, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from generator.errors import UsageError, did_you_mean
from generator.findings import Findings, TextFindings, VisionFindings
from generator.inputs.images import CuratedImage
from generator.inputs.texts import CuratedText
from generator.models.model import LanguageModel, VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import ONLY, Stack
from generator.pages.tables import tables
from generator.probes.attention import Attention, measure_attention
from generator.probes.seq2seq import measure_pair, measure_pair_attention
from generator.run import Run, Technique
from generator.store import Store
from generator.subjects import measure
from generator.table import Table
from generator.techniques import TECHNIQUES
from generator.techniques.naming import one_of

Row = dict[str, str]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The models of an exhibit with what was measured on them, by the names that articles use.

    `commands` describes the command line for the guide. Everything here raises UsageError with the nearest
    valid name for a name that is not there.
    """

    runs: Mapping[str, Run]
    store: Store
    seed: int
    commands: Callable[[], str] = str
    techniques: Sequence[Technique[Any]] = TECHNIQUES
    _tables: dict[str, dict[str, Table]] = field(default_factory=dict)

    def run(self, model: str) -> Run:
        """A model with what it is run on and what was found."""
        if model not in self.runs:
            raise unknown_model(model, self.runs)
        return self.runs[model]

    def measured(self, model: str) -> Findings:
        """All that was found on a model."""
        return measure(self.run(model))

    @property
    def credits(self) -> list[CuratedImage]:
        """The pictures that were asked for, which the article that shows them must give credit for."""
        return [one for run in self.runs.values() for one in run.credits]

    def vision(self, model: str) -> VisionModel:
        """A model that takes pictures."""
        found = self.run(model).model
        if not isinstance(found, VisionModel):
            raise UsageError(
                f"'{model}' takes texts, and this is made of a model that takes pictures."
            )
        return found

    def language(self, model: str) -> LanguageModel:
        """A model that takes texts, in one stack."""
        found = self.run(model).model
        if isinstance(found, Seq2SeqModel):
            raise UsageError(
                f"'{model}' is an encoder-decoder, and this is made of a single stack."
            )
        if not isinstance(found, LanguageModel):
            raise UsageError(
                f"'{model}' takes pictures, and this is made of a model that takes texts.",
                hint="A head of a vision transformer is drawn by 'patch_attention'.",
            )
        return found

    def about_pictures(self, model: str) -> VisionFindings:
        """All that was measured on a model that takes pictures."""
        self.vision(model)
        found = self.measured(model)
        assert isinstance(found, VisionFindings)
        return found

    def about_texts(self, model: str) -> TextFindings:
        """All that was measured on a model that takes texts."""
        self.language(model)
        found = self.measured(model)
        assert isinstance(found, TextFindings)
        return found

    def image(self, model: str, image: str) -> CuratedImage:
        """A curated picture of a model."""
        return self.run(model).image(image)

    def seen(self, model: str, image: str) -> np.ndarray:
        """A picture as a network sees it, (size, size, 3) uint8."""
        self.vision(model)
        return self.run(model).seen[self.image(model, image).id]

    def pixels(self, model: str, image: str) -> np.ndarray:
        """A picture as it enters a network, (3, size, size), normalised."""
        self.vision(model)
        return self.run(model).pixels[self.image(model, image).id]

    def text(self, model: str, text: str) -> CuratedText:
        """A curated text."""
        if not isinstance(self.run(model).model, Seq2SeqModel):
            self.language(model)
        known = {one.id: one for one in self.run(model).inputs.texts}
        return known[one_of("text", text, known, "the exhibit has no")]

    def attention(self, model: str, text: str, stack: Stack = ONLY) -> Attention:
        """The weights of all heads on a text, or of all in a stack of an encoder-decoder."""
        network, chosen = self.run(model).model, self.text(model, text)
        if isinstance(network, Seq2SeqModel):
            pair = measure_pair(network, chosen, self.store)
            return measure_pair_attention(network, pair, self.store).of(stack)
        return measure_attention(self.language(model), chosen, self.store)

    def target(self, model: str, text: str) -> str:
        """What the decoder of an encoder-decoder reads beside a text; nothing for other models."""
        network = self.run(model).model
        if not isinstance(network, Seq2SeqModel):
            return ""
        return measure_pair(network, self.text(model, text), self.store).target

    def table(self, model: str, name: str) -> list[Row]:
        """The rows of a published table as text; each is made once."""
        if model not in self._tables:
            self.run(model)
            made = tables(self.measured(model))
            self._tables[model] = {one.name.removesuffix(".csv"): one for one in made}
        known = self._tables[model]
        return known[one_of("table", name.removesuffix(".csv"), known, f"{model} has no")].records


def unknown_model(name: str, known: Iterable[str]) -> UsageError:
    """A model that an article names and the exhibit does not."""
    return UsageError(
        f"the exhibit shows no model '{name}'. {did_you_mean(name, known)}",
        hint="Add it to 'models' in exhibit.yml, or take out what names it.",
    )


def head_of(model: LanguageModel, head: int) -> int:
    """A head of a layer."""
    if not 0 <= head < model.heads:
        raise UsageError(f"a layer of {model.id} has the heads 0 to {model.heads - 1}, not {head}.")
    return head
