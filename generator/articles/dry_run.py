"""What can be told of articles before anything is measured: a mistake need not wait for that.

Looked at is what stands there in so many words: names of directives, of kinds of figure with their
parameters, of models and of citations. What a variable holds is known when the article is read.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import cast

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

from generator.articles import lint
from generator.articles.catalogue import Catalogue, unknown_model
from generator.articles.claims import claims_on_nothing
from generator.articles.directives import Blocks, directives
from generator.articles.document import Document
from generator.articles.errors import Mistakes, WritingError, named
from generator.articles.kinds import KINDS, Kind, check_kind
from generator.articles.knobs import wrong_choices
from generator.articles.read import article_jinja, callable_names, not_jinja, texts_of
from generator.articles.source import Source, Writing
from generator.errors import did_you_mean
from generator.files import tell

# Parameters of every figure, whatever its kind.
_OF_FIGURES = frozenset(
    name
    for name, one in inspect.signature(Blocks.figure).parameters.items()
    if one.kind is one.KEYWORD_ONLY
)
_NAMES_A_MODEL_FIRST = ("head", "unit", "layer", "model", "page")


def check_early(
    writing: Writing, models: Collection[str], kinds: Mapping[str, Kind] = KINDS
) -> None:
    """Raises WritingErrors with all mistakes. `models` are the ids of the exhibit's models."""
    mistakes = Mistakes(list(writing.mistakes))
    for source in writing.sources:
        document = Document(source, writing.bibliography)
        # Nothing is called here, so that nothing has to be shown.
        jinja = article_jinja(directives(document, cast(Catalogue, None)))
        for text, first in texts_of(source):
            for one in lint.mistakes(text):
                error = WritingError(source.path, one.line + first - 1, one.text, one.hint)
                mistakes.found.append(error)
            for one in lint.remarks(text):
                tell(f"{source.path}, line {one.line + first - 1}: {one.text}.")
            with mistakes:
                _check(text, first, source, jinja, document, models, kinds)
    mistakes.tell()


def _check(
    text: str,
    first: int,
    source: Source,
    jinja: Environment,
    document: Document,
    models: Collection[str],
    kinds: Mapping[str, Kind],
) -> None:
    try:
        tree = jinja.parse("\n" * (first - 1) + text)
        unknown = meta.find_undeclared_variables(tree) - set(jinja.globals)
    except TemplateSyntaxError as error:
        raise not_jinja(source.path, error, jinja) from error
    mistakes = Mistakes()
    for name in tree.find_all(nodes.Name):
        if name.name in unknown:
            near = did_you_mean(name.name, callable_names(jinja.globals))
            reason = f"'{name.name}' is undefined. {near}"
            mistakes.found.append(WritingError(source.path, name.lineno, reason, lint.TWO_BRACES))
    for line in () if unknown else claims_on_nothing(tree):
        reason = "claim: the condition holds no number of a table, so that it cannot fail."
        hint = "Compare what stat, best, rows or rank has read."
        mistakes.found.append(WritingError(source.path, line, reason, hint))
    for line in _answers_alone(tree):
        reason = (
            "answer: belongs to no exercise; put it before the 'endcall' of one, or right behind."
        )
        mistakes.found.append(WritingError(source.path, line, reason))
    for line, wrong in wrong_choices(tree):
        with mistakes, named(source.path, line, "choose"):
            raise wrong
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in jinja.globals:
            with mistakes, named(source.path, call.lineno, call.node.name):
                _check_call(call.node.name, call, document, models, kinds)
    mistakes.tell()


def _answers_alone(node: nodes.Node) -> Iterator[int]:
    """The lines of answers that are neither in an exercise nor right behind one."""
    before = ""
    for child in node.iter_child_nodes():
        called = child.call.node if isinstance(child, nodes.CallBlock) else None
        name = called.name if isinstance(called, nodes.Name) else ""
        if name == "answer" and before != "exercise":
            yield child.lineno
        if name != "exercise":
            yield from _answers_alone(child)
        before = before if _is_empty(child) else name


def _is_empty(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Output) and all(
        isinstance(one, nodes.TemplateData) and not one.data.strip() for one in node.nodes
    )


def _check_call(
    directive: str,
    call: nodes.Call,
    document: Document,
    models: Collection[str],
    kinds: Mapping[str, Kind],
) -> None:
    words = [one.value if isinstance(one, nodes.Const) else None for one in call.args]
    stated = {
        pair.key: pair.value.value if isinstance(pair.value, nodes.Const) else None
        for pair in call.kwargs
    }
    if directive in _NAMES_A_MODEL_FIRST and words:
        stated.setdefault("model", words[0])
    model = stated.get("model")
    if isinstance(model, str) and model not in models:
        raise unknown_model(model, models)
    if directive == "cite":
        for word in words:
            if isinstance(word, str):
                document.bibliography.check(word)
    open_ended = call.dyn_args is not None or call.dyn_kwargs is not None
    if directive == "figure" and words and isinstance(words[0], str) and not open_ended:
        check_kind(words[0], [name for name in stated if name not in _OF_FIGURES], kinds)
