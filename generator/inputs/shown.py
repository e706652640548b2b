"""What a model is run on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from generator.card_schema import Pairs
from generator.inputs.images import CuratedImage
from generator.inputs.passages import Passage
from generator.inputs.pool import PoolPicture
from generator.inputs.texts import CuratedText

# Something that is looked at: it has a label, an origin, a licence and the digest of its bytes.
Picture = CuratedImage | PoolPicture
NOT_STATED = "not stated"


@dataclass(frozen=True)
class Inputs:
    """Curated pictures and texts, texts that no page shows, pools of both, and compared sentences."""

    images: tuple[CuratedImage, ...]
    texts: tuple[CuratedText, ...]
    held_out: tuple[CuratedText, ...]
    pool: tuple[PoolPicture, ...]
    pairs: Pairs
    passages: tuple[Passage, ...] = ()

    @property
    def key(self) -> dict[str, Any]:
        """What the inputs are, for the store."""
        return {
            "images": [one.sha256 for one in self.images],
            "pool": [one.sha256 for one in self.pool],
            "pairs": self.pairs.model_dump(mode="json"),
            "texts": [(one.id, one.text, one.target) for one in (*self.texts, *self.held_out)],
            "passages": [(one.id, one.text, one.kind, one.language) for one in self.passages],
        }
