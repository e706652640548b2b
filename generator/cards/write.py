"""A card as a folder: README.md, the figures beside it, and the numbers as CSV."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from generator.addresses import data_address
from generator.cards.markdown import Markdown
from generator.cards.merge import merged, read_card
from generator.cards.metadata import metadata
from generator.cards.tree import Card
from generator.exhibit import Exhibit
from generator.figures.render import Drawn
from generator.run import Run
from generator.store import write_atomically
from generator.techniques.evaluations import EVALUATION

NAME = "README.md"


@dataclass(frozen=True)
class CardFolder:
    """What was written, and what was kept of the card that was there."""

    readme: Path
    figures: int
    kept: tuple[str, ...]

    @property
    def told(self) -> str:
        """What the command line says of it."""
        wrote = f"Wrote {self.readme} and {self.figures} figures."
        if not self.kept:
            return wrote
        return (
            f"{wrote}\nKept as edited by hand: {', '.join(self.kept)}. --overwrite replaces them."
        )


def write_card(
    folder: Path,
    exhibit: Exhibit,
    run: Run,
    card: Card,
    pictures: Mapping[str, Drawn],
    *,
    overwrite: bool = False,
) -> CardFolder:
    """Write the card of a model; a README.md that is there keeps what its users wrote into it.

    Raises UsageError if that one cannot be read.
    """
    shown = {figure.path: figure for figure in card.figures()}
    files = {path: _name(path) for path in shown}
    tables = {f"data/{table.name}": table.csv for table in EVALUATION.tables(run)}
    places = files | {data_address(run.model.id, Path(name).name): name for name in tables}
    parts = Markdown(places, exhibit.site_url).parts(card)
    readme = folder / NAME
    written = merged(read_card(readme), metadata(exhibit, run), parts, overwrite=overwrite)
    for path, figure in shown.items():
        write_atomically(folder / files[path], on_paper(pictures[path], figure.pixelated))
    for name, text in tables.items():
        write_atomically(folder / name, text.encode())
    write_atomically(readme, written.text.encode())
    return CardFolder(readme, len(shown), written.kept)


def _name(path: str) -> str:
    """A figure's file beside the card: its place in the site without the model's folder."""
    place = PurePosixPath(*PurePosixPath(path).parts[2:])
    suffix = ".svg" if place.suffix == ".svg" else ".png"
    return f"figures/{'-'.join(place.with_suffix(suffix).parts)}"


def on_paper(drawn: Drawn, pixelated: bool) -> bytes:
    """A picture on white: drawings are ink on a clear ground, and a README has dark readers too."""
    data = drawn.file.read_bytes()
    if drawn.file.suffix == ".svg":
        return b"".join(_with_ground(data))
    with Image.open(io.BytesIO(data)) as opened:
        layered = opened.convert("RGBA")
    paper = Image.new("RGBA", layered.size, "white")
    paper.alpha_composite(layered)
    image = paper.convert("RGB")
    if pixelated and (drawn.width, drawn.height) != image.size:
        image = image.resize((drawn.width, drawn.height), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _with_ground(svg: bytes) -> Iterator[bytes]:
    start = svg.index(b"<svg")
    end = svg.index(b">", start) + 1
    yield svg[:end]
    yield b'<rect width="100%" height="100%" fill="#ffffff"/>'
    yield svg[end:]
