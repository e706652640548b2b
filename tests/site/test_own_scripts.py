"""Scripts and styles that somebody adds in `mkdocs.yml` reach every page, each once, after the site's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from generator.paths import data_root
from generator.site import Tree, lay_out_statics, run_builder

THEIRS = "https://example.org/count.js"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of each shell of the theme that has the site's scripts, by the real builder."""
    root = tmp_path_factory.mktemp("scripts")
    tree = Tree(root / "build" / "docs")
    tree.put("index.md", b"---\ntitle: Front\n---\n\nHome\n")
    tree.put("lean.md", b"---\ntitle: Lean\ntemplate: lean.html\n---\n\nText\n")
    tree.put("leaf.md", b"---\ntitle: Leaf\ntemplate: lean.html\nhtml: <p>Text</p>\n---\n")
    lay_out_statics(tree, root / "build" / "theme", data_root())
    shipped = yaml.safe_load((data_root() / "mkdocs.yml").read_text(encoding="utf-8"))
    changed = {
        "INHERIT": str(data_root() / "mkdocs.yml"),
        "nav": [{"Gallery": "index.md"}],
        "extra_javascript": [*shipped["extra_javascript"], {"path": THEIRS, "defer": True}],
        "extra_css": [*shipped["extra_css"], "https://example.org/own.css"],
    }
    (root / "mkdocs.yml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    run_builder(root / "mkdocs.yml", root / "build", root / "site", "")
    return root / "site"


@pytest.mark.parametrize("name", ["index", "lean", "leaf"])
def test_an_added_script_is_there_once_and_the_site_s_own_are_not_doubled(site, name):
    page = (site / f"{name}.html").read_text(encoding="utf-8")
    assert page.count(f'<script src="{THEIRS}" defer></script>') == 1
    assert page.count("https://example.org/own.css") == 1
    assert page.count("javascripts/jump.js") == (name == "index")
