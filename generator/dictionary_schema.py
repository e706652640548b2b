"""What an exhibit states of a sparse dictionary: where it comes from, and what its file does not say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from generator.yaml_schema import Line, Slug, Strict

Shape = Literal["width x latents", "latents x width"]
Site = Literal["stream", "entering", "attention", "mlp", "mlp_in"]
TRAINED = "train:topk@"


class DictionarySpec(Strict):
    """A sparse dictionary of a model that reads. From `layer` on, keys are for what its file leaves open."""

    name: Slug = Field(description="its name in addresses")
    source: Line = Field(
        description="hf:org/name@revision or ./path, with #file= for a folder or file below; "
        "train:topk@LAYER for one that is trained here"
    )
    title: str = Field(
        "", max_length=200, description="name shown to readers; the name if left out"
    )
    about: str = Field("", max_length=2000, description="a sentence or two on what it is")
    licence: str = Field("", max_length=80, description="SPDX identifier of the weights' licence")
    layer: int | None = Field(None, ge=0, description="the layer whose vectors it takes apart")
    site: Site | None = Field(
        None,
        description="what it reads: the stream that leaves (stream) or enters (entering) the layer, what "
        "attention or the mlp writes, or what the MLP reads (mlp_in)",
    )
    writes: Site | None = Field(None, description="of a transcoder, the site that it decodes")
    activation: Literal["relu", "topk", "jumprelu", "gated"] | None = Field(
        None, description="of its latents"
    )
    k: int | None = Field(None, ge=1, description="how many latents a token has, for topk")
    latents: int | None = Field(
        None, ge=2, le=65_536, description="how many latents, for one that is trained here"
    )
    subtracts: bool | None = Field(
        None, description="whether b_dec is taken from what is read before it is encoded"
    )
    centred: bool = Field(
        False, description="whether it was trained on a stream with centred writing weights"
    )
    scale: float | None = Field(
        None,
        gt=0,
        description="what vectors were multiplied with in training to have the norm sqrt(width) on average",
    )
    encoder: Shape | None = Field(None, description="how W_enc lies, where it is square")
    decoder: Shape | None = Field(None, description="how W_dec lies, where it is square")

    @property
    def trained(self) -> bool:
        """Whether it is trained here."""
        return self.source.startswith("train:")

    @property
    def shown(self) -> str:
        """What readers see."""
        return self.title or self.name

    @model_validator(mode="after")
    def _of_one_kind(self) -> DictionarySpec:
        if not self.trained:
            if self.latents is not None:
                raise ValueError(
                    "'latents' is for a dictionary that is trained here; a file has its own"
                )
            return self
        if not self.source.removeprefix(TRAINED).isdecimal():
            raise ValueError(
                f"a dictionary that is trained here is {TRAINED}LAYER, such as {TRAINED}5"
            )
        free = {"name", "source", "title", "about", "licence", "k", "latents"}
        more = sorted(self.model_fields_set - free)
        if more:
            raise ValueError(
                f"'{more[0]}' is for what a file leaves open, and not for {TRAINED}LAYER"
            )
        return self

    @property
    def trained_layer(self) -> int:
        """The layer of one that is trained here."""
        return int(self.source.removeprefix(TRAINED))
