"""What a folder states of a text model beside its layers: how it makes one vector, its classifier's head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from generator.files import stated_in
from generator.models.trial import LeftOut

# What a head gives a label to, by the end of its class's name.
_GIVES = {"ForSequenceClassification": "a text", "ForTokenClassification": "each token"}
_PROBLEMS = {
    "regression": "a number for each label (regression)",
    "single_label_classification": "one label of all",
    "multi_label_classification": "any number of labels at once",
}
_LISTED = 8


@dataclass(frozen=True)
class TextHead:
    """The head that a configuration names, what it gives a label to, and its labels in order.

    `problem_type` is as stated, "" where it is not; `named` is False where labels have numbers alone.
    """

    name: str
    gives: str
    labels: tuple[str, ...]
    named: bool
    problem_type: str

    @property
    def labels_text(self) -> str:
        """Its labels in words."""
        count = len(self.labels)
        if not self.named:
            return f"{count:,}, not named"
        if count > _LISTED:
            return f"{count:,}, from {self.labels[0]} to {self.labels[-1]}"
        return ", ".join(self.labels)

    @property
    def problem_text(self) -> str:
        """What an answer is, in words."""
        return _PROBLEMS.get(self.problem_type, self.problem_type or "not stated")

    @property
    def left_out(self) -> LeftOut:
        """That it is not shown, and why."""
        return LeftOut(
            "its classification head",
            f"{self.name} labels {self.gives} ({self.labels_text}); pages are about the layers below it, and "
            "state none of its answers",
        )


def stated_head(config: Any) -> TextHead | None:
    """The head of a classifier as its configuration states it; None for any other network."""
    name = str((getattr(config, "architectures", None) or [""])[0])
    gives = next((what for end, what in _GIVES.items() if name.endswith(end)), "")
    stated = getattr(config, "id2label", None)
    if not gives or not stated:
        return None
    ordered = sorted((int(number), str(label)) for number, label in stated.items())
    labels = tuple(label for _, label in ordered)
    named = any(label != f"LABEL_{number}" for number, label in ordered)
    return TextHead(name, gives, labels, named, str(config.problem_type or ""))


MEAN, CLS, LARGEST, LAST = "mean", "cls", "max", "lasttoken"
# What a sentence's vector is, in words.
VECTORS = {
    MEAN: "means over all tokens of the final representation",
    CLS: "the final representations of the first token",
    LARGEST: "the maxima over all tokens of the final representation",
    LAST: "the final representations of the last token",
}


def pooled(states: Tensor, way: str) -> Tensor:
    """The vector (width,) of a sentence, special tokens included, of its final states (tokens, width)."""
    if way == CLS:
        return states[0]
    if way == LAST:
        return states[-1]
    return states.amax(0) if way == LARGEST else states.mean(0)


def stated_pooling(folder: Path) -> tuple[str, tuple[str, ...]]:
    """The way that a folder states, and a note where that is not the mean; the mean where it states none."""
    ways = _ways(folder)
    if ways in ((), (MEAN,)):
        return MEAN, ()
    way = ways[0] if len(ways) == 1 and ways[0] in VECTORS else MEAN
    where = f"Its folder (1_Pooling) makes a sentence's vector of: {', '.join(ways)}"
    done = "and so do these pages" if way != MEAN else "which is not done here"
    return way, (f"{where}; {done}: vectors of sentences are {VECTORS[way]}.",)


def _ways(folder: Path) -> tuple[str, ...]:
    """The names in sentence-transformers' file, in its older form or the one since its release 5.4."""
    stated = stated_in(folder / "1_Pooling" / "config.json")
    newer = stated.get("pooling_mode")
    if newer:
        return tuple(map(str, newer)) if isinstance(newer, list) else (str(newer),)
    older = [name for name, on in stated.items() if on is True and name.startswith("pooling_mode_")]
    return tuple(
        name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for name in older
    )
