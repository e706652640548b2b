"""The schema of `preprocessing` in an exhibit: how a picture becomes the input of a network."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from generator.yaml_schema import Strict


class Preprocessing(Strict):
    """How a picture becomes the tensor that a network was trained on."""

    size: int = Field(224, ge=8, le=2048, description="side of the square input, in pixels")
    crop: float = Field(0.875, ge=0.1, le=1, description="share of the resized short side kept")
    mean: tuple[float, float, float] = Field(
        (0.485, 0.456, 0.406),
        description="from values of 0 to 1 taken away: of red, green and blue, or one number",
    )
    std: tuple[float, float, float] = Field(
        (0.229, 0.224, 0.225),
        description="divided by: of red, green and blue, or one number",
    )
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos", "box", "hamming"] = Field(
        "bicubic", description="how the picture is resized"
    )
    fit: Literal["crop", "squeeze"] = Field(
        "crop", description="whether the longer side is cropped, or squeezed into the square"
    )
    rounding: Literal["pillow", "tensors"] = Field(
        "pillow",
        description="how pictures are resized and cropped to whole pixels: as Pillow, torchvision and timm "
        "do, or as transformers does on tensors",
    )
    channels: Literal["rgb", "bgr"] = Field(
        "rgb",
        description="which channel the network takes first, red or blue; `mean` and `std` are of red first "
        "in both",
    )

    @property
    def pixels(self) -> dict[str, Any]:
        """What decides the pixels of an input, red first: not `channels`, which the network is turned for."""
        return self.model_dump(mode="json", exclude={"channels"})

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _for_all_channels(cls, value: Any) -> Any:
        return (value,) * 3 if isinstance(value, (int, float)) else value
