"""Which of the files that lie beside articles are published: those that a page asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from generator.articles.addresses import leads_to, links_in
from generator.articles.document import Article
from generator.files import read_text, some_of, tell
from generator.pages.page import Page

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
