"""The syntax tree of a query in the JSON form of Prometheus's parse_query."""

from __future__ import annotations

from typing import Any

import promql_parser

from promql import syntax
from promql.labels import METRIC_NAME, Matcher
from promql.text_forms import format_value


def function_signatures(parsed: promql_parser.Expr) -> dict[str, dict[str, Any]]:
    """Name, argument types and answer type of each function that a parsed query calls, by name."""
    found: dict[str, dict[str, Any]] = {}

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.Call):
            found[node.func.name] = {
                "name": node.func.name,
                "argTypes": [str(one).removeprefix("ValueType.").lower() for one in node.func.arg_types],
                "variadic": node.func.variadic,
                "returnType": str(node.func.return_type).removeprefix("ValueType.").lower(),
            }

    promql_parser.walk(parsed, visit)
    return found


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
    name = next((one.value for one in node.matchers if one.name == METRIC_NAME and one.op == "="), "")
    common = {"name": name, "matchers": matchers_of(node.matchers), **placed(node)}
    if node.range_ms is None:
        return {"type": "vectorSelector", **common}
    return {"type": "matrixSelector", "range": node.range_ms, **common}


def binary(node: syntax.Binary, functions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A binary expression; `matching` is null where a side is a scalar in Prometheus, which the defaults stand for here."""
    matching = node.matching
    return {
        "type": "binaryExpr",
        "op": node.op,
        "lhs": as_json(node.left, functions),
        "rhs": as_json(node.right, functions),
        "bool": node.return_bool,
        "matching": {
            "card": matching.card,
            "labels": list(matching.labels),
            "on": matching.on,
            "include": list(matching.include),
        },
    }


def as_json(node: syntax.Node, functions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A node with all below it."""
    match node:
        case syntax.Number():
            return {"type": "numberLiteral", "val": format_value(node.value)}
        case syntax.String():
            return {"type": "stringLiteral", "val": node.value}
        case syntax.Selector():
            return selector(node)
        case syntax.Subquery():
            inner = as_json(node.expr, functions)
            return {
                "type": "subquery",
                "expr": inner,
                "range": node.range_ms,
                "step": node.step_ms or 0,
                **placed(node),
            }
        case syntax.Call():
            arguments = [as_json(one, functions) for one in node.args]
            return {"type": "call", "func": functions.get(node.function, {"name": node.function}), "args": arguments}
        case syntax.Aggregate():
            return {
                "type": "aggregation",
                "op": node.op,
                "expr": as_json(node.expr, functions),
                "param": as_json(node.param, functions) if node.param is not None else None,
                "grouping": list(node.grouping),
                "without": not node.by,
            }
        case syntax.Binary():
            return binary(node, functions)
        case syntax.Negate():
            return {"type": "unaryExpr", "op": "-", "expr": as_json(node.expr, functions)}
        case syntax.Paren():
            return {"type": "parenExpr", "expr": as_json(node.expr, functions)}
