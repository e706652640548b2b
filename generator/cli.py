"""The `cutaway` command: arguments in, exit code out, nothing else."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from generator import __version__
from generator import cli_options as option
from generator.cli_compare import compare
from generator.cli_publish import publish
from generator.command_reference import command_reference
from generator.errors import MENDABLE, CutawayError, Stopped, UsageError, tell_failure
from generator.paths import work_beside
from generator.progress import Reporter, terminal

app = typer.Typer(
    name="cutaway",
    help="Publish what is inside a trained neural network, as a static site.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"cutaway {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Publish what is inside a trained neural network, as a static site."""


@app.command()
def build(
    exhibit: Annotated[
        Path | None, typer.Argument(help="An exhibit.yml, or the folder that holds it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the finished site; 'site' if left out.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="One model, as a source, instead of an exhibit.")
    ] = None,
    texts: option.Texts = None,
    images: option.Images = None,
    pool: option.Pool = None,
    passages: option.Passages = None,
    architecture: option.Architecture = None,
    weights: option.Weights = "pretrained",
    device: option.Device = "auto",
    jobs: option.Jobs = 0,
    features: option.Features = None,
    full: option.Full = False,
    profile: option.Profiled = False,
    engine: option.Engine = "local",
    address: option.Address = "",
    yes: option.Yes = False,
    quiet: option.Quiet = False,
    verbose: option.Verbose = False,
) -> None:
    """Build the site of an exhibit, or of one model."""
    from generator.single import Given, exhibit_or_one

    given = Given(texts, images, pool, passages, architecture, weights, features)
    shown = exhibit_or_one(exhibit, model, given)
    # torch takes seconds to import: a mistake in the exhibit is answered before.
    from generator.build import Options
    from generator.build import build as run
    from generator.report import print_summary

    site = (out or shown.base / "site").resolve()
    work = work_beside(shown.base, site)
    commands = partial(command_reference, app)
    options = Options(site, work, device, jobs, full, profile, engine, address, commands, yes)
    reporter = Reporter(terminal(quiet=quiet), verbose)
    try:
        summary = run(shown, options, reporter)
    except KeyboardInterrupt as error:
        raise Stopped from error
    print_summary(reporter, summary.site, summary.pages, summary.figures, summary.bytes)


@app.command()
def card(
    source: Annotated[
        str, typer.Argument(help="A source, such as timm:resnet18, or a model's id in the exhibit.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the card; named like the model.")
    ] = None,
    exhibit: Annotated[
        Path | None, typer.Option(help="An exhibit.yml, or its folder, that knows the model.")
    ] = None,
    texts: option.Texts = None,
    images: option.Images = None,
    pool: option.Pool = None,
    architecture: option.Architecture = None,
    weights: option.Weights = "pretrained",
    part: option.Part = "",
    site_url: Annotated[
        str, typer.Option(help="Where the site is published, for links; the exhibit's if left out.")
    ] = "",
    overwrite: Annotated[
        bool, typer.Option(help="Replace generated sections that were edited by hand, too.")
    ] = False,
    device: option.Device = "auto",
    verbose: option.Verbose = False,
) -> None:
    """Write a model card: a README.md for the Hub, with its figures and tables beside it.

    A network of two towers, such as CLIP, gets two, in folders of their own.
    """
    from generator.single import Given, card_exhibit

    given = Given(texts, images, pool, None, architecture, weights)
    shown, name = card_exhibit(source, exhibit, given, part)
    from generator.card import make_cards

    if site_url:
        if not site_url.startswith(("https://", "http://")):
            raise UsageError(f"--site-url: '{site_url}' is no address that starts with https://.")
        shown = shown.model_copy(update={"site_url": site_url})
    folder = (out or Path(f"{name}-card")).resolve()
    work = work_beside(shown.base, folder)
    reporter = Reporter(terminal(), verbose)
    try:
        cards = make_cards(shown, name, folder, work, reporter, device=device, overwrite=overwrite)
    except KeyboardInterrupt as error:
        raise Stopped from error
    for made in cards:
        typer.echo(made.told)


@app.command()
def serve(
    site: Annotated[
        Path, typer.Argument(help="A built site, or the folder that it was built in.")
    ] = Path("site"),
    host: option.Host = "127.0.0.1",
    port: option.Port = 8000,
    watch: option.Watch = False,
    device: option.Device = "auto",
) -> None:
    """Show a built site in the browser, from this machine; one that is still being made as it grows."""
    if watch:
        from generator.watch import serve_watched

        serve_watched(site, host, port, device, partial(command_reference, app))
        return
    from generator.serve import built_folder, serve_folder
    from generator.unfinished import growing, wait_for_pages

    wait_for_pages(site.resolve())
    built = built_folder(site.resolve())
    serve_folder(built, host, port, growing(built))


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="A folder to make.")],
    shape: Annotated[
        str, typer.Option(help="What to start from: explainer, course or model-card.")
    ] = "explainer",
) -> None:
    """Make a small folder that builds, to start from: an exhibit, its inputs and a first text."""
    from generator.starter import make_starter

    made = make_starter(folder, shape)
    typer.echo(f"Made {made}. Next: cutaway build {made}\nHow to go on: {made / 'README.md'}")


