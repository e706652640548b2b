"""How charts are encoded."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image

from generator.figures.face import FAMILY, characters, families, is_plain
from generator.figures.style import as_pixels, as_svg, new_figure, styled


def _chart():
    with styled():
        figure = new_figure(300, 200)
        axes = figure.subplots()
        axes.plot([1e-7, 2 / 3, 1], [0.123456, 1 / 3, 0], label="a -- b")
        axes.set(title="<title> & more", xlabel="<!-- no comment -->")
        return figure


def test_a_chart_keeps_its_form_and_no_more_than_hundredths_of_a_pixel():
    with styled():
        picture = as_svg(_chart())
    text = picture.data.decode()
    root = ET.fromstring(text)
    assert (picture.width, picture.height) == (300, 200)
    assert root.get("viewBox") == "0 0 225 150"
    assert len(root.findall(".//{http://www.w3.org/2000/svg}use")) > 20  # the letters
    assert "metadata" not in text and "<!--" not in text
    assert not re.search(r"[1-9]\.\d{3,}(?!\d*e)", text)
    assert "scale(0.015625)" in text  # of every letter


def test_a_chart_as_pixels_has_two_to_a_css_pixel_and_a_clear_ground():
    with styled():
        picture = as_pixels(_chart())
    shown = Image.open(io.BytesIO(picture.data)).convert("RGBA")
    assert shown.size == (2 * picture.width, 2 * picture.height) == (600, 400)
    colours = np.unique(np.asarray(shown).reshape(-1, 4), axis=0)
    assert len(colours) <= 64
    assert np.asarray(shown)[0, 0, 3] == 0
    assert np.asarray(shown)[..., 3].max() == 255


def test_letters_are_the_sites_own_and_those_that_it_lacks_are_drawn_too(caplog):
    with styled():
        own, spare = (findfont(FontProperties(family=name)) for name in families())
        bold = findfont(FontProperties(family=FAMILY, weight="bold"))
        figure = new_figure(300, 100)
        figure.text(0, 0, "L18H6 → 0.77 ≥ ½", weight="bold")
        as_svg(figure)
    assert [Path(file).stem for file in (own, bold)] == [
        "SourceSans3-Regular",
        "SourceSans3-SemiBold",
    ]
    assert Path(spare).stem == "DejaVuSans"
    assert not caplog.records  # nothing was missing
    assert is_plain("½ – é") and not is_plain("→")
    assert {ord("→"), ord("≥"), ord("Ж")} <= characters()
