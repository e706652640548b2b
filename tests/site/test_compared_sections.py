"""Answers and heads of two models on the page that was built, and in its tables."""

from __future__ import annotations

import csv
import io
import re

from generator.probes.change import FEWEST
from tests.small_site import Site


def rows(site: Site, comparison: str, name: str) -> list[dict[str, str]]:
    text = (site.site / "compare" / comparison / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def section(site: Site, comparison: str, name: str) -> str:
    page = (site.site / "compare" / comparison / "index.html").read_text(encoding="utf-8")
    found = re.search(rf'<section[^>]*id="{name}".*?</section>', page, re.DOTALL)
    assert found
    return found[0]


def test_the_head_that_is_silent_comes_first(compared_site: Site) -> None:
    found = rows(compared_site, "whole-pruned", "compared_heads.csv")
    first = [row for row in found if row["rank"] == "1"]
    assert {(row["layer"], row["head"]) for row in first} == {("1", "2")}
    shown = section(compared_site, "whole-pruned", "heads")
    assert re.search(r'href="beside/(?:index\.html)?#layers/1/heads/2/?">L1H2<', shown)
    assert "L1H2 changed most" in re.sub(r"<[^>]*>", "", shown)


def test_what_is_only_compared_leads_to_the_pages_that_there_are(compared_site: Site) -> None:
    shown = section(compared_site, "whole-rounded", "heads")
    assert "models/rounded" not in shown
    assert re.search(r'href="../../models/whole/layers/\d/heads/\d/', shown)


def test_a_model_beside_itself_is_zero_in_every_table(compared_site: Site) -> None:
    zero = {
        "compared_heads.csv": ("change", "low", "high", "ratio", "maps_apart", "writes_moved"),
        "compared_answers.csv": ("change", "divergence", "changed"),
        "compared_losses.csv": ("change", "low", "high", "token_low", "token_high", "other_guess"),
    }
    for name, columns in zero.items():
        for row in rows(compared_site, "whole-whole", name):
            assert {row[column] for column in columns} <= {"0", ""}, row
    said = re.sub(r"<[^>]*>", "", section(compared_site, "whole-whole", "answers"))
    assert "exactly the same" in said


def test_texts_are_lit_where_the_answers_part(compared_site: Site) -> None:
    shown = section(compared_site, "whole-rounded", "answers")
    assert shown.count('class="c-lit"') == 3
    found = rows(compared_site, "whole-rounded", "compared_answers.csv")
    assert {row["text"] for row in found} == {"t0", "t1", "t2", "t3"}
    assert all(float(row["divergence"]) >= 0 for row in found)


def test_few_inputs_have_no_interval_and_are_counted(compared_site: Site) -> None:
    for row in rows(compared_site, "whole-pruned", "compared_heads.csv"):
        if int(row["inputs"]) < FEWEST:
            assert row["low"] == row["high"] == ""
            assert row["leads"] == "0" or row["rank_low"] == row["rank_high"] == ""
    shown = section(compared_site, "whole-pruned", "heads")
    assert ">Inputs</th>" in shown and f"fewer than {FEWEST} inputs have none" in shown
