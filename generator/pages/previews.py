"""The pictures that stand for pages where their addresses are shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from generator.figures.figure import Drawing
from generator.figures.render import Drawn
from generator.run import Run


def preview(folder: str, title: str, line: str, site: str, picture: bytes) -> Drawing:
    """The preview of the page in a folder, with an encoded picture; no bytes for none."""
    said = {"title": title, "line": line, "site": site}
    arguments = {**said, "picture": np.frombuffer(picture, dtype=np.uint8)}
    return Drawing("preview", arguments, (f"{folder}/preview.jpg",))


def model_previews(runs: Sequence[Run], site: str, pictures: Mapping[str, Drawn]) -> list[Drawing]:
    """One for each model, with the picture of its card in the gallery."""
    found = []
    for model in (run.model for run in runs):
        folder = f"models/{model.id}"
        card = pictures.get(f"{folder}/card.webp")
        data = card.file.read_bytes() if card else b""
        found.append(preview(folder, model.title, model.about, site, data))
    return found
