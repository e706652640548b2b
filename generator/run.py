"""One model on its inputs, and the techniques that can be asked of it: everything is pulled."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar, TypeVar

import numpy as np

from generator.addresses import Link
from generator.errors import UsageError, did_you_mean
from generator.exhibit import Choices
from generator.figures.figure import Figure
from generator.inputs.images import CuratedImage, as_pixels, pixels_of, square_of
from generator.inputs.shown import Inputs, Picture
from generator.inputs.texts import CuratedText
from generator.mapped import let_go
from generator.models.checkpoints import Checkpoints
from generator.models.load import AnyModel
from generator.models.mapped import map_model
from generator.models.model import VisionModel
from generator.models.randomise import random_twin
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import Encoding, LanguageModel
from generator.parameters import call_checked, check_parameters, parameters_of
from generator.probes.controls import random_of
from generator.probes.exemplars import PoolImage
from generator.progress import Step
from generator.section import Section as Section
from generator.store import Store
from generator.table import Table
from generator.technique import Technique as Technique
from generator.widget import Widget

T = TypeVar("T")
S = TypeVar("S", Figure, Widget)
Named = TypeVar("Named", CuratedImage, CuratedText)
Makes = tuple["Technique[Any]", Callable[..., S]]

VERSION = 1  # of how a control is made
PICTURES, TEXTS, PAIRS = "pictures", "texts", "pairs of texts"


@dataclass(frozen=True, eq=False)
class Run:
    """A loaded model, what it is run on, how much is made of it, and what was found so far.

    `checkpoints` are the states of its training that the exhibit names. `other_tower` is the id of the model
    that is the other tower of the same network, where both are shown. `full` shows every unit in every way;
    without, `share` of the usual work is done (`generator.sized`).
    `live` says whether readers are offered the network itself: "on", "auto" or "off". `comparisons` are links
    to the pages that hold it against another model; one that is not `paged` is opened for these alone.
    `trained` is the run that this one is the control of. `techniques` are all that can be asked, in page
    order. `step` is told the name of each piece of work that is done, `credits` are the pictures asked for.
    One that `compares` holds two models against each other (`generator.comparison`).
    """

    compares: ClassVar[bool] = False
    model: AnyModel
    inputs: Inputs
    budget: Choices
    seed: int
    store: Store
    step: Step
    checkpoints: Checkpoints = ()
    other_tower: str = ""
    full: bool = False
    share: float = 1.0
    live: str = "off"
    comparisons: tuple[Link, ...] = ()
    paged: bool = True
    trained: Run | None = None
    techniques: tuple[Technique[Any], ...] = ()
    credits: list[Picture] = field(default_factory=list, repr=False)
    _results: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """What a session shows of it: all that it holds would be pages long."""
        return f"<Run of {self.model.title}: {self.model.kind}, {len(self.model.layers)} layers>"

    def __getitem__(self, technique: Technique[T]) -> T:
        """What a technique finds, measured once. Raises UsageError where it does not apply."""
        if technique in self._results:  # asked for thousands of times
            return self._results[technique]
        reason = why_not(technique, self)
        if reason:
            raise UsageError(f"{self.id}: {technique.title}: {reason}")
        asked_of = f"{self.id}, random weights" if self.trained else self.id
        with self.store.profile.of(technique.name, asked_of):
            return self.once(technique, partial(technique.measure, self))

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` returns, made when it is first asked for under this key."""
        if key not in self._results:
            self._results[key] = make()
        return self._results[key]

    def figure(self, kind: str, **parameters: Any) -> Figure:
        """A figure of a technique, by the name that articles use. Raises UsageError for a wrong name."""
        known = {name: (t, make) for t in self.techniques for name, make in t.figures.items()}
        return self._made("kind of figure", known, kind, parameters)

    def widget(self, kind: str, **parameters: Any) -> Widget:
        """A live component of a technique, by the same names. Raises UsageError for a wrong name."""
        known = {name: (t, make) for t in self.techniques for name, make in t.widgets.items()}
        return self._made("widget", known, kind, parameters)

    def _made(self, what: str, known: Mapping[str, Makes[S]], kind: str, parameters: Any) -> S:
        if kind not in known:
            raise UsageError(f"there is no {what} '{kind}'. {did_you_mean(kind, known)}")
        technique, make = known[kind]
        reason = why_not(technique, self)
        if reason:
            raise UsageError(f"{self.id}: '{kind}': {reason}")
        check_parameters(kind, parameters_of(make), parameters)
        return replace(call_checked(kind, make, self, parameters), source=self.source)

    def table(self, name: str) -> Table:
        """A published table, such as "units". Raises UsageError, with the nearest name, for a wrong one."""
        there = (each.tables(self) for each in self.techniques if not why_not(each, self))
        known = {one.name.removesuffix(".csv"): one for tables in there for one in tables}
        if name.removesuffix(".csv") not in known:
            raise UsageError(f"{self.id} has no table '{name}'. {did_you_mean(name, known)}")
        return known[name.removesuffix(".csv")]

    @cached_property
    def control(self) -> Control:
        """What the same techniques find on random weights, where nothing was learned."""
        return Control(self)

    @property
    def reads(self) -> str:
        """What the model takes: PICTURES, TEXTS, or PAIRS of them."""
        kinds = {VisionModel: PICTURES, Seq2SeqModel: PAIRS, LanguageModel: TEXTS}
        return next(reads for kind, reads in kinds.items() if isinstance(self.model, kind))

    @property
    def source(self) -> str:
        """Where a figure says that it comes from: the model, and the first digits of its weights' digest."""
        return f"{self.model.title}, weights {self.model.provenance.weights_sha256[:12]}"

    @property
    def id(self) -> str:
        """The name that articles and errors use."""
        return self.model.id

    @property
    def title(self) -> str:
        """The name that readers see."""
        return self.model.title

    @property
    def folder(self) -> str:
        """The folder of the model's pages and pictures in the site."""
        return f"models/{self.model.id}"

    def data_address(self, name: str) -> str:
        """Where one of its tables is published."""
        return f"{self.folder}/data/{name}"

    @property
    def vision(self) -> VisionModel:
        """The model, which takes pictures."""
        assert isinstance(self.model, VisionModel)
        return self.model

    @property
    def language(self) -> LanguageModel:
        """The model, which takes texts in one stack."""
        assert isinstance(self.model, LanguageModel)
        return self.model

    @property
    def pair(self) -> Seq2SeqModel:
        """The model, which takes pairs of texts."""
        assert isinstance(self.model, Seq2SeqModel)
        return self.model

    def text(self, name: str) -> CuratedText:
        """A curated text. Raises UsageError with the nearest."""
        return self._shown("text", name, self.inputs.texts)

    @cached_property
    def encodings(self) -> dict[str, Encoding]:
        """Each curated text as tokens."""
        return {text.id: self.language.encode(text) for text in self.inputs.texts}

    def image(self, name: str) -> CuratedImage:
        """A curated picture, to be credited where it is shown. Raises UsageError with the nearest."""
        found = self._shown("picture", name, self.inputs.images)
        self.credits.append(found)
        return found

    def _shown(self, what: str, name: str, inputs: Iterable[Named]) -> Named:
        known = {one.id: one for one in inputs}
        if name not in known:
            says = f"{self.id} is not shown {what} '{name}'. {did_you_mean(name, known)}"
            raise UsageError(says.strip())
        return known[name]

    @cached_property
    def seen(self) -> dict[str, np.ndarray]:
        """Each curated picture as the network sees it, (size, size, 3) uint8."""
        how = self.vision.preprocessing
        return {one.id: np.asarray(square_of(one.path, how)) for one in self.inputs.images}

    @cached_property
    def pixels(self) -> dict[str, np.ndarray]:
        """Each curated picture as it enters the network, (3, size, size) float32, normalised."""
        how = self.vision.preprocessing
        return {one.id: as_pixels(square_of(one.path, how), how) for one in self.inputs.images}

    @cached_property
    def pool_images(self) -> list[PoolImage]:
        """The pictures of the pool as probes take them: opened when they are needed."""
        how, pool = self.vision.preprocessing, self.inputs.pool
        opened = {one.id: partial(pixels_of, one.path, how) for one in pool}
        return [PoolImage(one.id, one.sha256, opened[one.id], one.subject) for one in pool]


