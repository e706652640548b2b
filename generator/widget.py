"""A live component: what pages, articles, notebooks and files of their own show of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generator.figures.drawing import Drawing
from generator.files import tell

LARGE = 5_000_000  # bytes of one file, all of which a page loads before it shows anything
_SMALLER = (
    "Show less in it (a shorter text, one layer or one head: layer_view, head_view), or frame the page of a "
    "published site, which loads what is looked at: “Embed” below the component."
)

To = Callable[[str], str]
"""The way to an address of the site, from the page that is being written; "" where there is none."""

Files = Iterable[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Widget:
    """One live component.

    A macro of templates/partials/widgets.html, named by `macro`, makes its element of what `view` returns.
    `styles` and `scripts` are what it needs of the site's own, `drawings` the pictures that it shows, and
    `files` the scripts with its data that it loads, no more than it can show: addresses and texts. `alt` says
    what there is to see, `caption` how to read it. One that is `wide` has the width of a page in an article.
    `source` is what it was measured on.
    """

    kind: str
    macro: str
    alt: str
    caption: str
    view: Callable[[To], Any] = field(repr=False)
    styles: tuple[str, ...]
    scripts: tuple[str, ...]
    drawings: tuple[Drawing, ...] = field(default=(), repr=False)
    files: Callable[[], Files] = field(default=tuple, repr=False)
    wide: bool = False
    source: str = ""

    def __repr__(self) -> str:
        """What a session shows of it where there is no page to show it in."""
        return f"<Widget {self.kind}: {self.alt}>"

    def save(self, file: str | Path, width: float = 0, dpi: int = 0) -> None:
        """Write it as one HTML file that needs nothing beside it. It is as wide as its frame.

        Raises UsageError for another ending.
        """
        from generator.figures import alone  # matplotlib is slow to import

        alone.write(Path(file), self._page(), f"'{self.kind}' is live")
        size = Path(file).stat().st_size
        if size > LARGE:
            tell(f"{file} has {size / 1e6:.1f} MB, which takes long to load. {_SMALLER}")

    def _repr_html_(self) -> str:
        """What a notebook shows: a frame around the same file, which fits itself."""
        from generator.figures import alone

        return alone.framed(self._page(), self.alt)

    def _page(self) -> str:
        from generator.figures import alone

        drawn = alone.drawn(self.drawings)
        files = dict(self.files())
        to = alone.ways(drawn, files)
        body = alone.macro("partials/widgets.html", self.macro, drawn, self.view(to), to)
        return alone.page(
            self.kind,
            alone.Said(self.alt, self.caption, self.source),
            body,
            self.styles,
            self.scripts,
            tuple(files.values()),
        )
