"""A part of a page, filled by a technique."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Section:
    """A part of a page, filled by a technique.

    `page` is "model", "layer", "unit", "head", or the key of a page of the model's own such as "classes";
    `id` is that of the element, `template` its file below templates/sections. `view` makes what the template
    shows, of the run and of what the page is about (a layer; a layer and a unit; a stack; a stack with the
    numbers of a layer and a head); None, or none of several, leaves it out. What `leads` stands in the head
    of its page.
    """

    page: str
    id: str
    template: str
    view: Callable[..., Any]
    leads: bool = False
