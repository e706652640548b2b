"""What an article can name: models, layers, units, heads, pictures, texts, classes, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from generator.errors import UsageError, did_you_mean
from generator.findings import Findings, TextFindings, VisionFindings
from generator.inputs.images import CuratedImage, as_pixels, as_seen, open_rgb
from generator.inputs.texts import CuratedText
from generator.models.layer import Layer
from generator.models.model import LanguageModel, Model, VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import ONLY, Stack
from generator.pages.tables import tables
from generator.probes.attention import Attention, measure_attention
from generator.probes.seq2seq import measure_pair, measure_pair_attention
from generator.store import Store
from generator.subjects import Subject
from generator.table import Table

Row = dict[str, str]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The models of an exhibit with what was measured on them, by the names that articles use.

    `measured` gives all findings of a model; it may measure when it is asked. `pictures` are those that were
    asked for, which the article that shows them must give credit for. `commands` describes the command line
    for the guide. Everything here raises UsageError with the nearest valid name for a name that is not there.
    """

    subjects: Mapping[str, Subject]
    measured: Callable[[str], Findings]
    store: Store
    seed: int
    commands: Callable[[], str] = str
    pictures: list[CuratedImage] = field(default_factory=list)
    _tables: dict[str, dict[str, Table]] = field(default_factory=dict)

    def subject(self, model: str) -> Subject:
        """A model with what it is run on."""
        if model not in self.subjects:
            raise unknown_model(model, self.subjects)
        return self.subjects[model]

    def vision(self, model: str) -> VisionModel:
        """A model that takes pictures."""
        found = self.subject(model).model
        if not isinstance(found, VisionModel):
            raise UsageError(
                f"'{model}' takes texts, and this is made of a model that takes pictures."
            )
        return found

    def language(self, model: str) -> LanguageModel:
        """A model that takes texts, in one stack."""
        found = self.subject(model).model
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
        known = {one.id: one for one in self.subject(model).inputs.images}
        found = known[one_of("picture", image, known, f"{model} is not shown")]
        self.pictures.append(found)
        return found

    def seen(self, model: str, image: str) -> np.ndarray:
        """A picture as a network sees it, (size, size, 3) uint8."""
        how = self.vision(model).preprocessing
        return np.asarray(as_seen(open_rgb(self.image(model, image).path), how))

    def pixels(self, model: str, image: str) -> np.ndarray:
        """A picture as it enters a network, (3, size, size), normalised."""
        return as_pixels(Image.fromarray(self.seen(model, image)), self.vision(model).preprocessing)

    def text(self, model: str, text: str) -> CuratedText:
        """A curated text."""
        if not isinstance(self.subject(model).model, Seq2SeqModel):
            self.language(model)
        known = {one.id: one for one in self.subject(model).inputs.texts}
        return known[one_of("text", text, known, "the exhibit has no")]

    def attention(self, model: str, text: str, stack: Stack = ONLY) -> Attention:
        """The weights of all heads on a text, or of all in a stack of an encoder-decoder."""
        network, chosen = self.subject(model).model, self.text(model, text)
        if isinstance(network, Seq2SeqModel):
            pair = measure_pair(network, chosen, self.store)
            return measure_pair_attention(network, pair, self.store).of(stack)
        return measure_attention(self.language(model), chosen, self.store)

    def target(self, model: str, text: str) -> str:
        """What the decoder of an encoder-decoder reads beside a text; nothing for other models."""
        network = self.subject(model).model
        if not isinstance(network, Seq2SeqModel):
            return ""
        return measure_pair(network, self.text(model, text), self.store).target

    def table(self, model: str, name: str) -> list[Row]:
        """The rows of a published table as text; each is made once."""
        if model not in self._tables:
            self.subject(model)
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


def one_of(what: str, name: Any, known: Iterable[str], no: str = "there is no") -> str:
    """A name that is known. Raises UsageError with the nearest one otherwise."""
    choices = list(known)
    if name not in choices:
        raise UsageError(f"{no} {what} '{name}'. {did_you_mean(str(name), choices)}".strip())
    return str(name)


def layer_of(model: Model, name: str | int) -> Layer:
    """A layer by its name. A transformer's are numbers from 0."""
    known = {layer.name: layer for layer in model.layers}
    return known[one_of("layer", str(name), known, f"{model.id} has no")]


def unit_of(layer: Layer, unit: int) -> int:
    """A unit of a layer."""
    if not 0 <= unit < layer.units:
        raise UsageError(f"{layer.name} has the units 0 to {layer.units - 1}, not {unit}.")
    return unit


def head_of(model: LanguageModel, head: int) -> int:
    """A head of a layer."""
    if not 0 <= head < model.heads:
        raise UsageError(f"a layer of {model.id} has the heads 0 to {model.heads - 1}, not {head}.")
    return head


def class_of(model: VisionModel, name: str | int) -> int:
    """A class by its label, one of the names in its label, or its number; the first of equal ones."""
    if isinstance(name, int) or (name.isdigit() and name not in model.labels):
        number = int(name)
        if not 0 <= number < len(model.labels):
            raise UsageError(
                f"{model.id} has the classes 0 to {len(model.labels) - 1}, not {number}."
            )
        return number
    names: dict[str, int] = {}
    for number, label in enumerate(model.labels):
        for each in (label, *(part.strip() for part in label.split(","))):
            names.setdefault(each, number)
    return names[one_of("class", name, names, f"{model.id} knows no")]
