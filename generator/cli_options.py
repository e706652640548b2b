"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Architecture = Annotated[
    str | None,
    typer.Option(help="What bare weights belong to: timm:NAME, torchvision:NAME, ./FILE.py:CLASS."),
]
Weights = Annotated[
    str, typer.Option(help="For timm: and torchvision: pretrained, random, or a file.")
]
Part = Annotated[
    str,
    typer.Option(help="Of a network of two towers, such as CLIP: picture or text; see the guide."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, and show tracebacks.")]
Yes = Annotated[bool, typer.Option("--yes", help="Start though over an hour is forecast.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but mistakes.")]
Jobs = Annotated[int, typer.Option(min=0, help="Processes that measure and draw; one a core if 0.")]
Engine = Annotated[
    str, typer.Option(help="Who measures: local processes, or the workers of a ray cluster.")
]
Address = Annotated[str, typer.Option(help="Of the Ray cluster; one is started here if left out.")]
Features = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Units of --model to visualise; none, and no classes, if 0. 12, or fewer if it is large.",
    ),
]
Full = Annotated[
    bool,
    typer.Option(help="Draw every unit in every way, and silence every head. Hours without a GPU."),
]
Profiled = Annotated[
    bool, typer.Option("--profile", help="Write where the time went to build/profile.json.")
]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; any free one if 0.")]
Watch = Annotated[
    bool, typer.Option("--watch", help="Show what is written as soon as a file is saved.")
]
Known = Annotated[
    Path | None, typer.Option(help="An exhibit.yml, or its folder; this folder if left out.")
]
Texts = Annotated[Path | None, typer.Option(help="Texts for a source: a .yml, or one text a line.")]
Images = Annotated[Path | None, typer.Option(help="Pictures for a source: a folder or a dataset.")]
Passages = Annotated[
    Path | None,
    typer.Option(help="Where to search neurons, for a source: a table, a folder or a dataset."),
]
Pool = Annotated[
    Path | None,
    typer.Option(help="Where to search exemplars, for a source: a folder or a dataset."),
]
