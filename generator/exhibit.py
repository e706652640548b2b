"""The schema of `exhibit.yml`: what to show, and errors that name file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from generator.altered_schema import Altered
from generator.card_schema import CardSpec
from generator.comparison_schema import ComparisonSpec
from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError, did_you_mean
from generator.preprocessing_schema import Preprocessing as Preprocessing
from generator.yaml_schema import Line, Slug, Strict, refuse_repeats


class ImageSpec(Strict):
    """One curated picture."""

    file: Line = Field(description="path, from the folder of the table or of the exhibit")
    label: Line = Field(description="what it shows, in a word or two")
    alt: str = Field("", max_length=600, description="what one sees, for those who cannot see it")
    licence: Line = Field("not stated", description="of the picture")
    origin: Line = Field("not stated", description="who made it, and where it comes from")
    id: Slug | None = Field(None, description="its name in addresses; the file's if left out")
    classes: tuple[Line, ...] = Field(
        (), description="names that are right for it, where a network's differ from the label"
    )


class CheckpointSpec(Strict):
    """One state of a network in training; a source alone will do."""

    source: Line = Field(description="where this state comes from, as a model's source")
    label: str = Field("", max_length=80, description="such as 'epoch 5'; the revision if left out")
    weights: str = Field("pretrained", description="as a model's weights")

    @model_validator(mode="before")
    @classmethod
    def _from_source(cls, data: Any) -> Any:
        return {"source": data} if isinstance(data, str) else data


class Choices(Strict):
    """How much is made of a model beyond what is measured of every layer.

    The last four are for transformers, the others for vision models.
    """

    features: int = Field(60, ge=0, le=2000, description="units drawn by feature visualisation")
    classes: int = Field(6, ge=0, le=100, description="classes drawn by feature visualisation")
    steps: float = Field(1.0, gt=0, le=10, description="times the usual number of steps for each")
    dream: str | None = Field(
        None,
        description="id of the picture that Deep Dream starts from, '' for no dream; left out, the first "
        "picture, or no dream where `features` is 0",
    )
    blocks: tuple[str, ...] = Field((), description="ids of the pictures taken apart into blocks")
    ablate: int = Field(
        4,
        ge=0,
        le=100,
        description="inputs on which each head is silenced in turn, and whose words are weighed",
    )
    runs: int = Field(5, ge=1, le=20, description="draws of random tokens to rank heads on")
    neurons: int = Field(
        4,
        ge=0,
        le=200,
        description="neurons of the MLP of each layer that get a page, where there is a pool for it",
    )
    words: int = Field(24, ge=1, le=200, description="words whose way through each head is shown")


class TextSpec(Strict):
    """One curated text."""

    id: Slug = Field(description="its name in addresses")
    text: str = Field(min_length=1, max_length=20_000, description="what the models read")
    phenomenon: str = Field("", max_length=120, description="what it is an example of")
    look_for: str = Field("", max_length=600, description="what a reader might look for in it")
    target: str = Field(
        "",
        max_length=20_000,
        description="what an encoder-decoder is to write; its own answer if left out",
    )


# Of a network of two towers.
PICTURE, TEXT = "picture", "text"
PARTS = (PICTURE, TEXT)


class ModelSpec(Strict):
    """One model of an exhibit."""

    id: Slug = Field(description="name of the model in addresses: /models/<id>/")
    source: Line = Field(description="where the weights come from: hf:, torchvision:, timm:, ...")
    title: Line = Field("", description="name shown to readers; the id if left out")
    about: str = Field("", max_length=2000, description="a sentence or two on what the model is")
    licence: str = Field("", max_length=80, description="SPDX identifier of the weights' licence")
    architecture: str | None = Field(
        None,
        description="where a source ships bare weights: timm:NAME, torchvision:NAME, or ./FILE.py:CLASS, a "
        "file of your own, which is run",
    )
    arguments: dict[str, Any] = Field(
        {}, description="what the class of a file of your own is called with"
    )
    classes: int | tuple[Line, ...] | None = Field(
        None, description="how many classes a network has, or their names in order"
    )
    part: Literal["picture", "text"] | None = Field(
        None, description="of a network of two towers, such as CLIP; both if left out"
    )
    weights: str = Field(
        "pretrained",
        description="'pretrained', 'random', or a weights file, for timm: and torchvision:",
    )
    altered: Altered = Field(
        Altered(), description="what is done to the weights before anything is read of the network"
    )
    preprocessing: Preprocessing | None = Field(
        None, description="where a source does not say how pictures were prepared"
    )
    layers: tuple[str, ...] = Field(
        ("*",), description="patterns of the layers of a vision model that get a page"
    )
    units: tuple[str, ...] = Field(
        ("*",),
        description="patterns of the layers whose units get a page, among stem, blocks and last convolution",
    )
    images: str | tuple[ImageSpec, ...] | None = Field(
        None, description="curated pictures for this model alone; the exhibit's if left out"
    )
    pool: str | None = Field(None, description="a pool for this model alone; '' for none")
    passages: str | None = Field(
        None, description="a pool of texts for this model alone; '' for none"
    )
    texts: str | tuple[TextSpec, ...] | None = Field(
        None, description="curated texts for this model alone; the exhibit's if left out"
    )
    held_out: str | tuple[TextSpec, ...] | None = Field(
        None, description="texts that no page shows, for this model alone; '' for none"
    )
    pairs: str | None = Field(
        None, description="sentences that probes compare, for this model alone; '' for none"
    )
    checkpoints: tuple[CheckpointSpec, ...] = Field(
        (),
        description="states of this network in training, in order, each a source; of models that see "
        "pictures or read one text",
    )
    dictionaries: tuple[DictionarySpec, ...] = Field(
        (), description="sparse dictionaries of its layers, for models that read one text"
    )
    make: Choices = Field(Choices(), description="how much is made beyond what is measured")
    live: Literal["auto", "on", "off"] = Field(
        "auto",
        description="whether readers can run it on their own sentence or picture, in their browser; auto: up "
        "to 64 MiB",
    )
    pages: bool = Field(
        True, description="off: it has no pages of its own, and is opened to be compared"
    )
    card: CardSpec = Field(CardSpec(), description="what its model card states")

    @field_validator("live", mode="before")
    @classmethod
    def _said_plainly(cls, value: Any) -> Any:
        # In YAML on and off are true and false.
        return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _unique(self) -> ModelSpec:
        refuse_repeats("dictionaries", [one.name for one in self.dictionaries])
        return self

    @property
    def name(self) -> str:
        """What readers see."""
        return self.title or self.id

    def tower(self, part: str) -> ModelSpec:
        """The entry of one of the two towers that this network has."""
        title = f"{self.name}, {part} tower"
        return self.model_copy(update={"id": f"{self.id}-{part}", "title": title, "part": part})


class Exhibit(Strict):
    """Everything that decides what a site shows. Paths start from the exhibit's own folder."""

    title: Line = Field("What is inside", description="heading of the front page")
    description: Line = Field(
        "The layers, units and attention heads of trained networks, measured.",
        description="the sentence below it, and what search engines show",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="what everything random starts from")
    site_url: str = Field(
        "",
        pattern=r"^(https?://.+)?$",
        description="address of the published site, for canonical links and a sitemap",
    )
    models: tuple[ModelSpec, ...] = Field(min_length=1, description="what is opened")
    compare: tuple[ComparisonSpec, ...] = Field(
        (), description="pairs of models that are held against each other, the one before first"
    )
    images: str | tuple[ImageSpec, ...] = Field(
        (), description="curated pictures: a folder, a table of them, a dataset, or a list"
    )
    texts: str | tuple[TextSpec, ...] = Field(
        (), description="curated texts: a table, a plain file with one text a line, or a list"
    )
    held_out: str | tuple[TextSpec, ...] = Field(
        (),
        description="texts that no page shows, on which it is tested what is said of attention heads: as "
        "`texts`",
    )
    pairs: str = Field("", description="a file of sentences that differ in one word, for probes")
    pool: str = Field(
        "",
        description="pictures that exemplars are searched in: a folder, or sklearn:, hf-dataset:",
    )
    passages: str = Field(
        "",
        description="texts that exemplars are searched in: a table, a folder, a plain file with one text a "
        "line, or hf-dataset:",
    )
    writing: str = Field(
        "", description="folder with articles/, lectures/, guide/ (Markdown) and references.bib"
    )
    techniques: tuple[Line, ...] = Field(
        (), description="files of your own with techniques, such as ./turns.py, which are run"
    )
    base: Path = Field(default=Path(), exclude=True, description="the folder that paths start from")

    @model_validator(mode="after")
    def _unique(self) -> Exhibit:
        refuse_repeats("models", [model.id for model in self.models])
        refuse_repeats("compare", [one.id for one in self.compare])
        names = [*(one.id for one in self.models), *(one.id for one in self.compare)]
        refuse_repeats("models and compare", names)
        if not any(model.pages for model in self.models):
            raise ValueError("models: none of them has pages")
        return self

    def comparisons_of(self, name: str) -> tuple[ComparisonSpec, ...]:
        """The comparisons that a model takes part in."""
        return tuple(one for one in self.compare if name in one.models)

    def model(self, name: str) -> ModelSpec:
        """The entry of one model, or of a tower of one. Raises UsageError, naming the nearest."""
        towers = (spec.tower(part) for spec in self.models if not spec.part for part in PARTS)
        for spec in (*self.models, *towers):
            if spec.id == name:
                return spec
        hint = did_you_mean(name, [spec.id for spec in self.models])
        raise UsageError(f"The exhibit has no model '{name}'. {hint}")

    def shown_to(self, model: ModelSpec) -> Exhibit:
        """The exhibit with the pictures, texts and pools that one of its models is shown."""
        own = {key: getattr(model, key) for key in OF_ONE}
        return self.model_copy(update={key: one for key, one in own.items() if one is not None})


# What a model can be shown instead of what the exhibit shows to all.
OF_ONE = ("images", "texts", "held_out", "pairs", "pool", "passages")
