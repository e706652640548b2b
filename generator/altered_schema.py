"""What an exhibit has done to a network's weights before anything is read of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from generator.yaml_schema import Line, Strict


class Altered(Strict):
    """What is done to the weights as soon as a network is loaded, in the order of these keys."""

    random: bool | int = Field(
        False,
        description="true draws all weights anew, as nothing was learned, from the exhibit's seed; a number "
        "is a seed of its own. It stands alone",
    )
    adapter: str = Field(
        "",
        max_length=400,
        description="a LoRA adapter, ./folder or hf:org/name@revision, that is merged into the weights "
        "through `peft` (pip install 'cutaway[peft]')",
    )
    bits: int | None = Field(
        None,
        ge=2,
        le=8,
        description="every weight matrix is rounded to so many bits, by blocks of 32 along its input "
        "dimension, as GGUF's Q4_1 and Q5_1 do with 4 and 5",
    )
    dtype: Literal["bfloat16", "float16"] | None = Field(
        None, description="all weights are rounded to this type; computed is with them in 32 bits"
    )
    silent: tuple[Line, ...] = Field(
        (),
        description="heads (L5H1) and units (LAYER/UNIT) whose output is set to zero, as on pages",
    )

    @model_validator(mode="after")
    def _random_alone(self) -> Altered:
        if self.redrawn and (self.adapter or self.bits or self.dtype or self.silent):
            raise ValueError("'random' stands alone: nothing of the weights would be left")
        return self

    @property
    def redrawn(self) -> bool:
        """Whether weights are drawn anew; 0 is a seed."""
        return self.random is not False

    @property
    def any(self) -> bool:
        """Whether anything is done."""
        return self != Altered()
