"""The models of an exhibit as a preview has them: each is loaded when somebody asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from generator.comparison_schema import ComparisonSpec
from generator.exhibit import ModelSpec
from generator.inputs.shown import Inputs
from generator.run import Run
from generator.subjects import comparison_of


@dataclass
class PreviewModel:
    """A model as the exhibit shows it, which `load` loads when somebody asks for its run."""

    spec: ModelSpec
    inputs: Inputs
    seed: int
    load: Callable[[], list[Run]]
    loaded: Run | None = None
    _loading: threading.Lock = field(default_factory=threading.Lock)

    @property
    def run(self) -> Run:
        """The run, loaded if it was not; who asks meanwhile in another thread waits for it."""
        with self._loading:
            if self.loaded is None:
                (self.loaded,) = self.load()
            return self.loaded

    def shown_as(self, other: PreviewModel) -> PreviewModel:
        """Itself where the other is the same, or the other, with what is loaded of the same network."""
        if (_source_of(self.spec), self.seed) != (_source_of(other.spec), other.seed):
            return other
        budget, inputs = other.spec.make, other.inputs
        if self.inputs.key == inputs.key and self.spec.make == budget:
            return self
        if self.loaded is not None:
            other.loaded = replace(
                self.loaded, inputs=inputs, budget=budget, credits=[], _results={}
            )
        return other


@dataclass(frozen=True)
class PreviewRuns(Mapping[str, Run]):
    """The runs of models, each loaded when it is taken, and of what is compared."""

    models: Mapping[str, PreviewModel]
    compare: Mapping[str, ComparisonSpec]

    def __getitem__(self, name: str) -> Run:
        if name in self.models:
            return self.models[name].run
        return comparison_of(self.compare[name], self)

    def __iter__(self) -> Iterator[str]:
        return iter((*self.models, *self.compare))

    def __len__(self) -> int:
        return len(self.models) + len(self.compare)


def _source_of(spec: ModelSpec) -> ModelSpec:
    """What a loaded model depends on."""
    return spec.model_copy(update={"make": ModelSpec.model_fields["make"].get_default()})