@app.command()
def inspect(
    source: Annotated[
        str,
        typer.Argument(
            help="A source, such as timm:resnet18 or ./folder, or a model's id in the exhibit."
        ),
    ],
    exhibit: option.Known = None,
    architecture: option.Architecture = None,
    weights: option.Weights = "pretrained",
    device: option.Device = "cpu",
    verbose: option.Verbose = False,
) -> None:
    """List the layers, units and heads of a model."""
    from generator.inspect_notes import print_layers
    from generator.models.load import load_model, parts_of
    from generator.paths import cache_root
    from generator.single import model_of_exhibit, spec_of_one

    other = architecture is not None or weights != "pretrained"
    known = None if other else model_of_exhibit(source, exhibit)
    base, spec = Path.cwd(), spec_of_one(source, architecture, weights)
    if known is not None:
        base, spec = known[0].base, known[1]
    # A layer's name must be readable in full, to be copied into an exhibit.
    console = terminal(max(terminal().width, 150))
    for part in parts_of(spec, base, cache_root()):
        print_layers(load_model(part, base, cache_root(), device=device), console)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Parameters of the kind follow as options, such as --image cat --classes tabby,lynx. "
    "The guide lists all kinds and their parameters (Write an article, Kinds of figure).",
)
def figure(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="What to make, such as cam or head_view.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A file: .html, .pdf, .svg or .png.")],
    model: Annotated[
        str,
        typer.Option(
            help="A model's id in the exhibit, or a source; the exhibit's if it has only one."
        ),
    ] = "",
    exhibit: option.Known = None,
    architecture: option.Architecture = None,
    weights: option.Weights = "pretrained",
    part: option.Part = "",
    width: Annotated[str, typer.Option(help="Such as 160mm, 6in or 680px.")] = "160mm",
    dpi: Annotated[int, typer.Option(min=36, max=1200, help="Of rasters.")] = 300,
    device: option.Device = "cpu",
    verbose: option.Verbose = False,
) -> None:
    """Make one figure or live component of an article alone, for papers, slides and other pages."""
    from generator import figure_alone as alone

    techniques = alone.techniques_here(exhibit)
    chosen = alone.parameters(kind, context.args, techniques, out)
    paper = alone.Paper(out, alone.pixels_of_width(width), dpi)
    made = alone.draw_alone(
        kind, model, exhibit, chosen, paper, device, techniques, architecture, weights, part
    )
    typer.echo(f"{out}: {made.caption}")


app.command()(compare)
app.command()(publish)


@app.command()
def doctor() -> None:
    """Say which versions, devices and caches there are, and what works."""
    from generator.doctor import examine

    table = Table(box=None, pad_edge=False, show_header=False)
    findings = examine()
    for finding in findings:
        mark = Text("ok", "green") if finding.works else Text("no", "red")
        table.add_row(mark, finding.name, finding.detail)
    terminal().print(table)
    if not all(finding.works for finding in findings if finding.needed):
        raise typer.Exit(1)


def main() -> None:
    """Run the command; a user's mistake ends in a sentence and an exit code, not a traceback."""
    verbose = any(word in {"-v", "--verbose"} for word in sys.argv[1:])
    try:
        app()
    except CutawayError as error:
        tell_failure(str(error), error.hint, verbose)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        hint = "The site was left as it was; the same command continues where it stopped."
        tell_failure(MENDABLE[error.errno].format(error.filename or ""), hint, verbose)
        sys.exit(1)
