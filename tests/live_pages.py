"""A page to try a network on, for tests: a bundle laid out as a site has it, in a shell without a theme."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from small_site import CHECKOUT

SHELL = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Try your own</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width,initial-scale=1">
{styles}
<script>__md_scope=new URL("{root}",location)</script></head>
<body data-md-color-scheme="default"><script src="{root}javascripts/palette.js"></script>
<header class="c-top"><a class="c-brand" href="{root}index.html">Cutaway</a>
<button type="button" class="c-top__palette" hidden>Switch palette</button></header>
<main class="md-typeset c-lean"><div id="c-content" class="cutaway c-page-model">
<header class="c-title"><h1>Try your own</h1></header>
<section class="c-live c-wide" data-live="live.js" data-kind="text" data-vendor="{root}javascripts/vendor/">
<h2>Your own text</h2>
<div data-live-form hidden>
<label for="live-text">A sentence of your own. Enter runs it, Shift + Enter begins a new line.</label>
<textarea id="live-text" data-live-input rows="3"></textarea></div>
<button type="button" data-live-open hidden>Load the network ({size})</button>
<p role="status" data-live-status></p>
<noscript><p>Without JavaScript there are the curated texts.</p></noscript>
<template data-live-view="model_view"><div class="c-attention" data-kind="model"></div></template>
<div data-live-results></div>
</section></div></main>
{scripts}
<script src="{root}javascripts/cutaway.js"></script></body></html>"""
STYLES = ("lean", "palette", "masthead", "cutaway", "attention", "heads", "live")
SCRIPTS = (
    *("attention", "attention-component", "attention-lines", "attention-map", "attention-neurons"),
    *(
        "attention-grid",
        "live-numbers",
        "live-decode",
        "live-worker",
        "live",
        "live-parts",
        "live-text",
    ),
)


def lay_out(root: Path, address: str, size: str, files: Iterable[tuple[str, str]]) -> None:
    """Write a page with what it loads (address from the root, text), and all scripts and styles."""
    for name in ("javascripts", "stylesheets"):
        shutil.copytree(CHECKOUT / "site_src" / name, root / name, dirs_exist_ok=True)
    up = "../" * address.count("/")
    styles = "".join(
        f'<link rel="stylesheet" href="{up}stylesheets/{one}.css">\n' for one in STYLES
    )
    scripts = "".join(
        f'<script src="{up}javascripts/{one}.js" defer></script>\n' for one in SCRIPTS
    )
    page = SHELL.format(root=up, size=size, styles=styles, scripts=scripts)
    more = (("index.html", "<!doctype html><title>Site</title>"), (address, page))
    for where, text in (*files, *more):
        (root / where).parent.mkdir(parents=True, exist_ok=True)
        (root / where).write_text(text, encoding="utf-8")
