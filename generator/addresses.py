"""The addresses of pages and data, from the root of the site, and links to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from posixpath import normpath

GLOSSARY = "glossary/index.html"
GALLERY = "index.html"


@dataclass(frozen=True)
class Link:
    """A place in the site, by its address from the site's root, and what to call it."""

    target: str
    text: str


def on_the_web(site: str, address: str) -> str:
    """An address with the site's own before it; "" where the site has none."""
    return f"{site.rstrip('/')}/{address.removesuffix('index.html')}" if site else ""


def relative(origin: str, target: str) -> str:
    """The link from one address to another, both from the site's root."""
    # What os.path.relpath does, without asking where this process is: pages hold a hundred thousand links.
    start, to = _segments(origin)[:-1], _segments(target)
    same = 0
    for one, other in zip(start, to, strict=False):
        if one != other:
            break
        same += 1
    return "/".join((*[".."] * (len(start) - same), *to[same:])) or "."


@lru_cache(maxsize=1 << 14)
def _segments(address: str) -> tuple[str, ...]:
    return tuple(part for part in normpath(address).split("/") if part != ".")


def model_address(model: str) -> str:
    """The page of a model."""
    return f"models/{model}/index.html"


def part_address(model: str, part: str) -> str:
    """One of a model's own pages, such as the one on its classes."""
    return f"models/{model}/{part}/index.html"


def layer_address(model: str, layer: str) -> str:
    """The page of a layer."""
    return f"models/{model}/layers/{layer}/index.html"


def head_address(model: str, layer: str, head: int | str) -> str:
    """The page of an attention head; of "{head}" a pattern, which scripts fill."""
    return f"models/{model}/layers/{layer}/heads/{head}/index.html"


def unit_address(model: str, layer: str, unit: int | str) -> str:
    """The page of a unit; of "{unit}" a pattern, which scripts fill."""
    return f"models/{model}/layers/{layer}/units/{unit}/index.html"


def latent_address(model: str, dictionary: str, latent: int) -> str:
    """The page of a latent of a sparse dictionary."""
    return f"models/{model}/dictionaries/{dictionary}/{latent}/index.html"


def data_address(model: str, name: str) -> str:
    """A table of a model's numbers."""
    return f"models/{model}/data/{name}"


def comparison_id(before: str, after: str) -> str:
    """The name of a comparison of two models."""
    return f"{before}-{after}"


def comparison_address(comparison: str) -> str:
    """The page of two models side by side."""
    return f"compare/{comparison}/index.html"


def beside_address(comparison: str, page: str = "") -> str:
    """The two models' pages beside each other; `page` is the path below each model's folder."""
    return f"compare/{comparison}/beside/index.html" + (f"#{page}" if page else "")
