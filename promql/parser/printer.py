"""A syntax tree as text: on one line, or laid out over several as Prometheus does."""

import re

from promql.labels import METRIC_NAME, Matcher
from promql.parser.numbers import format_duration
from promql.parser.strings import quote
from promql.syntax import (
    Aggregate,
    At,
    Binary,
    Call,
    Duration,
    Matching,
    Node,
    Number,
    Paren,
    Selector,
    String,
    Subquery,
    Unary,
)
from promql.text_forms import format_value

MAX_LINE = 100
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_NO_METRICS = frozenset({"atan2", "bool", "group_left", "group_right", "ignoring", "inf", "nan", "on"})
_GROUPS = {"many-to-one": "group_left", "one-to-many": "group_right"}


def format_node(node: Node) -> str:
    """The expression on one line, in canonical form."""
    match node:
        case Number():
            return format_number(node)
        case String():
            return quote(node.value)
        case Paren():
            return f"({format_node(node.expr)})"
        case Unary():
            return f"{node.op}{format_node(node.expr)}"
        case Call(function="info", args=(vector, Selector() as labels)):
            return f"info({format_node(vector)}, {_selector(labels, in_braces=True)})"
        case Call():
            return f"{node.function}({', '.join(map(format_node, node.args))})"
        case Aggregate():
            return f"{_aggregation(node)}({', '.join(map(format_node, _arguments(node)))})"
        case Binary():
            return f"{format_node(node.left)} {_operator(node)} {format_node(node.right)}"
        case Subquery():
            return format_node(node.expr) + _subquery_suffix(node)
    return _selector(node)


def pretty(node: Node, level: int = 0) -> str:
    """The expression in canonical form; what is longer than 100 characters is laid out over several lines."""
    indent = "  " * level
    line = format_node(node)
    if len(line) <= MAX_LINE:
        return indent + line
    match node:
        case Paren():
            return f"{indent}(\n{pretty(node.expr, level + 1)}\n{indent})"
        case Unary():
            return f"{indent}{node.op}{pretty(node.expr, level).lstrip()}"
        case Call():
            return f"{indent}{node.function}(\n{_over_lines(node.args, level + 1)}\n{indent})"
        case Aggregate():
            return f"{indent}{_aggregation(node)}(\n{_over_lines(_arguments(node), level + 1)}\n{indent})"
        case Binary():
            return f"{pretty(node.left, level + 1)}\n{indent}{_operator(node)}\n{pretty(node.right, level + 1)}"
        case Subquery():
            return pretty(node.expr, level) + _subquery_suffix(node)
    return indent + line


def _over_lines(nodes: tuple[Node, ...], level: int) -> str:
    return ",\n".join(pretty(node, level) for node in nodes)


def format_number(node: Number) -> str:
    if node.is_duration:
        return format_duration(round(node.value * 1000))
    return format_value(node.value)


def _arguments(node: Aggregate) -> tuple[Node, ...]:
    return (node.expr,) if node.param is None else (node.param, node.expr)


def _aggregation(node: Aggregate) -> str:
    if node.by and not node.grouping:
        return node.op
    return f"{node.op} {'by' if node.by else 'without'} {_labels(node.grouping)} "


def _labels(names: tuple[str, ...]) -> str:
    return f"({', '.join(map(_label, names))})"


def _label(name: str) -> str:
    return name if _LABEL.fullmatch(name) else quote(name)


def _operator(node: Binary) -> str:
    return f"{node.op}{' bool' if node.return_bool else ''}{format_matching(node.matching)}"


def format_matching(matching: Matching) -> str:
    """How the sides meet, with a space before each part; often nothing."""
    group = _GROUPS.get(matching.card)
    text = ""
    if matching.on or matching.labels or group:
        text += f" {'on' if matching.on else 'ignoring'} {_labels(matching.labels)}"
    if group:
        text += f" {group} {_labels(matching.include)}"
    if matching.fill_left is not None and matching.fill_left == matching.fill_right:
        return f"{text} fill ({format_value(matching.fill_left)})"
    for word, value in (("fill_left", matching.fill_left), ("fill_right", matching.fill_right)):
        if value is not None:
            text += f" {word} ({format_value(value)})"
    return text


def _selector(node: Selector, *, in_braces: bool = False) -> str:
    named = [matcher for matcher in node.matchers if matcher.name == METRIC_NAME]
    name = named[0].value if len(named) == 1 and named[0].op == "=" and not in_braces else ""
    # A name that the grammar does not read as one is quoted among the matchers.
    plain = bool(_METRIC.fullmatch(name)) and name.lower() not in _NO_METRICS
    inner = [_matcher(one) for one in node.matchers if not (name and one is named[0])]
    if name and not plain:
        inner.insert(0, quote(name))
    braces = f"{{{', '.join(inner)}}}" if inner or not plain else ""
    length = ""
    if node.range_ms is not None:
        length = f"[{_duration(node.range_ms, node.range_expr)}]"
    extension = f" {node.extension}" if node.extension else ""
    return (name if plain else "") + braces + length + extension + _shift(node)


def _matcher(matcher: Matcher) -> str:
    return f"{_label(matcher.name)}{matcher.op}{quote(matcher.value)}"


def _subquery_suffix(node: Subquery) -> str:
    step = ""
    if node.step_ms is not None:
        step = _duration(node.step_ms, node.step_expr)
    return f"[{_duration(node.range_ms, node.range_expr)}:{step}]{_shift(node)}"


def _shift(node: Selector | Subquery) -> str:
    at = "" if node.at is None else f" @ {_moment(node.at)}"
    if node.offset_expr is not None:
        return f"{at} offset {_offset(node.offset_expr)}"
    return f"{at} offset {format_duration(node.offset_ms)}" if node.offset_ms else at


def _moment(at: At) -> str:
    return f"{at.at_ms / 1000:.3f}" if at.moment == "at" else f"{at.moment}()"


def _duration(milliseconds: int, expr: Duration | None) -> str:
    return format_duration(milliseconds) if expr is None else format_computed(expr)


def _offset(expr: Duration) -> str:
    """Arithmetic after `offset` stands in parentheses, which `wrapped` may already say."""
    inner = expr.right if expr.op == "-" and expr.left is None else expr
    bare = inner is not None and (inner.wrapped or inner.op in {"step", "range", "min_of", "max_of"})
    return format_computed(expr) if bare else f"({format_computed(expr)})"


def format_computed(expr: Duration) -> str:
    """A computed duration as it was written."""
    left = "" if expr.left is None else format_computed(expr.left)
    right = "" if expr.right is None else format_computed(expr.right)
    match expr.op:
        case "number":
            text = format_duration(round(expr.value * 1000)) if expr.is_duration else format_value(expr.value)
        case "step" | "range":
            text = f"{expr.op}()"
        case "min_of" | "max_of":
            text = f"{expr.op}({left}, {right})"
        case _:
            text = f"{left} {expr.op} {right}" if left else f"{expr.op}{right}"
    return f"({text})" if expr.wrapped else text