@dataclass(frozen=True, eq=False)
class Control:
    """The same run on random weights: what any network of this shape would show (Adebayo et al. 2018).

    The network is made only where a result is not in the store.
    """

    trained: Run

    def __getitem__(self, technique: Technique[T]) -> T:
        """What a technique finds on random weights."""
        trained = self.trained
        kind = typing.get_type_hints(technique.measure)["return"]
        parts = {
            "technique": technique.name,
            "randomised": trained.model.key,
            "seed": trained.seed,
            "inputs": trained.inputs.key,
            "budget": trained.budget.model_dump(mode="json"),
            "full": trained.full,
            "versions": technique.versions(trained),
        }

        make, module = (lambda: self.run[technique]), technique.measure.__module__
        kept = partial(trained.store.result, "control", VERSION, parts, kind, make, module=module)
        return trained.once((self, technique), kept)

    def forget(self) -> None:
        """Let go of the network, which is as large as the trained one; made again where it is needed."""
        self.__dict__.pop("run", None)

    @cached_property
    def run(self) -> Run:
        """The run itself, with a network of random weights."""
        trained, model, seed = self.trained, self.trained.model, self.trained.seed
        let_go()  # there will be two networks
        random: AnyModel
        if isinstance(model, VisionModel):
            shown = [*trained.pixels.values()]
            random = random_of(model, trained.pool_images, shown, seed, trained.store)
        else:
            random = random_twin(model, seed)
        map_model(random, trained.store.weights)
        return replace(
            trained, model=random, checkpoints=(), trained=trained, credits=[], _results={}
        )


def why_not(technique: Technique[Any], run: Run) -> str:
    """Why a technique does not apply to a model, or to two of them side by side; "" where it does."""
    return run.once(("why not", technique), lambda: _why_not(technique, run))


def _why_not(technique: Technique[Any], run: Run) -> str:
    if technique.compares != run.compares:
        one, two = "it is asked of one model.", "it compares two models: name one of `compare`."
        return two if technique.compares else one
    if run.reads not in technique.takes:
        return f"it is made for models that take {' or '.join(technique.takes)}, not {run.reads}."
    return technique.why_not(run)
