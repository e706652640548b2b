"""The schema of `exhibit.yml`: what to show, and errors that name file, line and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from generator.card_schema import (
    CardSpec,
    OwnSection,
    PairedProbe,
    Pairs,
    Reference,
    Sentences,
    Triple,
)
from generator.errors import UsageError, did_you_mean
from generator.files import read_text
from generator.validation_messages import reason

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+([-_.][a-z0-9]+)*$", max_length=80)]
Line = Annotated[str, Field(min_length=1, max_length=400)]
T = TypeVar("T")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Preprocessing(_Strict):
    """How a picture becomes the tensor that a network was trained on."""

    size: int = Field(224, ge=8, le=2048, description="side of the square input, in pixels")
    crop: float = Field(0.875, ge=0.1, le=1, description="share of the resized short side kept")
    mean: tuple[float, float, float] = Field(
        (0.485, 0.456, 0.406),
        description="from values of 0 to 1 taken away: of red, green and blue, or one number",
    )
    std: tuple[float, float, float] = Field(
        (0.229, 0.224, 0.225),
        description="divided by: of red, green and blue, or one number",
    )
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos", "box", "hamming"] = Field(
        "bicubic", description="how the picture is resized"
    )
    fit: Literal["crop", "squeeze"] = Field(
        "crop", description="whether the longer side is cropped, or squeezed into the square"
    )
    rounding: Literal["pillow", "tensors"] = Field(
        "pillow",
        description="how pictures are resized and cropped to whole pixels: as Pillow, torchvision and timm "
        "do, or as transformers does on tensors",
    )

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _for_all_channels(cls, value: Any) -> Any:
        return (value,) * 3 if isinstance(value, (int, float)) else value


class ImageSpec(_Strict):
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


class CheckpointSpec(_Strict):
    """One state of a network in training; a source alone will do."""

    source: Line = Field(description="where this state comes from, as a model's source")
    label: str = Field("", max_length=80, description="such as 'epoch 5'; the revision if left out")
    weights: str = Field("pretrained", description="as a model's weights")

    @model_validator(mode="before")
    @classmethod
    def _from_source(cls, data: Any) -> Any:
        return {"source": data} if isinstance(data, str) else data


class Choices(_Strict):
    """How much is made of a model beyond what is measured of every layer.

    The last three are for transformers, the others for vision models.
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
        4, ge=0, le=100, description="texts or pictures on which each head is silenced in turn"
    )
    runs: int = Field(5, ge=1, le=20, description="draws of random tokens to rank heads on")
    words: int = Field(24, ge=1, le=200, description="words whose way through each head is shown")


class ModelSpec(_Strict):
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
    checkpoints: tuple[CheckpointSpec, ...] = Field(
        (), description="states of this network in training, in order, each a source"
    )
    make: Choices = Field(Choices(), description="how much is made beyond what is measured")
    card: CardSpec = Field(CardSpec(), description="what its model card states")

    @property
    def name(self) -> str:
        """What readers see."""
        return self.title or self.id


class TextSpec(_Strict):
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


class Exhibit(_Strict):
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
    writing: str = Field(
        "", description="folder with articles/, lectures/, guide/ (Markdown) and references.bib"
    )
    techniques: tuple[Line, ...] = Field(
        (), description="files of your own with techniques, such as ./turns.py, which are run"
    )
    base: Path = Field(default=Path(), exclude=True, description="the folder that paths start from")

    @model_validator(mode="after")
    def _unique(self) -> Exhibit:
        _refuse_repeats("models", [model.id for model in self.models])
        return self

    def model(self, name: str) -> ModelSpec:
        """The entry of one model. Raises UsageError, naming the nearest."""
        for spec in self.models:
            if spec.id == name:
                return spec
        hint = did_you_mean(name, [spec.id for spec in self.models])
        raise UsageError(f"The exhibit has no model '{name}'. {hint}")

    def shown_to(self, model: ModelSpec) -> Exhibit:
        """The exhibit with the pictures and the pool that one of its models is shown."""
        own = {"images": model.images, "pool": model.pool}
        return self.model_copy(update={key: one for key, one in own.items() if one is not None})


def _refuse_repeats(what: str, ids: Sequence[str]) -> None:
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    if repeated:
        raise ValueError(f"{what}: the id '{repeated[0]}' is used more than once")


def load_exhibit(path: Path) -> Exhibit:
    """Read an exhibit. Raises UsageError for anything that the schema does not allow."""
    if path.is_dir():
        path = path / "exhibit.yml"
    data = read_yaml(path, "exhibit")
    if not isinstance(data, dict):
        raise UsageError(f"{path}: an exhibit is a mapping of keys such as 'title' and 'models'.")
    if "base" in data:
        raise UsageError(f"{path}: unknown key 'base'.")
    exhibit = check(TypeAdapter(Exhibit), data, path)
    return exhibit.model_copy(update={"base": path.resolve().parent})


