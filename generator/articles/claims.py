"""Claims: a sentence beside the condition that it rests on. Where that does not hold, no site is built.

    {% claim effect.low > 0 %}Without this head the second copy is predicted worse.{% endclaim %}

Jinja evaluates the condition; what is added here is that every number of it is looked at on the way, so
that a missing one makes the claim fail and a failed claim is told with its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from markupsafe import Markup

from generator.articles.cells import Cell
from generator.articles.document import Claim, Document, Renderer
from generator.articles.errors import template_line
from generator.articles.expressions import as_written
from generator.errors import UsageError
from generator.formatting import NO_BREAK, number

_HOW = "write {% claim CONDITION %}sentence{% endclaim %}."
_SHOWN = 6  # values of a list in a message
# What reads a number from a table.
_READ = frozenset(("stat", "best", "rows", "rank"))


class ClaimTag(Extension):
    """`{% claim CONDITION %}sentence{% endclaim %}` as a call of the directive `claim`."""

    tags = {"claim"}  # noqa: RUF012 (an instance variable of Jinja's class)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Called by Jinja at the tag."""
        line = next(parser.stream).lineno
        if parser.stream.current.type == "block_end":
            parser.fail(f"a claim needs the condition that it rests on: {_HOW}", line)
        condition = parser.parse_expression()
        body = parser.parse_statements(("name:endclaim",), drop_needle=True)
        called = nodes.Name("claim", "load")
        written = nodes.Const(as_written(condition))  # before the next line changes it
        given = [_watched(condition, words=False), written]
        call = nodes.Call(called, given, [], None, None)
        block = nodes.CallBlock(call, [], [], body).set_lineno(line)
        # The environment drops a line break behind a tag. Behind a sentence it parts two words.
        broken = parser.stream.look().lineno > parser.stream.current.lineno
        return [block, nodes.Output([nodes.TemplateData("\n")])] if broken else [block]


def _watched(node: nodes.Expr, *, words: bool) -> nodes.Expr:
    """A condition in which each quantity passes through `_quantity` when it is evaluated.

    `words` says that it is compared with words, so that an empty cell is no missing number.
    """
    match node:
        case nodes.Const():
            return node
        case nodes.Compare():
            sides = [node.expr, *(one.expr for one in node.ops)]
            words = any(
                isinstance(one, nodes.Const) and isinstance(one.value, str) for one in sides
            )
            node.expr = _watched(node.expr, words=words)
            for one in node.ops:
                one.expr = _watched(one.expr, words=words)
        case nodes.BinExpr():
            node.left = _watched(node.left, words=words)
            node.right = _watched(node.right, words=words)
        case nodes.UnaryExpr():
            node.node = _watched(node.node, words=words)
        case nodes.List() | nodes.Tuple():
            node.items = [_watched(one, words=words) for one in node.items]
        case nodes.CondExpr():
            node.test = _watched(node.test, words=words)
            node.expr1 = _watched(node.expr1, words=words)
            node.expr2 = node.expr2 and _watched(node.expr2, words=words)
        case _:
            given: list[nodes.Expr] = [nodes.Const(as_written(node)), node, nodes.Const(words)]
            return nodes.Call(nodes.Name("_quantity", "load"), given, [], None, None)
    return node


