"""The page to try a network on, as a site has it, in a shell without a theme, for tests in a browser."""

from __future__ import annotations

import shutil
from pathlib import Path

from small_site import CHECKOUT

from generator.pages.environment import Pages
from generator.pages.parts import TRY_PICTURE, TRY_TEXT, part_page
from generator.run import PICTURES, Run
from generator.techniques.try_own import scripts

SHELL = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width,initial-scale=1">
<link rel="stylesheet" href="{root}stylesheets/lean.css">
<link rel="stylesheet" href="{root}stylesheets/palette.css">
<link rel="stylesheet" href="{root}stylesheets/masthead.css">
<link rel="stylesheet" href="{root}stylesheets/cutaway.css">
<script>__md_scope=new URL("{root}",location)</script></head>
<body data-md-color-scheme="default"><script src="{root}javascripts/palette.js"></script>
<header class="c-top"><a class="c-brand" href="{root}index.html">Cutaway</a>
<button type="button" class="c-top__palette" hidden>Switch palette</button></header>
<main class="md-typeset c-lean">{body}</main>
<script src="{root}javascripts/cutaway.js"></script>
<script src="{root}javascripts/vendor/iframe-worker/shim.js"></script></body></html>"""


def lay_out_statics(root: Path) -> None:
    """All scripts and styles, and a first page."""
    for name in ("javascripts", "stylesheets"):
        shutil.copytree(CHECKOUT / "site_src" / name, root / name)
    _put(root / "index.html", "<!doctype html><title>Site</title>")


def lay_out(root: Path, run: Run) -> None:
    """Write the page of a network, with all that it loads."""
    pages = Pages(CHECKOUT / "templates", {})
    part = TRY_PICTURE if run.reads == PICTURES else TRY_TEXT
    page = pages.fill(part_page(run, part, pages))
    up = "../" * page.address.count("/")
    shown = SHELL.format(title=page.title, root=up, body=page.body)
    for address, text in (*scripts(run), (page.address, shown)):
        _put(root / address, text)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
