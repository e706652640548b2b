"""A transformer that takes one text as a graph: attention of every head, and what it would say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.live.graph import Graph, export
from generator.live.vectors import add_vectors, vector_scales
from generator.models.dispatch import first_tensor, hooks
from generator.models.stream import ResidualEnds, find_ends
from generator.models.text_model import LanguageModel

VERSION = 1
LIMIT = 96  # tokens: where the views of attention turn to windows
NEXT, MASKED = "next", "masked"
ATTENTION, LOGITS, LENS = "attention", "logits", "lens"
IDS, PLACE = "ids", "place"
_EXAMPLE = 12  # tokens of the pass that is recorded


@dataclass(frozen=True, eq=False)
class TextGraph:
    """A graph of a transformer, and what it answers with: NEXT, MASKED or "" for no words.

    Its input IDS is (1, tokens) int64. Outputs are ATTENTION (layers, heads, queries, keys), and where there
    are answers LOGITS (vocabulary): of the last token, or of the one whose number the input PLACE (1,) says.
    `lens` says whether there is LENS, (layers + 1, vocabulary) of the last token. `limit` is how many
    tokens a text may have. `scales` are the factors from q · k to the scores of each layer where these are
    outputs too (`vectors.py`), else none.
    """

    graph: Graph
    answers: str
    lens: bool
    limit: int
    scales: tuple[float, ...]


def text_graph(model: LanguageModel) -> TextGraph:
    """The graph of a transformer that takes one text. Raises CutawayError with the reason for none."""
    answers = {"next token": NEXT, "masked token": MASKED}.get(model.head_kind, "")
    ends = _ends(model)
    limit = min(LIMIT, model.max_tokens)
    shown = torch.arange(1, min(_EXAMPLE, limit) + 1, device=model.device)[None]
    rows = int(model.module.get_input_embeddings().weight.shape[0])  # type: ignore[operator]
    inputs: tuple[Tensor, ...] = (shown % rows,)
    names: tuple[str, ...] = (IDS,)
    dynamic: tuple[Any, ...] = ({1: torch.export.Dim("tokens", min=1, max=limit)},)
    if answers == MASKED:
        inputs, names = (
            (*inputs, torch.zeros(1, dtype=torch.int64, device=model.device)),
            (IDS, PLACE),
        )
        dynamic = (*dynamic, {})
    reader = _Reader(model, answers, ends)
    outputs = (ATTENTION, *([LOGITS] if answers else []), *([] if ends is None else [LENS]))
    graph = export(reader, inputs, names, outputs, dynamic)
    scales = vector_scales(model, tuple(inputs[0][0].tolist()))
    shows = bool(scales) and add_vectors(graph, len(model.blocks))
    return TextGraph(graph, answers, ends is not None, limit, scales if shows else ())


def _ends(model: LanguageModel) -> ResidualEnds | None:
    """What the logit lens reads a stream off with; None where the site has no lens."""
    if not model.causal:
        return None
    try:
        ends = find_ends(model)
    except CutawayError:
        return None
    return ends if ends.unembedding is not None else None


class _Reader(nn.Module):
    """The network with what is looked at as its outputs."""

    def __init__(self, model: LanguageModel, answers: str, ends: ResidualEnds | None) -> None:
        super().__init__()
        self.network = model.module
        self._model, self._answers, self._ends = model, answers, ends
        # Keys and values would be kept for no one.
        self._more = {"use_cache": False} if model.causal else {}

    def forward(self, ids: Tensor, place: Tensor | None = None) -> tuple[Tensor, ...]:
        streams: list[Tensor] = []
        with hooks(self._listening(streams)):
            made = self.network(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                output_attentions=True,
                return_dict=True,
                **self._more,
            )
        weights = torch.cat([one for one in made.attentions if one is not None])
        if self._model.sinks:
            weights = weights / weights.sum(-1, keepdim=True)
        found = [weights]
        if self._answers:
            at = -1 if place is None else place
            found.append(made.logits[0, at].flatten())
        if self._ends is not None:
            found.append(
                self._ends.logits(self._ends.finish(torch.cat([one[0, -1:] for one in streams])))
            )
        return tuple(found)

    def _listening(self, streams: list[Tensor]) -> list[Any]:
        """Hooks that gather what enters the first block and what leaves each."""
        if self._ends is None:
            return []

        def enter(_module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            taken = first_tensor((*args, *named.values()))
            assert taken is not None
            streams.append(taken.clone())

        def leave(_module: nn.Module, _args: Any, output: Any) -> None:
            made = first_tensor(output)
            assert made is not None
            streams.append(made.clone())

        blocks = self._model.blocks
        first = blocks[0].register_forward_pre_hook(enter, with_kwargs=True)
        return [first, *(block.register_forward_hook(leave) for block in blocks)]
