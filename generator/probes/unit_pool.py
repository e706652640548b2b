"""The units of a model that reads, over a pool of passages: what excites them, and which names hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.inputs.passages import Passage
from generator.inputs.token_classes import token_classes
from generator.models.text_model import TextModel
from generator.models.token_units import counted_tokens
from generator.models.tokens import embedding_rows, token_text
from generator.probes.unit_names import Labels, Names, halves, name_units, one_hot
from generator.probes.unit_pass import Read, Scope
from generator.probes.unit_search import LayerUnits, search_units

VERSION = 2
MOST = 64  # tokens of a passage that are read
TESTED, SAMPLED = 512, 4  # passages that names are tested on, and tokens of each


@dataclass(frozen=True)
class PoolUnits:
    """Units of all layers, and their names by token (`tokens`) and by passage (`kinds`)."""

    layers: tuple[LayerUnits, ...]
    tokens: Names
    kinds: Names


def read_passages(model: TextModel, passages: Sequence[Passage]) -> tuple[Read, ...]:
    """Passages as the model reads them, cut to MOST tokens; SAMPLED tokens of TESTED of them are sampled."""
    tested = {int(one) for one in np.linspace(0, len(passages) - 1, TESTED)}
    whole = [_ids(model, passage) for passage in passages]
    classes = [token_classes(each, spaced(model)) for each in map(partial(_texts, model), whole)]
    totals: Counter[str] = Counter()
    for each in classes:
        totals.update({name: int(marks.sum()) for name, marks in each.items()})
    found = []
    for number, (passage, ids, of) in enumerate(zip(passages, whole, classes, strict=True)):
        places = _sampled(counted_tokens(model, ids), of, totals) if number in tested else ()
        found.append(Read(passage.id, ids, places))
    return tuple(found)


def _ids(model: TextModel, passage: Passage) -> tuple[int, ...]:
    ids = model.tokenizer(passage.text)["input_ids"]
    return tuple(int(one) for one in ids)[: min(MOST, model.max_tokens)]


def readable(model: TextModel, passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """The passages that a model reads at all: with tokens, each of which it has an embedding of."""
    rows = embedding_rows(model.module)
    read = [(one, _ids(model, one)) for one in passages]
    return tuple(one for one, ids in read if ids and max(ids) < rows)


def spaced(model: TextModel) -> bool:
    """Whether a tokenizer keeps the space before a word, which a passage in Chinese could not tell."""
    ids = model.tokenizer("a word and another")["input_ids"]
    return any(one.startswith(" ") for one in _texts(model, [int(i) for i in ids]))


def _texts(model: TextModel, ids: Sequence[int]) -> list[str]:
    return [token_text(model.tokenizer, one) for one in ids]


def _sampled(
    counted: Sequence[bool], classes: Mapping[str, np.ndarray], totals: Mapping[str, int]
) -> tuple[int, ...]:
    """Tokens of a passage, one of each class, by its rarest in the pool, before a second one of any."""
    every = range(len(counted))
    marked = [[totals[name] for name, marks in classes.items() if marks[n]] for n in every]
    rarity = [min(each, default=max(totals.values(), default=0)) for each in marked]
    seen: Counter[int] = Counter()
    order = []
    for place in np.flatnonzero(counted).tolist():
        order.append((seen[rarity[place]], rarity[place], place))
        seen[rarity[place]] += 1
    return tuple(sorted(place for _, _, place in sorted(order)[:SAMPLED]))


def find_units(
    scope: Scope, passages: Sequence[Passage], seed: int, step: Callable[[str], None]
) -> PoolUnits:
    """Search the pool, whose `passages` the scope has as read, for all units and test their names."""
    model, read = scope.model, scope.passages

    def make() -> PoolUnits:
        found = search_units(scope, step)
        tested = [n for n, one in enumerate(read) if one.sampled]
        shown = [passages[n] for n in tested]
        turns = halves([f"{one.kind} {one.language}" for one in shown])
        tokens = name_units(found.sampled, _of_tokens(model, read, tested, turns), seed)
        kinds = name_units(found.peaks, _of_passages(shown, turns), seed)
        return PoolUnits(found.layers, tokens, kinds)

    parts = {
        **scope.parts,
        "passages": [[list(one.ids), list(one.sampled)] for one in read],
        "labels": [[one.kind, one.language] for one in passages],
        "chosen": {name: list(units) for name, units in scope.chosen.items()},
        "seed": seed,
    }
    return scope.store.result("pool_units", VERSION, parts, PoolUnits, make)


def _of_tokens(
    model: TextModel, read: Sequence[Read], tested: Sequence[int], turns: np.ndarray
) -> Labels:
    """Classes of the sampled tokens; each passage is a block."""
    rows, half, blocks, keeps_spaces = [], [], [], spaced(model)
    names: tuple[str, ...] = ()
    for number, turn in zip(tested, turns, strict=True):
        one = read[number]
        classes = token_classes(_texts(model, one.ids), keeps_spaces)
        names = tuple(classes)
        rows.append(np.stack([classes[name] for name in names], 1)[list(one.sampled)])
        half += [turn] * len(one.sampled)
        blocks += [number] * len(one.sampled)
    if not rows:
        return Labels((), np.zeros((0, 0), dtype=bool), np.zeros(0, dtype=bool), np.zeros(0))
    return Labels(names, np.concatenate(rows).astype(bool), np.array(half), np.array(blocks))


def _of_passages(passages: Sequence[Passage], turns: np.ndarray) -> Labels:
    """Kinds and languages of passages."""
    kinds, of_kind = one_hot([one.kind for one in passages])
    languages, of_language = one_hot([one.language for one in passages])
    new = [n for n, name in enumerate(languages) if name not in kinds]
    classes = np.concatenate(
        [of_kind.reshape(len(passages), -1), of_language.reshape(len(passages), -1)[:, new]], 1
    )
    names = (*kinds, *(f"language {languages[n]}" for n in new))
    return Labels(names, classes, turns, np.zeros(len(passages), dtype=np.int64))
