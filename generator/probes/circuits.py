"""What a head would do with a word alone, read off its weights (Elhage et al. 2021).

The OV circuit W_E W_V W_O W_U says which words a head makes more probable when it looks at a word; the
QK circuit W_E W_Q (W_E W_K)^T says which words look for which. Both follow the direct path only, as if
the embedding reached the head unchanged and nothing stood between the head and the logits: the deeper
the layer, the less that holds. Nothing is run; a head's input is its own norm of the embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.models.heads_access import HeadWeights, find_heads
from generator.models.stream import ResidualEnds, find_ends, scored_ends
from generator.models.text_model import Encoding, LanguageModel
from generator.models.tokens import token_text
from generator.store import Store, empty

VERSION = 1
TOP = 5
WORDS = 24
_SLAB = 8192  # rows of the embedding that are held in double precision at once
_LETTERS = 3


@dataclass(frozen=True)
class Copying:
    """Copying score of each head, (layers, heads), from -1 to 1; `reason` says why there is none.

    `unembedding` is "unembedding", or "input embeddings" where the model has no matrix that makes
    logits: then the score says whether a head writes back the embedding that it reads.
    """

    values: np.ndarray
    unembedding: str
    reason: str = ""


def measure_copying(model: LanguageModel, store: Store) -> Copying:
    """sum(lambda) / sum(abs(lambda)) over the eigenvalues of W_E W_V W_O W_U, for each head.

    Norms are folded in as linear maps: centring (layer norm only) and gain; the positive scale of
    each position is left out. All but d_head eigenvalues are zero: the others are those of the
    product turned round, W_O (W_U W_E) W_V, which is d_head x d_head.
    """

    def make() -> Copying:
        try:
            places, ends = find_heads(model), _ends(model)
        except CutawayError as error:
            return Copying(np.zeros((0, 0)), "", str(error))
        name = "input embeddings" if ends.unembedding is None else "unembedding"
        cross = _cross(model, ends)
        return Copying(np.stack([_copying(place, cross) for place in places]), name)

    return store.result("copying", VERSION, {"model": model.key}, Copying, make)


def _ends(model: LanguageModel) -> ResidualEnds:
    if find_ends(model).embedding is None:
        raise CutawayError(
            f"{model.id}: token embeddings have another width than the residual stream."
        )
    # An encoder has no words to say; a decoder has, and another matrix would not be what it says.
    return scored_ends(model)


def _copying(place: HeadWeights, cross: Tensor) -> np.ndarray:
    read = cross if place.norm is None else place.norm.fold(cross)
    product = place.output.double() @ read @ place.value.weight.double()
    return copying_score(product.cpu().numpy())


def copying_score(product: np.ndarray) -> np.ndarray:
    """sum(lambda) / sum(abs(lambda)) of square matrices (..., n, n); NaN for a zero matrix."""
    values = np.linalg.eigvals(product)
    size = np.abs(values).sum(-1)
    return np.divide(values.sum(-1).real, size, out=np.full(size.shape, np.nan), where=size > 0)


def _cross(model: LanguageModel, ends: ResidualEnds) -> Tensor:
    """W_U W_E, (width, width), in double precision, with the norms at both ends folded in."""
    total: Tensor | float = 0.0
    for ids in _vocabulary(model, ends):
        read = ends.words(ids).double()
        read = read if ends.embedding_norm is None else ends.embedding_norm.fold(read)
        total = total + written_words(ends, ids).t() @ read
    assert isinstance(total, Tensor)
    return total


def written_words(ends: ResidualEnds, ids: Tensor) -> Tensor:
    """The direction of the stream that speaks for each word, (words, width), in double precision.

    A row of W_U with the final norm folded in; without an unembedding, the word's own embedding.
    """
    if ends.unembedding is None:
        read = ends.words(ids).double()
        return read if ends.embedding_norm is None else ends.embedding_norm.fold(read)
    row = ends.unembedding[ids].double()
    if ends.final_norm is None:
        return row
    # Centring is symmetric: taking it from the stream or from the word is the same.
    return ends.final_norm.centre(row * ends.final_norm.gain.double())


def _vocabulary(model: LanguageModel, ends: ResidualEnds) -> Iterator[Tensor]:
    """All ids that can be read and written, in slabs."""
    rows = int(model.module.get_input_embeddings().weight.shape[0])  # type: ignore[operator]
    if ends.unembedding is not None:
        rows = min(rows, len(ends.unembedding))
    yield from torch.arange(rows, device=model.device).split(_SLAB)


@dataclass(frozen=True)
class Circuits:
    """OV and QK circuits of every head on a few words.

    `words` are the curated words. `written` (layers, heads, words, TOP) are the ids of the tokens whose
    logits a head raises most when it looks at a word, `raised` by how much, before the final norm's
    scale; `own_rank` (layers, heads, words) is the place of the word itself among all tokens, 1 for
    the first. `names` has the text of each written id. `pairs` (layers, heads, TOP, 2) are the query
    and the key, as places in `words`, that match best; `match` is their score less the mean score of
    the query over all words, as it enters the softmax. With rotary positions it is the score at
    distance 0. `unembedding` as for copying; `reason` and `why_no_pairs` say what there is not.
    """

    words: tuple[str, ...]
    written: np.ndarray = empty(0, 0, 0, 0)
    raised: np.ndarray = empty(0, 0, 0, 0)
    own_rank: np.ndarray = empty(0, 0, 0)
    names: Mapping[int, str] = field(default_factory=dict)
    pairs: np.ndarray = empty(0, 0, 0, 0)
    match: np.ndarray = empty(0, 0, 0)
    rotary: bool = False
    unembedding: str = ""
    reason: str = ""
    why_no_pairs: str = ""


def curated_words(encodings: Mapping[str, Encoding], count: int = WORDS) -> tuple[int, ...]:
    """Tokens of the texts that are words, at equal steps through them in order of appearance."""
    seen: dict[int, None] = {}
    for encoding in encodings.values():
        for token, name in zip(encoding.ids, encoding.tokens, strict=True):
            if len(name.strip()) >= _LETTERS and name.strip().isalpha():
                seen.setdefault(token)
    found = list(seen)
    places = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    return tuple(found[place] for place in places)


def measure_circuits(model: LanguageModel, words: Sequence[int], store: Store) -> Circuits:
    """OV and QK circuits of every head on the words with these ids."""

    def make() -> Circuits:
        names = tuple(token_text(model.tokenizer, word) for word in words)
        try:
            if not words:
                raise CutawayError(f"{model.id}: the texts hold no words.")
            return _circuits(model, names, torch.tensor(words, device=model.device))
        except CutawayError as error:
            return Circuits(names, reason=str(error), why_no_pairs=str(error))

    parts = {"model": model.key, "words": list(words), "top": TOP}
    return store.result("circuits", VERSION, parts, Circuits, make)


def _circuits(model: LanguageModel, words: tuple[str, ...], ids: Tensor) -> Circuits:
    places, ends = find_heads(model), _ends(model)
    vocabulary = torch.cat(list(_vocabulary(model, ends)))
    directions = torch.empty(len(vocabulary), places[0].output.shape[-1], device=model.device)
    for rows, part in zip(directions.split(_SLAB), vocabulary.split(_SLAB), strict=True):
        rows.copy_(written_words(ends, part))
    with torch.no_grad():
        stream = ends.embed(ids)
        found = [_written(place, stream, directions, ids) for place in places]
        pairs = [_pairs(place, stream) for place in places if place.query is not None]
    written, raised, ranks = (np.stack(part) for part in zip(*found, strict=True))
    whole = len(pairs) == len(places)
    none = np.zeros((0, 0, 0, 2), dtype=np.int64)
    queries = [place.query for place in places if place.query is not None]
    return Circuits(
        words=words,
        written=written,
        raised=raised,
        own_rank=ranks,
        names={int(i): token_text(model.tokenizer, int(i)) for i in np.unique(written)},
        pairs=np.stack([one[0] for one in pairs]) if whole else none,
        match=np.stack([one[1] for one in pairs]) if whole else none[..., 0].astype(float),
        rotary=any(query.rotated for query in queries),
        unembedding="input embeddings" if ends.unembedding is None else "unembedding",
        why_no_pairs="" if whole else next(place.why for place in places if place.why),
    )


def _written(
    place: HeadWeights, stream: Tensor, directions: Tensor, ids: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids (heads, words, TOP), effects, and ranks (heads, words) of the words themselves."""
    moved = place.value(place.normed(stream)) @ place.output  # (heads, words, width)
    top, effects, ranks = [], [], []
    for head in moved:
        raised = (head @ directions.t()).cpu()
        own = raised.gather(1, ids.cpu()[:, None])
        at, effect = strongest(raised, TOP)
        top.append(at)
        effects.append(effect)
        ranks.append((raised > own).sum(1).numpy() + 1)
    return np.stack(top), np.stack(effects), np.stack(ranks)


def strongest(values: Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of the largest entries of each row (rows, n): (rows, count) both.

    A last bit must not decide the order: values are rounded first, and ties go to the lowest place.
    """
    best, at = values.topk(min(4 * count, values.shape[-1]), dim=-1)
    found, places = best.double().cpu().numpy(), at.cpu().numpy()
    order = np.lexsort((places, -found.round(5)), axis=-1)[:, :count]
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(found, order, axis=1)


def _pairs(place: HeadWeights, stream: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Places (heads, TOP, 2) of the best (query, key), and by how much they match."""
    scores = qk_scores(place, stream)
    match = (scores - scores.mean(-1, keepdim=True)).flatten(1)
    at, best = strongest(match, TOP)
    return np.stack(np.unravel_index(at, scores.shape[1:]), axis=-1), best


def qk_scores(place: HeadWeights, stream: Tensor) -> Tensor:
    """What would enter the softmax for stream vectors (words, width): (heads, words, words)."""
    assert place.query is not None
    assert place.key is not None
    read = place.normed(stream)
    return place.query(read) @ place.key(read).transpose(1, 2) * place.scaling
