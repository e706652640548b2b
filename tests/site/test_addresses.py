"""Links from one address to another, and what pages hand to the builder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from generator.addresses import relative
from generator.pages.page import Page

NAMES = st.lists(st.sampled_from(["a", "b", "c.html", "d e", "x#y", "."]), min_size=1, max_size=6)


@given(NAMES, NAMES)
def test_a_link_is_the_relative_path(origin, target):
    one, other = "/".join([*origin, "page.html"]), "/".join(target)
    assert relative(one, other) == os.path.relpath(other, Path(one).parent)


@pytest.mark.parametrize("title", ["a: b", "- a\u2028b", "\U0001f408 日本語", "next\x85line"])
def test_a_title_reaches_the_builder_as_it_is(title):
    page = Page("a.html", title, "", "", {}, searchable=False, body="<p>text</p>")
    _, front, _ = page.as_markdown().split("---\n", 2)
    read = yaml.safe_load(front)
    assert (read["title"], read["html"]) == (title, "<p>text</p>")
