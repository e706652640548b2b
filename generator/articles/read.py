"""From the text of an article to HTML with gaps: Jinja, then Markdown."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError

from generator.articles.addresses import with_addresses
from generator.articles.bibliography import Bibliography
from generator.articles.catalogue import Catalogue
from generator.articles.claims import ClaimTag
from generator.articles.directives import Directive, directives
from generator.articles.document import Article, Document, check_ids
from generator.articles.errors import WritingError
from generator.articles.lint import unclosed_block
from generator.articles.markdown import convert, convert_line
from generator.articles.source import Source
from generator.errors import UsageError, did_you_mean
from generator.formatting import number, percent, thousands

_FOLLOWING = (TemplateError, ArithmeticError, TypeError, ValueError, LookupError)
_APPENDIX = ("acknowledgements", "contributions", "corrections")


def read_article(source: Source, catalogue: Catalogue, bibliography: Bibliography) -> Article:
    """Everything in an article that does not wait for its pictures. Raises WritingErrors."""
    document = Document(source, bibliography)
    catalogue.forget_credits()
    reader = _Reader(document, catalogue)
    expanded: list[str] = []
    for text, first in texts_of(source):
        with document.mistakes:
            expanded.append(reader.expand(text, first))
    document.mistakes.tell()
    abstract, text, *rest = expanded
    body = convert(text)
    html = with_addresses(body.html, source, document.links)
    front = {
        name: with_addresses(
            convert_line(text), source, document.links, source.lines.get((name,), 1)
        )
        for name, text in zip(("abstract", *_APPENDIX), (abstract, *rest), strict=True)
    }
    abstract = front.pop("abstract")
    pictures = tuple({one.sha256: one for one in catalogue.credits}.values())
    article = Article(document, html, body.headings, abstract, front, pictures)
    check_ids(article)
    return article


def texts_of(source: Source) -> list[tuple[str, int]]:
    """The texts of an article in which directives may stand, each with its first line."""
    meta, lines = source.meta, source.lines
    appendix = [(getattr(meta, name), lines.get((name,), 1)) for name in _APPENDIX]
    return [(meta.abstract, lines.get(("abstract",), 1)), (source.body, 1), *appendix]


def article_jinja(calls: Mapping[str, Directive]) -> Environment:
    """What runs the text of an article; `calls` are its directives."""
    jinja = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        extensions=[ClaimTag],
        trim_blocks=True,
        lstrip_blocks=True,
        # {#name} is how Markdown gives a heading an id: Jinja's own comments would swallow it.
        comment_start_string="{/*",
        comment_end_string="*/}",
    )
    jinja.globals = {name: jinja.globals[name] for name in ("range", "dict")} | dict(calls)
    jinja.filters.update(num=number, percent=percent, thousands=thousands)
    return jinja


def callable_names(known: Iterable[str]) -> list[str]:
    """The names that authors write, of all that templates know."""
    return [name for name in known if not name.startswith("_")]


def not_jinja(path: Path, error: TemplateSyntaxError, jinja: Environment) -> WritingError:
    """A text that Jinja cannot read; a block that is not closed is told by the line that opens it."""
    message = str(error.message)
    if message.startswith(("Unexpected end of template", "Missing end of raw")):
        opened = unclosed_block(str(error.source or ""))
        if opened:
            return WritingError(path, opened.line, opened.text)
    # "No filter named 'nums'": other messages quote what Jinja looked for.
    names = [*jinja.filters, *jinja.tests] if message.startswith("No ") else []
    near = _nearest(message, names)
    return WritingError(path, error.lineno, f"{message} {near}".strip())


class _Reader:
    """Runs the directives of one article."""

    def __init__(self, document: Document, catalogue: Catalogue) -> None:
        self._document = document
        self._calls = directives(document, catalogue)
        self._jinja = article_jinja(self._calls)

    def expand(self, text: str, first: int) -> str:
        """Text whose first line is line `first` of the file, its directives run."""
        path = self._document.source.path
        padded = "\n" * (first - 1) + text
        try:
            return self._jinja.from_string(padded).render().strip("\n")
        except WritingError:
            raise
        except TemplateSyntaxError as error:
            raise not_jinja(path, error, self._jinja) from error
        except UsageError as error:  # of a cell that is compared and holds no number
            raise WritingError(path, _line(error), str(error), error.hint) from error
        except _FOLLOWING as error:
            if self._document.mistakes.found:
                return ""  # what a directive with a mistake did not give is no second mistake
            if not isinstance(error, UndefinedError):
                raise WritingError(path, _line(error), f"{error}.") from error
            near = _nearest(str(error.message), callable_names(self._calls))
            raise WritingError(path, _line(error), f"{error.message}. {near}".strip()) from error


def _nearest(message: str, names: Any) -> str:
    """The nearest name to the one that a message quotes."""
    quoted = message.split("'")
    return did_you_mean(quoted[1], names) if len(quoted) > 2 else ""


def _line(error: BaseException) -> int:
    """The line of the template that an error came from: Jinja writes it into the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == "<template>"]
    return lines[-1] or 1 if lines else 1
