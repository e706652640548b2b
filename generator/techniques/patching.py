"""Which activations carry an answer: patched between the runs of two prompts that differ in a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from generator.addresses import Link
from generator.card_schema import ANSWER, SUBJECT, PromptPair
from generator.errors import UsageError
from generator.figures.figure import Figure, on_page
from generator.probes.patched_runs import ATTENTION, HEAD, MLP, PARTS, STREAM
from generator.probes.patching import LEAST, WAYS, Patching, patch
from generator.run import TEXTS, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques.links import layer_link
from generator.techniques.measured_stack import stack_named
from generator.techniques.naming import Names, one_of
from generator.techniques.patching_figure import HALF, drawn, held, token_label

Patched = tuple[Patching, ...]
MOST = {HEAD: 5, ATTENTION: 3, MLP: 3}
LITTLE = 0.005  # a share that would be printed as nothing


@dataclass(frozen=True)
class Place:
    """An activation, and what patching it does both ways."""

    part: str
    link: Link
    token: str
    restored: float
    destroyed: float


@dataclass(frozen=True)
class Prompt:
    """A prompt with the word that differs, its answer, how sure the model is, and the logit difference."""

    name: str
    before: str
    word: str
    after: str
    answer: str
    chance: float
    difference: float
    random: float


@dataclass(frozen=True)
class PairView:
    """One pair of prompts: what was patched and what came of it, or why nothing was."""

    pair: PromptPair
    found: Patching
    prompts: tuple[Prompt, ...]
    said: tuple[str, ...]
    figure: Figure | None
    places: tuple[Place, ...]


@dataclass(frozen=True)
class View:
    """The pairs that were patched, those that were refused, and the least difference."""

    pairs: tuple[PairView, ...]
    refused: tuple[PairView, ...]
    causal: bool
    lead: str
    description: str
    least: float = LEAST


def why_not(run: Run) -> str:
    """Whether the model names a token, and the exhibit has prompts that ask for one."""
    if run.language.head_kind == "representation":
        return "it names no token, and there is no answer of which a share could be restored."
    if not run.inputs.pairs.prompts:
        return (
            "the exhibit has no prompts that differ in one word ('prompts' in its file of pairs)."
        )
    return ""


def measure(run: Run) -> Patched:
    """Every pair of prompts; of random weights only the stream, where the trained network was patched."""
    pairs, how = run.inputs.pairs.prompts, partial(patch, run.language)
    if run.trained is not None:
        kept = {one.pair for one in run.trained[PATCHING] if not one.reason}
        pairs = tuple(pair for pair in pairs if pair.id in kept)
        how = partial(how, parts=(STREAM,), ways=WAYS[:1], known=False)
    asks = [partial(how, pair, run.store) for pair in pairs]
    found = tuple(run.store.shared(asks))
    run.step(f"{run.model.id}: patching")
    return found


def view(run: Run) -> View:
    """The page."""
    every, title = [_pair(run, *each) for each in _with_pairs(run)], run.model.title
    return View(
        pairs=tuple(one for one in every if not one.found.reason),
        refused=tuple(one for one in every if one.found.reason),
        causal=run.language.causal,
        lead=f"{title} reads two prompts that differ in one word. Which activation of the one, put into the "
        "other, brings its answer along?",
        description=f"Activation patching in {title}: the share of an answer that each layer, position and "
        "head carries over, both ways.",
    )


def _with_pairs(run: Run) -> Iterator[tuple[PromptPair, Patching]]:
    return zip(run.inputs.pairs.prompts, run[PATCHING], strict=True)


def _pair(run: Run, pair: PromptPair, found: Patching) -> PairView:
    twin = None if found.reason else _twin(run, found)
    return PairView(
        pair=pair,
        found=found,
        prompts=tuple(_prompt(pair, found, twin, side) for side in (0, 1)),
        said=() if twin is None else tuple(sentences(found, twin)),
        figure=None if found.reason else _on_page(run, pair, found),
        places=() if found.reason else tuple(_places(run, found)),
    )


def _twin(run: Run, found: Patching) -> Patching:
    """The same pair with random weights."""
    return next(one for one in run.control[PATCHING] if one.pair == found.pair)


def _prompt(pair: PromptPair, found: Patching, twin: Patching | None, side: int) -> Prompt:
    before, _, after = pair.frame.partition(SUBJECT)
    told = found.differences[side] if found.differences else float("nan")
    return Prompt(
        name=("Clean", "Corrupted")[side],
        before=before,
        word=pair.subjects[side],
        after=after.partition(ANSWER)[0].rstrip(),
        answer=pair.answers[side],
        chance=found.probabilities[side] if found.probabilities else float("nan"),
        difference=told,
        random=twin.differences[side] if twin and twin.differences else float("nan"),
    )


def sentences(found: Patching, twin: Patching) -> Iterator[str]:
    """Until where the word, and from where the token that answers, holds more than half; both, or nothing."""
    stream = found.shares[STREAM][0]
    word, answers = stream[:, found.first] > HALF, stream[:, found.at] > HALF
    until, since = held(found), len(answers) - int(answers.sum())
    if found.first == found.at or word.sum() != until + 1 or not answers[since:].any():
        return
    if not answers[since:].all():  # there and back again
        return
    here, there = (token_label(found, place) for place in (found.first, found.at))
    yield (
        f"Up to what enters layer {until} more than half of the answer is restored at ‘{here}’; from layer "
        f"{since} on at ‘{there}’, the token that answers."
    )
    if not twin.reason:
        yield f"With random weights the first of these holds up to layer {held(twin)}."


def _places(run: Run, found: Patching) -> Iterator[Place]:
    """The heads, the attention outputs and the MLP outputs that restore most."""
    heads = stack_named(run.model)
    for part, most in MOST.items():
        shares = found.shares.get(part, np.zeros((2, 0, 0)))
        for flat in np.argsort(-shares[0].round(6), axis=None, kind="stable")[:most]:
            layer, index = (int(i) for i in np.unravel_index(flat, shares[0].shape))
            if shares[0][layer, index] < LITTLE:
                break
            link = (
                heads.link(layer, index)
                if part == HEAD
                else layer_link(run.model, run.model.layers[layer])
            )
            token = "" if part == HEAD else token_label(found, index)
            yield Place(part, link, token, *(float(way[layer, index]) for way in shares))


def _on_page(run: Run, pair: PromptPair, found: Patching) -> Figure:
    path = f"{run.folder}/patching/{pair.id}.webp"
    return on_page(drawn(run.language, pair, found, PARTS, WAYS), path, "patching")


def figure(run: Run, pair: str = "", parts: Names = (), ways: Names = ()) -> Figure:
    """What patching each activation of a pair of prompts restores (denoising) or destroys (noising).

    `parts` are "stream", "attention", "mlp" and "head", `ways` "denoising" and "noising"; all if left out.
    """
    known = {one.id: (one, found) for one, found in _with_pairs(run)}
    chosen, found = known[one_of("pair", pair or next(iter(known)), known, "the exhibit has no")]
    if found.reason:
        raise UsageError(f"{run.model.id}: '{chosen.id}' was not patched. {found.reason}")
    asked = tuple(one_of("part", one, PARTS, "there is no") for one in parts) or PARTS
    sought = tuple(one_of("way", one, WAYS, "there is no") for one in ways) or WAYS
    missing = [one for one in asked if one not in found.shares]
    if parts and missing:
        raise UsageError(
            f"{run.model.id}: '{missing[0]}' was not patched. {' '.join(found.without)}"
        )
    return drawn(run.language, chosen, found, asked, sought)


def tables(run: Run) -> Iterator[Table]:
    """The pairs, and every activation with what it restores and destroys."""
    yield Table("patching_pairs.csv", lambda: _pair_rows(run))
    if any(not one.reason for one in run[PATCHING]):
        yield Table("patching.csv", lambda: _rows(run))


def _pair_rows(run: Run) -> Content:
    """Each pair: its prompts and answers, how sure the model is, and the logit differences."""
    header = (
        "pair", "clean", "corrupted", "answer", "wrong_answer", "tokens", "clean_difference",
        "corrupted_difference", "clean_probability", "corrupted_probability", "random_clean_difference",
        "random_corrupted_difference", "reason",
    )  # fmt: skip
    rows = []
    for pair, found in _with_pairs(run):
        twin = None if found.reason else _twin(run, found)
        nan = (float("nan"),) * 2
        told = (
            *(found.differences or nan),
            *(found.probabilities or nan),
            *((twin and twin.differences) or nan),
        )
        count = len(found.tokens[0]) if found.tokens else ""
        rows.append((pair.id, *pair.subjects, *pair.answers, count, *told, found.reason))
    return header, rows


def _rows(run: Run) -> Content:
    """Every patched activation; what cannot change in a decoder is left out."""
    rows: list[tuple[Any, ...]] = []
    for _, found in _with_pairs(run):
        if found.reason:
            continue
        twin = _twin(run, found).shares
        for part, shares in found.shares.items():
            start = found.first if run.language.causal and part != HEAD else 0
            for layer, index in np.ndindex(shares[0].shape):
                if index < start:
                    continue
                place = ("", "", index) if part == HEAD else (index, token_label(found, index), "")
                random = twin[part][0, layer, index] if part in twin else float("nan")
                rows.append((found.pair, part, layer, *place, *shares[:, layer, index], random))
    header = (
        "pair",
        "part",
        "layer",
        "position",
        "token",
        "head",
        "restored",
        "destroyed",
        "random_restored",
    )
    return header, rows


PATCHING = Technique(
    name="patching",
    title="Activation patching",
    search="activation patching causal tracing denoising noising interchange fact recall circuit",
    reads=TEXTS,
    why_not=why_not,
    controlled=True,
    measure=measure,
    figures={"patching": figure},
    tables=tables,
    sections=(Section("patching", "patching", "patching.html", view),),
)
