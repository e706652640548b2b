"""Two prompts that differ in one word, as a model reads them, and the token that each of them asks for.

A decoder reads a prompt up to its answer, and is asked for the next token; an encoder reads all of it with
the answer masked. What cannot be compared token by token is refused with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from generator.card_schema import ANSWER, SUBJECT, PromptPair
from generator.errors import CutawayError
from generator.models.text_model import LanguageModel
from generator.probes.embedding import token_ids

LONGEST = 40  # tokens: a grid of more positions is read by nobody, and costs their square


@dataclass(frozen=True)
class Prompts:
    """The `ids` of both prompts, the position `at` whose logits answer, and the token that each asks for."""

    ids: tuple[tuple[int, ...], tuple[int, ...]]
    at: int
    answers: tuple[int, int]

    @property
    def first(self) -> int:
        """The first position at which the prompts differ."""
        return next(place for place, (a, b) in enumerate(zip(*self.ids, strict=True)) if a != b)


def read_prompts(model: LanguageModel, pair: PromptPair) -> Prompts:
    """Both prompts as tokens.

    Raises CutawayError for prompts of different lengths, and where an answer is not one token.
    """
    words = zip(pair.subjects, pair.answers, strict=True)
    sides = [_read(model, pair.frame, subject, answer) for subject, answer in words]
    (one, at, answer), (other, at_other, answer_other) = sides
    if len(one) != len(other) or at != at_other:
        raise CutawayError(
            f"‘{pair.subjects[0]}’ and ‘{pair.subjects[1]}’ make prompts of {len(one)} and {len(other)} "
            "tokens, whose positions cannot be compared."
        )
    if len(one) > LONGEST:
        raise CutawayError(f"its prompts have {len(one)} tokens; patched are at most {LONGEST}.")
    if one == other or answer == answer_other:
        same = "prompts" if one == other else "answers"
        raise CutawayError(f"both {same} are the same tokens to this model.")
    return Prompts((one, other), at, (answer, answer_other))


def _read(
    model: LanguageModel, frame: str, subject: str, answer: str
) -> tuple[tuple[int, ...], int, int]:
    """The tokens of one prompt, the position that answers, and the token of the right answer."""
    text = frame.replace(SUBJECT, subject)
    if model.head_kind == "masked token":
        mask = model.tokenizer
        ids = token_ids(model, text.replace(ANSWER, mask.mask_token))
        if ids.count(mask.mask_token_id) != 1:
            raise CutawayError("its tokenizer makes more or less than one mask of the answer.")
        at = place = ids.index(mask.mask_token_id)
        whole, without = token_ids(model, text.replace(ANSWER, answer)), len(ids) - 1
    else:
        before = text.partition(ANSWER)[0]
        ids, whole = token_ids(model, before.rstrip()), token_ids(model, before + answer)
        at, place, without = len(ids) - 1, len(ids), len(ids)
    after = len(ids) - place - 1 if place < len(ids) else 0
    if whole[:place] != ids[:place] or whole[len(whole) - after :] != ids[len(ids) - after :]:
        raise CutawayError(f"with ‘{answer}’ its tokenizer cuts the other words into other tokens.")
    if len(whole) != without + 1:
        count = len(whole) - without
        raise CutawayError(f"‘{answer}’ is {count} tokens to this model, and one is needed.")
    return ids, at, whole[place]
