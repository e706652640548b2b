"""The kinds of figure that an article can ask for, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generator.articles.catalogue import Catalogue
from generator.figures.figure import Figure
from generator.parameters import call_checked, check_parameters, parameters_of
from generator.run import Technique
from generator.techniques import TECHNIQUES
from generator.techniques.naming import one_of
from generator.techniques.worked_tokens import three_words_figure
from generator.widget import Widget

# Figures that are made of no model.
_OTHERS: Mapping[str, Callable[..., Figure]] = {"three_words": three_words_figure}


@dataclass(frozen=True)
class Kind:
    """A kind of figure or of live component: the function that makes it, and the technique that has it."""

    make: Callable[..., Figure | Widget]
    technique: Technique[Any] | None = None

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """What an author may say, by name; a figure of a technique needs a model before its own."""
        own = parameters_of(self.make)
        if self.technique is None:
            return own
        return {"model": inspect.Parameter("model", _KEYWORD, annotation=str), **own}


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def kinds_of(techniques: Sequence[Technique[Any]]) -> dict[str, Kind]:
    """All kinds of figure by name, those of techniques first."""
    own = {kind: Kind(make, each) for each in techniques for kind, make in each.figures.items()}
    return own | {kind: Kind(make) for kind, make in _OTHERS.items()}


def widgets_of(techniques: Sequence[Technique[Any]]) -> dict[str, Kind]:
    """All kinds of live component by name."""
    return {kind: Kind(make, each) for each in techniques for kind, make in each.widgets.items()}


KINDS = kinds_of(TECHNIQUES)


def figure(catalogue: Catalogue, kind: str, parameters: Mapping[str, Any]) -> Figure:
    """A figure of some kind. Raises UsageError, with the nearest name, for a wrong one."""
    kinds = kinds_of(catalogue.techniques)
    check_kind(kind, parameters, kinds)
    if kind in _OTHERS:
        return call_checked(kind, _OTHERS[kind], None, parameters)
    others = {name: value for name, value in parameters.items() if name != "model"}
    return catalogue.run(str(parameters["model"])).figure(kind, **others)


def widget(catalogue: Catalogue, kind: str, parameters: Mapping[str, Any]) -> Widget:
    """A live component of some kind. Raises UsageError, with the nearest name, for a wrong one."""
    others = {name: value for name, value in parameters.items() if name != "model"}
    return catalogue.run(str(parameters["model"])).widget(kind, **others)


def check_kind(kind: str, names: Collection[str], kinds: Mapping[str, Kind] = KINDS) -> None:
    """Raises UsageError for a kind that there is not, for a parameter too many, and for one too few."""
    known = kinds[one_of("kind of figure", kind, kinds)].parameters
    check_parameters(kind, known, names)
