"""Figures of what heads do beyond where they look: readings, rollout, decoding, ablation, circuits."""

from __future__ import annotations

import numpy as np

from generator.articles.catalogue import Catalogue, head_of
from generator.articles.kinds_heads import highest
from generator.articles.named_heads import measured_heads, named_heads, statistic_of
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.formatting import number, percent
from generator.inputs.texts import readable
from generator.models.stacks import ONLY, PATCHES
from generator.pages.worked import three_words, token_steps
from generator.plates.text import readings as readings_of
from generator.probes.ablation_words import LOGIT, TARGET
from generator.probes.decoding import LogitLens, attribute_logit, logit_lens
from generator.probes.norms import rollout as rolled_out
from generator.probes.patch_ablation import SPAN
from generator.probes.queries import work_through
from generator.techniques.naming import Names, Numbers, layer_of, one_of

_SPANS = ("text", "first", "second")
_UNITS = {"loss": "nats a token", TARGET: "nats a token", LOGIT: "logits of the class"}
_POSITIONS, _ROWS = 12, 16


def readings(catalogue: Catalogue, model: str, layer: int, heads: Numbers = ()) -> Figure:
    """Heads of a layer on the first text, read in several ways, one below the other."""
    findings = catalogue.about_texts(model)
    row = layer_of(findings.model, layer).index
    chosen = [head_of(findings.model, head) for head in heads] or list(range(findings.model.heads))
    maps = readings_of(findings)
    names = tuple(ONLY.head(row, head) for head in chosen)
    values = np.concatenate([one[row, chosen] for one in maps.values()]).astype(np.float32)
    ways = ", ".join(maps)
    return published(
        "attention_grid",
        {
            "titles": names * len(maps),
            "weights": values,
            "causal": findings.model.causal,
            "rows": tuple(maps),
            "columns": len(chosen),
        },
        f"Attention maps of {len(chosen)} heads of layer {row} on one text, read in {len(maps)} "
        f"ways: {ways}.",
        f"Heads of layer {row} on “{findings.texts[0].text}”, read in {len(maps)} ways ({ways}). "
        "Weighted maps are "
        "drawn up to their own largest entry.",
    )


