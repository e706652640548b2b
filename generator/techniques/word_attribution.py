"""Which words mattered: what each token of a text adds to an answer, and what is lost without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from generator.card_schema import Triple
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.formatting import percent
from generator.inputs.texts import CuratedText, readable
from generator.models.text_model import Encoding
from generator.probes.embedding import token_ids
from generator.probes.word_answers import Choice, Question, ask, ask_pair, written_choices
from generator.probes.word_attribution import (
    ADDS_UP,
    METHODS,
    WordAttribution,
    attribute_words,
)
from generator.run import PAIRS, TEXTS, Run, Section, Technique
from generator.table import Table
from generator.techniques.answers import ANSWERS
from generator.techniques.lit import lit_tokens
from generator.techniques.naming import Names, one_of
from generator.techniques.predictions import PREDICTIONS
from generator.techniques.word_views import (
    View,
    deletion_figure,
    measure_name,
    named,
    signed,
    view_of,
)

LONGEST = 64  # tokens: each is left out in turn
MOST = 2  # texts: each takes as long as a hundred passes or two
Found = Mapping[str, WordAttribution]


def why_not(run: Run) -> str:
    """Why no answer can be explained; "" where one can."""
    head = run.language.head if run.reads == TEXTS else None
    if head is None:
        return ""
    return (
        f"its answers are those of its head, {head.name}, which is left out: none can be explained."
    )


def measure(run: Run) -> Found:
    """Of the short texts that heads are silenced on the first, or those whose next token is surest, by id."""
    short = [name for name in texts_of(run) if len(_encoded(run, name).ids) <= LONGEST]
    names = short[: run.budget.ablate]
    if run.reads == TEXTS and run.language.head_kind == "next token":
        sure = {name: round(run[PREDICTIONS][name].guesses[0].score, 5) for name in names}
        names.sort(key=lambda name: -sure[name])
    names = names[:MOST]

    def of(name: str) -> WordAttribution:
        found = _attributed(run, name)
        run.step(f"{run.model.id}: words of {name}")
        return found

    return dict(zip(names, run.store.shared([partial(of, name) for name in names]), strict=True))


def _paraphrases(run: Run) -> Mapping[str, Triple]:
    """Sentences with a paraphrase each, for a model that has no words to answer with."""
    bare = run.reads == TEXTS and run.language.head_kind == "representation"
    return {one.id: one for one in run.inputs.pairs.paraphrases} if bare else {}


def texts_of(run: Run) -> Mapping[str, CuratedText]:
    """The texts whose words can be weighed, by their ids."""
    sentences = _paraphrases(run)
    if sentences:
        return {name: CuratedText(name, one.text, name, "") for name, one in sentences.items()}
    return {text.id: text for text in run.inputs.texts}


def _encoded(run: Run, name: str) -> Encoding:
    if run.reads == PAIRS:
        return run[ANSWERS][name].source
    return run.language.encode(texts_of(run)[name])


def _others(run: Run, name: str) -> Mapping[str, Encoding]:
    """What a model without words compares a text with: its paraphrase and its look-alike, or other texts."""
    sentences = _paraphrases(run)
    if not sentences:
        return run.encodings
    one, model = sentences[name], run.language
    return {each: model.encoding(token_ids(model, each), name) for each in (one.same, one.other)}


def _question(run: Run, name: str) -> Question:
    """What the model is asked about a text. Raises CutawayError where it has no answer."""
    if run.reads == PAIRS:
        pair = run[ANSWERS][name]
        question = ask_pair(run.pair, pair)
        return question.chosen(written_choices(question, pair))
    question = ask(run.language, _encoded(run, name), _others(run, name))
    return question.chosen(((0, 1),) if _paraphrases(run) else ())


def _attributed(run: Run, name: str, choices: Sequence[Choice] = ()) -> WordAttribution:
    """What each token of a text adds, to the model's own answers or to others."""

    def asked() -> Question:
        question = _question(run, name)
        return question.chosen(choices) if choices else question

    encoding = _encoded(run, name)
    depends: dict[str, object] = {
        "model": run.model.key,
        "choices": choices,
        "ids": list(encoding.ids),
    }
    if run.reads == PAIRS:
        depends["target"] = list(run[ANSWERS][name].written.ids)
    else:
        depends["head"] = run.language.head_kind
        depends["others"] = {key: list(one.ids) for key, one in _others(run, name).items()}
    return attribute_words(name, encoding.tokens, asked, depends, run.seed, run.store)


def _asked_for(run: Run, text: str, answer: str, rather: str, place: int) -> WordAttribution:
    """What a figure shows. Raises UsageError where there is nothing to show."""
    one_of("text", text, texts_of(run), f"{run.model.id} has no")
    choices: tuple[Choice, ...] = ()
    if answer or rather:
        question = _question(run, text)
        choices = _choices(question, answer, rather, place)
    found = _attributed(run, text, choices)
    if found.reason:
        raise UsageError(f"{run.model.id}: no words of '{text}' are weighed: {found.reason}")
    if not 0 <= place < len(found.answers):
        raise UsageError(f"'{text}' has answers 0 to {len(found.answers) - 1}, not {place}.")
    return found