def load_pairs(path: Path) -> Pairs:
    """The sentences that probes compare."""
    return check(TypeAdapter(Pairs), read_yaml(path, "list of sentences"), path, Pairs)


def load_texts(path: Path) -> tuple[TextSpec, ...]:
    """Texts from a YAML list, or from a plain file with one text a line."""
    if path.suffix.lower() in {".yml", ".yaml"}:
        return check(TypeAdapter(tuple[TextSpec, ...]), read_yaml(path, "list of texts"), path)
    lines = [line.strip() for line in read_text(path, "file of texts").splitlines()]
    texts = [line for line in lines if line]
    return tuple(
        TextSpec(id=f"text-{number}", text=text, phenomenon=f"Text {number}")
        for number, text in enumerate(texts, start=1)
    )


def load_image_table(path: Path) -> tuple[ImageSpec, ...]:
    """The table of pictures that stands beside them."""
    return check(TypeAdapter(tuple[ImageSpec, ...]), read_yaml(path, "list of pictures"), path)


# What PyYAML lets through: dates such as 2024-13-45, numbers too long to read, endless nesting.
_BAD_VALUES = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def read_yaml(path: Path, what: str) -> Any:
    """The plain values of a YAML file. Raises UsageError if it is missing or not YAML."""
    hint = "'cutaway new DIR' makes a folder that builds." if what == "exhibit" else ""
    try:
        return yaml.safe_load(read_text(path, what, hint))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "cannot be read"
        raise UsageError(f"{path}{line}: not YAML: {reason}.") from error
    except _BAD_VALUES as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path}: holds a value that cannot be read: {reason}.") from error


def check(
    adapter: TypeAdapter[T], data: Any, path: Path, schema: type[BaseModel] | None = None
) -> T:
    """Validate `data` from `path`; an error names file, line, key and the nearest valid name.

    `schema` is what stands at the top of the file; an exhibit if left out.
    """
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        lines = _lines(path)
        details = [detail for detail in error.errors() if not _is_echo(detail)]
        messages = [_explain(path, detail, lines, schema or Exhibit) for detail in details[:5]]
        raise UsageError("\n".join(messages)) from error


def _is_echo(detail: ErrorDetails) -> bool:
    """Whether an error only repeats another.

    A list can stand where a file name can, and is told to be none; a list whose items are all
    wrong is told to be empty.
    """
    if not isinstance(detail["input"], list):
        return False
    no_name = detail["type"] == "string_type" and detail["loc"][1:] == ("str",)
    return no_name or (detail["type"] == "too_short" and bool(detail["input"]))


def _explain(
    path: Path,
    detail: ErrorDetails,
    lines: Mapping[tuple[int | str, ...], int],
    schema: type[BaseModel],
) -> str:
    # A union puts the name of its branch into the location: only real keys are kept.
    place: tuple[int | str, ...] = ()
    for part in detail["loc"]:
        if (*place, part) in lines:
            place = (*place, part)
    if detail["type"] == "missing":
        place = (*place, detail["loc"][-1])
    known = next((place[:end] for end in range(len(place), 0, -1) if place[:end] in lines), ())
    where = f"{path}, line {lines[known]}" if known else str(path)
    key = ".".join(str(part) for part in place) or "file"
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key '{key}'. {did_you_mean(str(place[-1]), _siblings(place, schema))}"
    if detail["type"] == "missing":
        return f"{where}: the key '{key}' is missing."
    return f"{where}: {key}: {reason(detail)}."


def _siblings(place: Sequence[int | str], top: type[BaseModel]) -> list[str]:
    owners: dict[str, type[BaseModel]] = {
        "models": ModelSpec,
        "checkpoints": CheckpointSpec,
        "make": Choices,
        "images": ImageSpec,
        "texts": TextSpec,
        "preprocessing": Preprocessing,
        "card": CardSpec,
        "sections": OwnSection,
        "references": Reference,
        "reference": Reference,
        "paraphrases": Triple,
        "probes": PairedProbe,
        "sentences": Sentences,
    }
    named = [part for part in place[:-1] if isinstance(part, str)]
    schema = owners.get(named[-1], top) if named else top
    if not named and place and isinstance(place[0], int):
        # A list at the top of its file: texts have a text, pictures a file.
        fields = set(TextSpec.model_fields) | set(ImageSpec.model_fields)
        return sorted(fields)
    return [name for name in schema.model_fields if name != "base"]


def _lines(path: Path) -> dict[tuple[int | str, ...], int]:
    """The line of each key and list item of a YAML file."""
    found: dict[tuple[int | str, ...], int] = {}
    visited: set[int] = set()

    def walk(node: yaml.Node, place: tuple[int | str, ...]) -> None:
        if id(node) in visited:  # an alias, perhaps of what it stands in
            return
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[(*place, key.value)] = key.start_mark.line + 1
                walk(value, (*place, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                found[(*place, index)] = item.start_mark.line + 1
                walk(item, (*place, index))

    root = yaml.compose(read_text(path))
    if root is not None:
        walk(root, ())
    return found
