"""The words of pages: true minus signs, no minus zero, shares within bounds, one head and not one heads."""

from __future__ import annotations

import pytest
from filled import filled
from plain_words import FAULTS, faults_of, words_of
from runs import run_on
from small_site import Site
from test_head_pages import TEXTS
from tiny_transformers import tiny

from generator.formatting import amount


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<p>On 1 texts.</p>", "one of many"),
        ("<p>at -2 px</p>", "a hyphen for a minus sign"),
        ("<td>−0.00</td>", "minus zero"),
        ("<p>The stream behind each layer</p>", "behind for after"),
        ("<p>100.0 % ± 4.9 %</p>", "a share beyond its bounds"),
    ],
)
def test_faults_are_found(html: str, fault: str) -> None:
    assert [one.split(":")[0] for one in faults_of(html)] == [fault]


@pytest.mark.parametrize(
    "html",
    [
        "<p>11 texts, 3 × 1 heads, −0.5, −0.011, 95.0 % ± 4.9 %, a well-1 known</p>",
        "<p><code>-0.0 1 heads</code></p><blockquote>at -2 px</blockquote>",
    ],
)
def test_what_is_right_or_quoted_is_no_fault(html: str) -> None:
    assert not faults_of(html)


def test_counts_agree_with_what_they_count() -> None:
    assert [amount(n, "head") for n in (0, 1, 1024)] == ["0 heads", "1 head", "1,024 heads"]


def test_one_text_is_one_text(tmp_path) -> None:
    run = run_on(tiny("llama"), TEXTS[:1], tmp_path, ablate=0, runs=1, words=2)
    pages = filled(run)
    assert "1 text" in words_of(pages["models/llama/index.html"].body)
    assert not [(name, one) for name, page in pages.items() for one in faults_of(page.body)]


def test_the_words_of_a_built_site_are_plain(small_site: Site) -> None:
    found = {}
    for path in small_site.site.rglob("*.html"):
        faults = faults_of(path.read_text(encoding="utf-8"))
        if faults:
            found[str(path.relative_to(small_site.site))] = faults
    assert len(FAULTS) == 4 and not found