def _choices(question: Question, answer: str, rather: str, place: int) -> tuple[Choice, ...]:
    found = list(question.choices)
    if not 0 <= place < len(found):
        raise UsageError(f"there are answers 0 to {len(found) - 1}, not {place}.")
    this, that = found[place]
    this = question.find(answer) if answer else this
    that = question.find(rather) if rather else (found[place][0] if this == that else that)
    if this == that:
        raise UsageError("an answer is explained rather than another one, not rather than itself.")
    found[place] = (this, that)
    return tuple(found)


def figure(
    run: Run,
    text: str,
    answer: str = "",
    rather: str = "",
    methods: Names = (),
    place: int = 0,
) -> Figure:
    """A text lit by what each token adds to the model's answer, or to `answer`, rather than to `rather`.

    `place` counts the tokens of an encoder-decoder's target. A sum that is far off is left out.
    """
    found = _asked_for(run, text, answer, rather, place)
    chosen = [METHODS.index(one_of("method", name, METHODS)) for name in methods or METHODS]
    contrast = int(bool(rather))
    gap = float(found.gap[place, contrast])
    if gap > ADDS_UP and chosen == [2]:
        raise UsageError(f"integrated gradients of '{text}' miss their sum by {percent(gap)}.")
    chosen = [method for method in chosen if method != 2 or not gap > ADDS_UP]
    rows, said = [], []
    for method in chosen:
        values = found.values[place, contrast, method]
        lit = lit_tokens(found.tokens, values, float(np.nanmax(np.abs(values))))
        rows.append((METHODS[method], tuple((one.space, one.text, one.value) for one in lit)))
        best = int(np.nanargmax(values))
        said.append(
            f"by {METHODS[method]} ‘{readable(found.tokens[best])}’ adds most "
            f"({signed(float(values[best]), found.unit)})"
        )
    what, told = measure_name(found, place, contrast), "; ".join(said)
    return published(
        "lit",
        {"rows": tuple(rows)},
        f"The text with every token lit by what it adds to {what}: {told}.",
        f"What each token adds to {what} in {run.model.title}: blue with a solid line for it, orange with a "
        f"dashed line against it, each row on its own scale. {told[:1].upper()}{told[1:]}.",
    )


def curves_figure(
    run: Run, text: str, answer: str = "", rather: str = "", place: int = 0
) -> Figure:
    """How far an answer falls as the tokens that add most are left out, beside random orders."""
    return deletion_figure(_asked_for(run, text, answer, rather, place), place, run.model.title)


def view(run: Run) -> View | None:
    """The page of words; None where nothing was measured."""
    found = run[WORDS]
    if all(one.reason for one in found.values()):
        return None
    return view_of(run, found, texts_of(run))


def tables(run: Run) -> Iterator[Table]:
    """What each token adds; and the area below each deletion curve, beside random orders."""
    found = [one for one in run[WORDS].values() if not one.reason]
    if found:
        yield Table("attributions.csv", lambda: (_VALUES, _value_rows(found)))
        yield Table("deletion.csv", lambda: (_AREAS, _area_rows(found)))


_VALUES = ("text", "answer", "rather_than", "method", "position", "token", "value")
_AREAS = (
    *("text", "answer", "rather_than", "method", "unit", "whole", "area", "area_random"),
    *("area_random_low", "area_random_high", "above_random", "baseline", "sum", "gap", "points"),
)


def _named(found: WordAttribution, place: int, contrast: int) -> tuple[str, str, str]:
    """The text, the answer, and the other where the measure is of both."""
    answer, other = named(found, place)
    return found.text, answer, other if contrast else ""


def _value_rows(every: Sequence[WordAttribution]) -> Iterator[Sequence[object]]:
    for found in every:
        for place, contrast, method, token in np.ndindex(found.values.shape):
            value = found.values[place, contrast, method, token]
            if np.isfinite(value):
                said = readable(found.tokens[token])
                yield (*_named(found, place, contrast), METHODS[method], token, said, value)


def _area_rows(every: Sequence[WordAttribution]) -> Iterator[Sequence[object]]:
    for found in every:
        for place, contrast, method in np.ndindex(found.area.shape):
            at, area = (place, contrast), found.area[place, contrast, method]
            random = found.random_area[at]
            summed = METHODS[method] == METHODS[2]
            checks = (found.baseline[at], found.total[at], found.gap[at], found.points)
            yield (
                *_named(found, *at), METHODS[method], found.unit, found.whole[at], area,
                random.mean(), random.min(), random.max(), int(area > random.max()),
                *(checks if summed else [""] * len(checks)),
            )  # fmt: skip


WORDS = Technique(
    name="words",
    title="Which words mattered",
    search="input attribution saliency leave-one-out erasure gradient integrated gradients contrastive words "
    "tokens deletion comprehensiveness faithfulness",
    reads=(TEXTS, PAIRS),
    why_not=why_not,
    measure=measure,
    figures={"word_attribution": figure, "deletion_curves": curves_figure},
    tables=tables,
    sections=(Section("words", "words", "words.html", view),),
)
