"""The command `cutaway compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from generator import cli_options as option
from generator.errors import Stopped
from generator.paths import work_beside
from generator.progress import Reporter, terminal

_SOURCE = "A source, such as timm:resnet18 or train:digits@5, or a model's id in the exhibit."


def compare(
    before: Annotated[str, typer.Argument(help=_SOURCE)],
    after: Annotated[str, typer.Argument(help="What it is held against: the same, changed.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the finished site; named like the two."),
    ] = None,
    exhibit: option.Known = None,
    texts: option.Texts = None,
    images: option.Images = None,
    pool: option.Pool = None,
    passages: option.Passages = None,
    architecture: option.Architecture = None,
    features: option.Features = 0,
    device: option.Device = "auto",
    jobs: option.Jobs = 0,
    yes: option.Yes = False,
    quiet: option.Quiet = False,
    verbose: option.Verbose = False,
) -> None:
    """Build a site of two models, with a page that says what changed inside from one to the other."""
    from generator.single import Given, exhibit_of_two

    given = Given(texts, images, pool, passages, architecture, features=features or 0)
    shown = exhibit_of_two((before, after), exhibit, given)
    from generator.build import Options, build
    from generator.report import print_summary

    site = (out or Path(f"{shown.compare[0].id}-site")).resolve()
    options = Options(site, work_beside(shown.base, site), device, jobs, yes=yes)
    reporter = Reporter(terminal(quiet=quiet), verbose)
    try:
        made = build(shown, options, reporter)
    except KeyboardInterrupt as error:
        raise Stopped from error
    print_summary(reporter, made.site, made.pages, made.figures, made.bytes)
    reporter.console.print(f"What changed: {site / 'compare' / shown.compare[0].id / 'index.html'}")
