"""What a text classifier's configuration says of its answers: its head is not shown, its labels are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
