"""Jinja expressions, written out again: Jinja keeps no source text of them."""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import nodes

_SIGNS = {
    "eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in",
    "notin": "not in",
}  # fmt: skip
# What binds less is put in brackets inside what binds more.
_LOOSEST_FIRST: tuple[type[nodes.Node] | tuple[type[nodes.Node], ...], ...] = (
    nodes.Test,  # it takes the next word for what it is tested with
    nodes.CondExpr,
    nodes.Or,
    nodes.And,
    nodes.Not,
    nodes.Compare,
    (nodes.Add, nodes.Sub),
    nodes.Concat,
    (nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
    (nodes.Neg, nodes.Pos),
    nodes.Pow,
)


def as_written(node: nodes.Node) -> str:
    """An expression as an author would write it; spaces and quotes may differ."""
    match node:
        case nodes.Not():
            return f"not {_within(node, node.node)}"
        case nodes.Neg() | nodes.Pos():
            # A filter binds less than a sign before it.
            plain = isinstance(node.node, nodes.Name | nodes.Const | nodes.Getattr | nodes.Call)
            inner = as_written(node.node)
            return f"{node.operator}{inner}" if plain else f"{node.operator}({inner})"
        case nodes.BinExpr():
            return f"{_within(node, node.left)} {node.operator} {_right(node, node.right)}"
        case nodes.Compare():
            rest = (f" {_SIGNS[one.op]} {_right(node, one.expr)}" for one in node.ops)
            return _right(node, node.expr) + "".join(rest)
        case nodes.Concat():
            return " ~ ".join(_right(node, one) for one in node.nodes)
        case nodes.CondExpr():
            other = f" else {as_written(node.expr2)}" if node.expr2 else ""
            return f"{_right(node, node.expr1)} if {_right(node, node.test)}{other}"
        case _:
            return _tight(node)


def _tight(node: nodes.Node) -> str:
    """What needs no brackets wherever it stands."""
    match node:
        case nodes.Getattr():
            return f"{_right(node, node.node)}.{node.attr}"
        case nodes.Getitem():
            return f"{_right(node, node.node)}[{as_written(node.arg)}]"
        case nodes.Call():
            return f"{_right(node, node.node)}({_arguments(node)})"
        case nodes.Filter():
            given = f"({_arguments(node)})" if node.args or node.kwargs else ""
            return f"{_right(node, node.node) if node.node else ''}|{node.name}{given}"
        case nodes.Test():
            given = f"({_arguments(node)})" if node.args else ""
            tested = as_written(node.node)
            simple = _level(node.node) == len(_LOOSEST_FIRST)
            return f"{tested if simple else f'({tested})'} is {node.name}{given}"
        case _:
            return _literal(node)


def _literal(node: nodes.Node) -> str:
    """A name, a constant, or what is listed between brackets."""
    match node:
        case nodes.Const():
            text = str(node.value)
            return f'"{text}"' if isinstance(node.value, str) else text
        case nodes.Name():
            return node.name
        case nodes.List():
            return f"[{_listed(node.items)}]"
        case nodes.Tuple():
            return f"({_listed(node.items)}{',' if len(node.items) == 1 else ''})"
        case nodes.Dict():
            pairs = (f"{as_written(one.key)}: {as_written(one.value)}" for one in node.items)
            return "{" + ", ".join(pairs) + "}"
        case nodes.Slice():
            return ":".join(as_written(one) if one else "" for one in (node.start, node.stop))
        case _:
            return "…"


def _arguments(node: nodes.Call | nodes.Filter | nodes.Test) -> str:
    stated = (f"{pair.key}={as_written(pair.value)}" for pair in node.kwargs)
    return ", ".join([*map(as_written, node.args), *stated])


def _listed(items: Iterable[nodes.Node]) -> str:
    return ", ".join(map(as_written, items))


def _level(node: nodes.Node) -> int:
    for level, kinds in enumerate(_LOOSEST_FIRST):
        if isinstance(node, kinds):
            return level
    return len(_LOOSEST_FIRST)


def _within(outer: nodes.Node, inner: nodes.Node) -> str:
    text = as_written(inner)
    return f"({text})" if _level(inner) < _level(outer) else text


def _right(outer: nodes.Node, inner: nodes.Node) -> str:
    """The same where an equal level needs brackets too: a - (b - c)."""
    text, compound = as_written(inner), _level(inner) < len(_LOOSEST_FIRST)
    return f"({text})" if compound and _level(inner) <= _level(outer) else text