def rollout(catalogue: Catalogue, model: str, text: str = "", layers: Numbers = ()) -> Figure:
    """Attention followed through the layers: the share of each input token in each position."""
    network = catalogue.language(model)
    name = text or catalogue.run(model).inputs.texts[0].id
    attention = catalogue.attention(model, name)
    followed = rolled_out(attention.weights)
    count = len(followed)
    spread = sorted({0, count // 8, count // 4, count - 1})
    chosen = [layer_of(network, layer).index for layer in layers] or spread
    first = float(followed[chosen[-1]][-1, 0])
    return published(
        "attention_grid",
        {
            "titles": tuple(f"after layer {layer}" for layer in chosen),
            "weights": followed[chosen].astype(np.float32),
            "causal": attention.causal,
            "tokens": tuple(readable(token) for token in attention.tokens),
        },
        f"Attention rollout on {len(attention.tokens)} tokens behind {len(chosen)} layers; "
        "after layer "
        f"{chosen[-1]} the first token has a share of {percent(first)} in the last position.",
        f"Attention rollout (Abnar & Zuidema 2020) of {network.title}: the share of each input "
        "token in each "
        "position, if layers did nothing but mix. Rows are positions, columns input tokens.",
    )


def context_steps(
    catalogue: Catalogue,
    model: str = "",
    text: str = "",
    layer: int = -1,
    head: int = -1,
    token: int = -1,
) -> Figure:
    """One token through one head: scores, weights, what each key adds. Without a model, three words."""
    if not model:
        return _three_words()
    findings = catalogue.about_texts(model)
    worked = findings.worked
    place = worked.token if worked else 0
    if text or layer >= 0 or head >= 0:
        chosen = catalogue.text(model, text or findings.texts[0].id)
        row, column = layer_of(findings.model, layer).index, head_of(findings.model, head)
        steps, place = work_through(findings.model, chosen, row, column, catalogue.store), token
    elif worked is None:
        raise UsageError(f"no head of {model} can be followed step by step.")
    else:
        steps = worked.steps
    every = token_steps(steps)
    if token >= len(every):
        raise UsageError(f"the text has the tokens 0 to {len(every) - 1}, not {token}.")
    one = every[token if token >= 0 else place]
    name, best = ONLY.head(steps.layer, steps.head), max(one.rows, key=lambda row: row.weight)
    return published(
        "context",
        {
            "tokens": tuple(row.token for row in one.rows),
            "scores": np.array([row.score for row in one.rows]),
            "weights": np.array([row.weight for row in one.rows]),
            "shares": np.array([row.share for row in one.rows]),
            "looks": one.token,
        },
        f"Three rows of bars for the token ‘{one.token}’ in {name}: scores, weights, and weight "
        "times the length of "
        f"the value. ‘{best.token}’ gets {percent(best.weight)} of the weight.",
        f"‘{one.token}’ through {name} of {findings.model.title}: the score of each key it can "
        "see, the weights "
        f"after the softmax, and what each value adds. ‘{best.token}’ gets "
        f"{percent(best.weight)} of the weight.",
    )


def _three_words() -> Figure:
    words = three_words()
    one = words[1]
    return published(
        "arrows",
        {
            "names": tuple(word.word for word in words),
            "vectors": np.array([word.vector for word in words]),
            "moved": np.array(one.moved),
            "called": f"{one.word}′",
        },
        f"Three arrows for the words {', '.join(word.word for word in words)}, and a fourth for "
        f"{one.word} after "
        f"attention: the cosine of the angle between both is {number(one.cosine)}.",
        f"‘{one.word}’ and what it becomes: a mixture of three words, weighted by how similar "
        "they are to it.",
    )


def logit_lens_of(
    catalogue: Catalogue, model: str, text: str, positions: Numbers = (), rows: int = _ROWS
) -> Figure:
    """The likeliest next token after each layer at each position of a text."""
    network = catalogue.language(model)
    encoding = network.encode(catalogue.text(model, text))
    found = logit_lens(network, text, encoding, catalogue.store)
    if found.reason:
        raise UsageError(f"{model} has no logit lens: {found.reason}")
    length = len(encoding.tokens)
    chosen = list(positions) or list(range(max(0, length - _POSITIONS), length))
    for place in chosen:
        if not 0 <= place < length:
            raise UsageError(f"'{text}' has the positions 0 to {length - 1}, not {place}.")
    depth = len(found.tokens)
    shown_rows = np.unique(np.linspace(0, depth - 1, min(rows, depth)).round().astype(int))[::-1]
    answer = readable(found.tokens[-1][chosen[-1]][0])
    return published(
        "lens",
        {
            "inputs": tuple(readable(encoding.tokens[place]) for place in chosen),
            "layers": tuple(_row_name(int(row)) for row in shown_rows),
            "guesses": tuple(
                tuple(readable(found.tokens[int(row)][place][0]) for place in chosen)
                for row in shown_rows
            ),
            "probability": found.probabilities[shown_rows][:, chosen, 0],
        },
        f"A table of {len(shown_rows)} rows and {len(chosen)} positions with the likeliest next "
        "token behind each "
        f"layer; at the last position it ends at ‘{answer}’ ({_sure(found, chosen[-1])}).",
        f"The logit lens of {network.title}: the likeliest next token after each layer "
        "(nostalgebraist 2020), "
        f"coloured by its probability. At the last position the answer is ‘{answer}’ "
        f"({_sure(found, chosen[-1])}).",
    )


def _sure(found: LogitLens, place: int) -> str:
    return percent(float(found.final_probability[-1, place]))


def _row_name(row: int) -> str:
    return "embedding" if row == 0 else f"layer {row - 1}"


def logit_attribution(catalogue: Catalogue, model: str, text: str) -> Figure:
    """What each head and MLP wrote towards the token that is predicted behind a text."""
    network = catalogue.language(model)
    encoding = network.encode(catalogue.text(model, text))
    found = attribute_logit(network, text, encoding, catalogue.store)
    shares = found.above_mean
    if shares is None:
        raise UsageError(f"{model} has no logit attribution: {found.reason}")
    best = highest(shares.heads)
    token = readable(found.token)
    said = f"{ONLY.head(*best)} writes most of all heads, {number(float(shares.heads[best]), 2)}"
    return published(
        "shares",
        {"heads": shares.heads, "mlps": shares.mlps},
        f"Heatmap of what {shares.heads.size} heads and bars of what {len(shares.mlps)} MLPs "
        f"wrote towards ‘{token}’; "
        f"{said}.",
        f"Direct logit attribution of ‘{token}’, the next token of {network.title} after this "
        "text, over the mean "
        f"logit of all tokens: blue for it, orange against it. {said}.",
    )


def ablation(
    catalogue: Catalogue,
    model: str,
    statistic: str = "",
    on: str = "",
    heads: Names = (),
    stack: str = "",
) -> Figure:
    """A statistic of all heads against what silencing each costs, on texts or on repeated tokens.

    `on` is "text", or "first" or "second": the copies of random tokens that are repeated. In an
    encoder-decoder heads are silenced on texts only, those of one `stack`, in a vision transformer on
    pictures.
    """
    about, known = measured_heads(catalogue, model, stack), named_heads(catalogue, model, stack)
    name = statistic or about.telling_axes[1]
    over = statistic_of(about, name)
    alone = not about.several and about.named is not None  # read on its own repeated tokens too
    repeated = alone and name in {"induction", "duplicate_token"}
    spans = _SPANS if alone else _SPANS[:1]
    span = one_of("span", on or ("second" if repeated else "text"), spans, f"{model} has no")
    found = about.ablation if span == "text" else about.repeats
    if found.reason:
        raise UsageError(f"no head of {model} was silenced: {found.reason}")
    effect = found.statistic(SPAN if about.stack is PATCHES else span).mean
    named = [known.place(head) for head in heads]
    best = highest(over.mean)
    unit = _UNITS.get(about.measure, "1 − cosine similarity")
    where = {
        "text": "pictures" if about.stack is PATCHES else "texts",
        "first": "the first copy",
        "second": "the second copy",
    }[span]
    title = about.definitions[name].name.lower()
    ranks = np.corrcoef(_ranks(over.mean), _ranks(effect))[0, 1]
    said = (
        f"{known.name(*best)} is highest in {title} ({number(float(over.mean[best]))}); silencing "
        f"it changes {number(float(effect[best]))} {unit}"
    )
    kind = f"{known.stack.title.lower()} heads".strip()
    return published(
        "head_scatter",
        {
            "labels": (title, f"effect of silencing on {where}, {unit}"),
            "x": over.mean,
            "y": effect,
            "groups": tuple(about.role(*at) for at in about.places),
            "order": tuple(rule.role for rule in about.rules),
            "named": tuple(named or [best]),
            "letter": known.stack.letter,
        },
        f"Scatter plot of {effect.size} heads: {title} to the right, the effect of silencing "
        f"upwards. {said}.",
        f"{title.capitalize()} of each of the {effect.size} {kind} of {known.title}, and what "
        f"silencing it costs on {where}. {said}. Rank correlation over all heads: "
        f"{number(float(ranks), 2)}.",
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.argsort(np.argsort(values.ravel().round(9), kind="stable"), kind="stable"))


def circuits(catalogue: Catalogue, model: str, layer: int, head: int, words: int = 10) -> Figure:
    """What a head writes when it looks at a word, read off its weights."""
    findings = catalogue.about_texts(model)
    row, column = layer_of(findings.model, layer).index, head_of(findings.model, head)
    found, name = findings.heads.circuits, ONLY.head(row, column)
    if found.reason:
        raise UsageError(f"{model} has no circuits: {found.reason}")
    ranks = found.own_rank[row, column]
    chosen = range(min(words, len(found.words)))
    written = found.written[row, column]
    copies = int((ranks[: len(chosen)] <= 5).sum())
    return published(
        "words",
        {
            "header": ("looks at", "makes more likely, strongest first", "its own rank"),
            "rows": tuple(
                (
                    readable(found.words[word]),
                    tuple(readable(found.names[int(i)]) for i in written[word]),
                    f"{int(ranks[word]):,}",
                )
                for word in chosen
            ),
        },
        f"A table of {len(chosen)} words and the tokens that {name} makes more likely when it "
        "looks at each; "
        f"{copies} of the words are among the five strongest themselves.",
        f"The OV circuit of {name}: which tokens it makes more likely when it looks at a word "
        "(direct path only), "
        f"and the rank of the word itself. {copies} of {len(chosen)} words are among their own five.",
    )
