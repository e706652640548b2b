"""The schema of what an exhibit compares: two of its models side by side."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from generator.addresses import comparison_id
from generator.yaml_schema import Slug, Strict


class ComparisonSpec(Strict):
    """Two models of the exhibit that are held against each other; a list of the two ids will do."""

    before: Slug = Field(description="id of the model that the other is held against")
    after: Slug = Field(description="id of the model that was changed, or comes later")
    about: str = Field("", max_length=2000, description="a sentence or two on what was changed")

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, data: Any) -> Any:
        if isinstance(data, list | tuple) and len(data) == 2:
            return {"before": data[0], "after": data[1]}
        return data

    @property
    def id(self) -> str:
        """Its name in addresses: /compare/<id>/."""
        return comparison_id(self.before, self.after)

    @property
    def models(self) -> tuple[str, str]:
        """The ids of both."""
        return self.before, self.after
