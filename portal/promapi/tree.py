"""The syntax tree of a query in the JSON form of Prometheus's parse_query."""

from __future__ import annotations

from typing import Any

from promql import syntax
from promql.labels import Matcher
from promql.parser.check import metric_name_of, type_of
from promql.parser.signatures import SIGNATURES, VECTOR
from promql.text_forms import format_value


def signature(function: str) -> dict[str, Any]:
    """Name, argument types and answer type of a function."""
    known = SIGNATURES[function]
    return {
        "name": known.name,
        "argTypes": list(known.args),
        "variadic": known.variadic,
        "returnType": known.answer,
    }


def matchers_of(matchers: tuple[Matcher, ...]) -> list[dict[str, str]]:
    """Matchers, the metric's name among them."""
    return [{"name": one.name, "value": one.value, "type": one.op} for one in matchers]


def placed(node: syntax.Selector | syntax.Subquery) -> dict[str, Any]:
    """Offset and `@` of a selector or subquery."""
    fixed = node.at.at_ms if node.at and node.at.moment == "at" else None
    return {
        "offset": node.offset_ms,
        "timestamp": fixed,
        "startOrEnd": node.at.moment if node.at and node.at.moment != "at" else None,
    }


def selector(node: syntax.Selector) -> dict[str, Any]:
    """A vector or matrix selector."""
    common = {
        "name": metric_name_of(node.matchers),
        "matchers": matchers_of(node.matchers),
        **placed(node),
        "anchored": node.extension == "anchored",
        "smoothed": node.extension == "smoothed",
    }
    if node.range_ms is None:
        return {"type": "vectorSelector", **common}
    return {"type": "matrixSelector", "range": node.range_ms, **common}


def binary(node: syntax.Binary) -> dict[str, Any]:
    """A binary expression; `matching` is null where a side is a scalar."""
    vectors = type_of(node.left) == type_of(node.right) == VECTOR
    return {
        "type": "binaryExpr",
        "op": node.op,
        "lhs": as_json(node.left),
        "rhs": as_json(node.right),
        "bool": node.return_bool,
        "matching": matching(node.matching) if vectors else None,
    }


def matching(given: syntax.Matching) -> dict[str, Any]:
    """How the two sides meet."""
    return {
        "card": given.card,
        "labels": list(given.labels),
        "on": given.on,
        "include": list(given.include),
        "fillValues": {"lhs": given.fill_left, "rhs": given.fill_right},
    }


def as_json(node: syntax.Node) -> dict[str, Any]:
    """A node with all below it."""
    match node:
        case syntax.Number():
            return {"type": "numberLiteral", "val": format_value(node.value)}
        case syntax.String():
            return {"type": "stringLiteral", "val": node.value}
        case syntax.Selector():
            return selector(node)
        case syntax.Subquery():
            inner = as_json(node.expr)
            return {
                "type": "subquery",
                "expr": inner,
                "range": node.range_ms,
                "step": node.step_ms or 0,
                **placed(node),
            }
        case syntax.Call():
            arguments = [as_json(one) for one in node.args]
            return {"type": "call", "func": signature(node.function), "args": arguments}
        case syntax.Aggregate():
            return {
                "type": "aggregation",
                "op": node.op,
                "expr": as_json(node.expr),
                "param": as_json(node.param) if node.param is not None else None,
                "grouping": list(node.grouping),
                "without": not node.by,
            }
        case syntax.Binary():
            return binary(node)
        case syntax.Unary():
            return {"type": "unaryExpr", "op": node.op, "expr": as_json(node.expr)}
        case syntax.Paren():
            return {"type": "parenExpr", "expr": as_json(node.expr)}
