"""An exhibit of one model, for the command line: no YAML to write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from generator.comparison_schema import ComparisonSpec
from generator.errors import UsageError
from generator.exhibit import PARTS, Choices, Exhibit, ModelSpec
from generator.exhibit_yaml import load_exhibit
from generator.inputs.datasets import names_dataset
from generator.paths import data_root

FEATURES = 12  # units that are visualised where no number is stated


@dataclass(frozen=True)
class Given:
    """What is said of a source: what it is run on, what its weights belong to and how much is drawn."""

    texts: Path | None = None
    images: Path | None = None
    pool: Path | None = None
    passages: Path | None = None
    architecture: str | None = None
    weights: str = "pretrained"
    features: int | None = 0

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        """What the source is run on."""
        return self.texts, self.images, self.pool, self.passages

    @property
    def stated(self) -> bool:
        """Whether anything is said that an exhibit says of its models."""
        return any((*self.inputs, self.architecture)) or self.weights != "pretrained"


def spec_of_one(source: str, architecture: str | None, weights: str) -> ModelSpec:
    """The entry that an exhibit would have for a source."""
    bare = source.split("#", maxsplit=1)[0]
    if bare.startswith(".") and not Path(bare).name.strip(
        "."
    ):  # "." and "..": the folder's own name
        bare = Path(bare).resolve().as_posix()
    tail = bare.rstrip("/").rsplit("/", maxsplit=1)[-1].rsplit(":", maxsplit=1)[-1]
    stem = re.split(r"==|@", tail)[0]
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:80] or "model"
    try:
        return ModelSpec(
            id=name,
            title=stem[:400] or "Model",
            source=source,
            architecture=architecture,
            weights=weights,
        )
    except ValidationError as error:
        raise UsageError(f"The source {source[:60]!r}: {error.errors()[0]['msg']}.") from error


def _make(features: int | None) -> Choices:
    """How much is made of one model; where no number of features is stated, fewer of a large network."""
    if features is None:
        return Choices.model_construct(set(), features=FEATURES)
    return Choices(features=features, classes=min(features, Choices().classes))


def exhibit_of_one(source: str, given: Given = Given()) -> Exhibit:
    """One model on the given texts or pictures, or on the curated ones where none are given.

    The curated sentences that probes compare are English, and go with the curated texts, as do the passages.
    """
    for path in given.inputs:
        if path is not None and not names_dataset(str(path)) and not path.exists():
            raise UsageError(f"{path}: there is no such file or folder.")
    spec = spec_of_one(source, given.architecture, given.weights)
    spec = spec.model_copy(update={"make": _make(given.features)})
    curated = load_exhibit(data_root())

    def reference(path: Path | None, otherwise: str = "") -> str:
        if path is None:
            return str(curated.base / otherwise) if otherwise else ""
        return str(path) if names_dataset(str(path)) else str(path.resolve())

    return Exhibit(
        title=spec.name,
        description=f"The inside of {spec.name}, measured.",
        models=(spec,),
        texts=reference(given.texts, str(curated.texts)),
        pairs="" if given.texts else reference(None, curated.pairs),
        pool=reference(given.pool),
        passages=reference(given.passages, "" if given.texts else curated.passages),
        images=reference(given.images, str(curated.images)),
    ).model_copy(update={"base": Path.cwd()})


def exhibit_of_two(sources: tuple[str, str], exhibit: Path | None, given: Given) -> Exhibit:
    """Two models side by side, both ids of one exhibit, or both sources of their own.

    Raises UsageError where one is and the other is not.
    """
    known = [model_of_exhibit(source, exhibit) for source in sources]
    if known[0] and known[1]:
        if given.stated:
            raise UsageError("Both models are in the exhibit, which says what they are run on.")
        specs = [one[1].model_copy(update={"pages": True}) for one in known if one]
        whole = known[0][0]
    elif any(one and one[1].id == source for one, source in zip(known, sources, strict=True)):
        raise UsageError(
            "Name two models of the exhibit, or two sources: they share what they are run on."
        )
    else:
        alone = [exhibit_of_one(one, given) for one in sources]
        specs, whole = _told_apart([one.models[0] for one in alone], sources), alone[0]
    pair = ComparisonSpec(before=specs[0].id, after=specs[1].id)
    title = f"{specs[0].name} and {specs[1].name}"
    about = f"What changed inside from {specs[0].name} to {specs[1].name}, measured."
    own = {"models": tuple(specs), "compare": (pair,), "writing": ""}
    return whole.model_copy(update={**own, "title": title, "description": about})


def _told_apart(specs: list[ModelSpec], sources: tuple[str, str]) -> list[ModelSpec]:
    """The entries with names of their own: what their sources end in, else which of the two each is."""
    if specs[0].id != specs[1].id:
        return specs
    ends = [re.split(r"[:/]", source.rstrip("/"))[-1] for source in sources]
    ids = [re.sub(r"[^a-z0-9]+", "-", end.lower()).strip("-")[:80] for end in ends]
    if ids[0] == ids[1] or not all(ids):
        ends = [f"{specs[0].title}, {which}" for which in ("before", "after")]
        ids = [f"{specs[0].id[:70]}-{which}" for which in ("before", "after")]
    named = zip(specs, ids, ends, strict=True)
    return [spec.model_copy(update={"id": own, "title": end}) for spec, own, end in named]


def exhibit_or_one(path: Path | None, model: str | None, given: Given) -> Exhibit:
    """An exhibit, or that of one source; what goes with a source is refused beside an exhibit."""
    if model is not None:
        if path is not None:
            raise UsageError("Give an exhibit or --model, not both.")
        return exhibit_of_one(model, given)
    if given.stated:
        raise UsageError(
            "--texts, --images, --pool, --passages, --architecture and --weights go with --model."
        )
    return load_exhibit(path or Path())


def model_of_exhibit(name: str, exhibit: Path | None) -> tuple[Exhibit, ModelSpec] | None:
    """The model that an exhibit knows by this id or source; None for a source of its own.

    A tower of a network of two is known by the id that it has on a site (clip-picture), too. Without
    `exhibit`, one in the working folder is looked at. Raises UsageError, with the nearest id, for a word that
    can be no source.
    """
    place = exhibit or (Path() if Path("exhibit.yml").is_file() else None)
    known = load_exhibit(place) if place is not None else None
    for spec in known.models if known else ():
        if name in (spec.id, spec.source) and known:
            return known, spec
        towers = [spec.tower(part) for part in PARTS if not spec.part]
        for tower in towers:
            if name == tower.id and known:
                return with_entry(known, spec, *towers), tower
    if not (":" in name or "/" in name or name.startswith((".", "~"))):
        if known is not None:
            known.model(name)
        raise UsageError(
            f"'{name}' names no model: there is no exhibit.yml in this folder whose model it could be.",
            hint=f"Name the exhibit with --exhibit, or write a source, such as timm:{name} or ./{name}.",
        )
    return None


def card_exhibit(
    source: str, exhibit: Path | None, given: Given, part: str = ""
) -> tuple[Exhibit, str]:
    """The exhibit that a card is made from, and the id of its model.

    `source` names a model of the exhibit by its id or its source; anything else is a source of its own.
    `part` is the tower that is meant of a network of two.
    Without `exhibit`, one in the working folder is looked at.
    """
    here = model_of_exhibit(source, exhibit)
    if here is not None:
        known, spec = here
        if given.stated:
            raise UsageError(f"'{spec.id}' is in the exhibit, which says what it is run on.")
        return of_part(known, spec, part)
    alone = exhibit_of_one(source, given)
    return of_part(alone, alone.models[0], part)


def of_part(exhibit: Exhibit, spec: ModelSpec, part: str) -> tuple[Exhibit, str]:
    """The exhibit with one tower in place of the whole network, and its id; as it is without `part`.

    Raises UsageError for a part that no network has.
    """
    if not part or spec.part == part:
        return exhibit, spec.id
    if part not in PARTS or spec.part:
        raise UsageError(
            f"part: '{part}' is no part of {spec.id}; of two towers, picture or text is."
        )
    tower = spec.tower(part)
    return with_entry(exhibit, spec, tower), tower.id


def with_entry(exhibit: Exhibit, old: ModelSpec, *new: ModelSpec) -> Exhibit:
    """The exhibit with other entries in place of one."""
    before = (one.id for one in exhibit.models)
    place = list(before).index(old.id)
    models = (*exhibit.models[:place], *new, *exhibit.models[place + 1 :])
    return exhibit.model_copy(update={"models": models})
