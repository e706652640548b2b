"""What articles publish beside their pages: files that lie with them, and figures for the gallery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from generator.articles.addresses import leads_to, links_in
from generator.articles.document import Article
from generator.articles.source import GUIDE
from generator.files import read_text, some_of, tell
from generator.pages.figures import GalleryItem, Told, shortened
from generator.pages.page import Page


def told_figures(articles: Iterable[Article]) -> list[Told]:
    """The figures of articles and lectures with their kinds, in the order of the texts.

    The guide's are examples of how to write one. Of a choice there is the first.
    """
    found = []
    for article in articles:
        source = article.source
        for one in article.document.figures if source.section != GUIDE else ():
            if one.variant > 1:
                continue
            light, *dark = one.paths
            shown = GalleryItem(
                path=light,
                target=f"{source.address}#{one.id}",
                about=shortened(one.alt),
                model=one.model,
                ink=not dark,
                dark="".join(dark),
                section=source.section,
                title=source.meta.title,
            )
            found.append((one.kind, shown))
    return found


# What asks for files itself, such as a page in a frame for its script.
_ASKING = {".html", ".htm", ".svg"}
# Tables are read by `stat`, and need no link.
_READ = {".csv"}


def asked_files(
    articles: Sequence[Article], pages: Sequence[Page], files: Mapping[str, Path], *, every: bool
) -> dict[str, Path]:
    """The files, by address, that articles ask for, and those that such a file asks for in turn.

    Drafts, their backups and whatever else lies there stay at home; the user is told which, where the
    articles are `every` one.
    """
    written = {article.source.address for article in articles}
    bodies = [(page.address, page.body) for page in pages if page.address in written]
    found: dict[str, Path] = {}
    while bodies:
        origin, html = bodies.pop()
        for target in dict.fromkeys(leads_to(origin, link) for link in links_in(html)):
            if target in files and target not in found:
                found[target] = files[target]
                if files[target].suffix.lower() in _ASKING:
                    bodies.append((target, read_text(files[target])))
    left = [name for name, path in files.items() if name not in found and path.suffix not in _READ]
    if left and every:
        tell(f"not published, since no article links to it: {some_of(left)}.")
    return dict(sorted(found.items()))
