"""From the text of an article to HTML with gaps: Jinja, then Markdown."""

from __future__ import annotations

import traceback
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError

from generator.articles.addresses import with_addresses
from generator.articles.bibliography import Bibliography
from generator.articles.directives import directives
from generator.articles.draft import Article, Draft, check_ids
from generator.articles.errors import WritingError
from generator.articles.markdown import convert, convert_line
from generator.articles.shown import Shown
from generator.articles.source import Source
from generator.errors import did_you_mean
from generator.pages.environment import number, percent, thousands

_APPENDIX = ("acknowledgements", "contributions", "corrections")


def read_article(source: Source, shown: Shown, bibliography: Bibliography) -> Article:
    """Everything in an article that does not wait for its pictures. Raises WritingError."""
    draft = Draft(source, bibliography)
    reader = _Reader(draft, shown)
    meta = source.meta
    abstract = convert_line(reader.expand(meta.abstract, source.lines.get("abstract", 1)))
    body = convert(reader.expand(source.body, 1))
    html = with_addresses(body.html, source, draft.links)
    appendix = {
        name: convert_line(reader.expand(getattr(meta, name), source.lines.get(name, 1)))
        for name in _APPENDIX
    }
    article = Article(draft, html, body.headings, abstract, appendix)
    check_ids(article)
    return article


class _Reader:
    """Runs the directives of one article."""

    def __init__(self, draft: Draft, shown: Shown) -> None:
        self._draft = draft
        self._calls = directives(draft, shown)
        self._jinja = Environment(
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            # {#name} is how Markdown gives a heading an id: Jinja's own comments would swallow it.
            comment_start_string="{/*",
            comment_end_string="*/}",
        )
        self._jinja.globals = {name: self._jinja.globals[name] for name in ("range", "dict")}
        self._jinja.globals.update(self._calls)
        self._jinja.filters.update(num=number, percent=percent, thousands=thousands)

    def expand(self, text: str, first: int) -> str:
        """Text whose first line is line `first` of the file, its directives run."""
        path = self._draft.source.path
        padded = "\n" * (first - 1) + text
        try:
            return self._jinja.from_string(padded).render().strip("\n")
        except WritingError:
            raise
        except TemplateSyntaxError as error:
            # "No filter named 'nums'": other messages quote what Jinja looked for.
            named = str(error.message).startswith("No ")
            names = [*self._jinja.filters, *self._jinja.tests] if named else []
            near = _nearest(str(error.message), names)
            raise WritingError(path, error.lineno, f"{error.message} {near}".strip()) from error
        except UndefinedError as error:
            near = _nearest(str(error.message), self._calls)
            raise WritingError(path, _line(error), f"{error.message}. {near}".strip()) from error
        except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError) as error:
            raise WritingError(path, _line(error), f"{error}.") from error


def _nearest(message: str, names: Any) -> str:
    """The nearest name to the one that a message quotes."""
    quoted = message.split("'")
    return did_you_mean(quoted[1], names) if len(quoted) > 2 else ""


def _line(error: BaseException) -> int:
    """The line of the template that an error came from: Jinja writes it into the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == "<template>"]
    return lines[-1] or 1 if lines else 1