@dataclass(frozen=True, eq=False)
class Claims:
    """Checks the claims of one article."""

    document: Document
    _seen: dict[str, Any] = field(default_factory=dict)

    def quantity(self, written: str, value: Any, words: bool) -> Any:
        """A value on its way into the condition: of a cell its number, not a number if it is empty."""
        if isinstance(value, Cell) and not words:
            value = str.__str__(value) if value and value.value is None else value.value
        if value is None:
            value = math.nan
        if isinstance(value, Iterator):  # what `map` and `select` give can be read but once
            value = list(value)
        self._seen[written] = value
        return value

    def claim(
        self, condition: Any, written: str = "", caller: Callable[[], str] | None = None
    ) -> Markup:
        """A sentence that the build checks: `{% claim CONDITION %}sentence{% endclaim %}`."""
        seen = dict(self._seen)
        self._seen.clear()
        if caller is None or not written:
            raise UsageError(_HOW)
        if not isinstance(condition, bool):
            raise UsageError(
                f"the condition is to compare numbers, and '{written}' gives {_in_words(condition)}."
            )
        sentence = Markup(caller()).strip()
        if "\n\n" in sentence:
            raise UsageError("a claim lies within one paragraph; give each paragraph its own.")
        line, text = template_line(), self.document.plain(sentence)
        numbers = ", ".join(f"{name} = {_in_words(value)}" for name, value in seen.items())
        missing = [name for name, value in seen.items() if _undefined(value)]
        if missing or not condition:
            why = f", for there is no {' and no '.join(missing)}" if missing else ""
            raise UsageError(
                f"“{text}” does not hold{why}: {written}, with {numbers}.",
                hint="Change what is said, or mend what it rests on.",
            )
        name = self.document.anchor(line, f"claim-{self.document.count('Claim')}", text)
        self.document.claims.append(Claim(name, text, written, numbers))
        return self._marked(line, name, sentence)

    def _marked(self, line: int, name: str, sentence: Markup) -> Markup:
        opening = Markup('<span class="c-claim" id="{}">').format(name)

        def opened(filling: Renderer) -> Markup:
            return opening

        first = self.document.gap(line, "claim", opened, "")
        last = self.document.gap(line, "claim", lambda _: Markup("</span>"), "")
        return Markup("{}{}{}").format(first, sentence, last)


def _undefined(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _in_words(value: Any) -> str:
    """A value in a message, short."""
    if isinstance(value, Cell) and value.value is not None:
        value = value.value
    if _undefined(value):
        return "not defined"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else number(value, 4)
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, list | tuple):
        more = ", …" if len(value) > _SHOWN else ""
        return f"[{', '.join(map(_in_words, value[:_SHOWN]))}{more}]"
    if isinstance(value, dict):
        return f"a row{NO_BREAK}of{NO_BREAK}{len(value)} cells"
    return f"'{value!s}'"


def claims_on_nothing(tree: nodes.Template) -> Iterator[int]:
    """The lines of claims whose condition holds no number of a table, so that it cannot change."""
    measured = _measured_names(tree)
    for block in tree.find_all(nodes.CallBlock):
        called, condition = block.call.node, nodes.Output(block.call.args[:1])
        is_claim = isinstance(called, nodes.Name) and called.name == "claim"
        if is_claim and not _measures(condition, measured):
            yield block.lineno


def _measures(node: nodes.Node, names: set[str]) -> bool:
    known = _READ | names
    return any(name.name in known and name.ctx == "load" for name in node.find_all(nodes.Name))


def _measured_names(tree: nodes.Template) -> set[str]:
    """Variables whose value comes, at some remove, from a table; what a macro is given counts too."""
    names = {one.name for macro in tree.find_all(nodes.Macro) for one in macro.args}
    flows = list(_flows(tree))
    while True:
        more = {name for target, node in flows if _measures(node, names) for name in target}
        if more <= names:
            return names
        names |= more


def _flows(tree: nodes.Template) -> Iterator[tuple[set[str], nodes.Node]]:
    """Names with what flows into them: {% set %}, {% for %}, and list.append(value)."""
    for one in tree.find_all((nodes.Assign, nodes.AssignBlock, nodes.For, nodes.Call)):
        match one:
            case nodes.Assign():
                yield _names(one.target), nodes.Output([one.node])
            case nodes.AssignBlock():
                yield _names(one.target), nodes.Scope(one.body)
            case nodes.For():
                yield _names(one.target), nodes.Output([one.iter])
            case nodes.Call(node=nodes.Getattr(node=nodes.Name() as changed)):
                yield {changed.name}, nodes.Output(one.args)


def _names(target: nodes.Node) -> set[str]:
    return {one.name for one in nodes.Output([target]).find_all(nodes.Name)}
