"""The command `cutaway publish`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def publish(
    target: Annotated[
        str,
        typer.Argument(
            help="hf-space:USER/NAME, a static Space; hf:USER/MODEL, a card in a model's repository; "
            "gh-pages, a branch of this repository."
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A built site, 'site' if left out; of hf: a card's folder, 'MODEL-card'."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would go where, and change nothing.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what Cutaway did not write there, too.")
    ] = False,
    private: Annotated[
        bool,
        typer.Option("--private", help="Make the repository a private one, if it is not there."),
    ] = False,
    remote: Annotated[
        str, typer.Option(help="Of gh-pages: the git remote that the branch is pushed to.")
    ] = "origin",
) -> None:
    """Publish a built site or a model card: as a Space, in a model's repository, as a branch for Pages.

    Sent is what the build made and nothing else, and of that what has changed.
    """
    from generator.publishing.places import publish as run
    from generator.publishing.plan import Wish

    typer.echo(run(target, folder, Wish(dry_run, overwrite, private, remote)))
