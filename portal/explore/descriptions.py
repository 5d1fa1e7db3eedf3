"""The syntax tree of a query in words."""

from __future__ import annotations

from collections.abc import Callable

from core.ui.time_range import DAY, HOUR, MINUTE, SECOND
from portal.explore.functions import AGGREGATIONS, FUNCTIONS
from portal.explore.units import metric_of
from promql import syntax
from promql.labels import METRIC_NAME
from promql.parser.printer import format_computed
from promql.text_forms import format_value
from usage.catalog import BY_SERIES, Family

Naming = Callable[[syntax.Node], str]

MATCHES = {"=": "is", "!=": "is not", "=~": "matches", "!~": "does not match"}
COMPARED = {">": "above", "<": "below", ">=": "at or above", "<=": "at or below", "==": "equal to", "!=": "other than"}
ARITHMETIC = {
    "+": "plus",
    "-": "minus",
    "*": "times",
    "/": "divided by",
    "%": "modulo",
    "^": "to the power of",
    "atan2": "(atan2) over",
}
PRECEDENCE = {
    op: rank
    for rank, ops in enumerate(
        (("or",), ("and", "unless"), tuple(COMPARED), ("+", "-"), ("*", "/", "%", "atan2"), ("^",))
    )
    for op in ops
}


def sentence(node: syntax.Node) -> str:
    """The whole query in one sentence."""
    return f"{capitalised(part_description(node))}."


def capitalised(text: str) -> str:
    """With its first letter large."""
    return f"{text[:1].upper()}{text[1:]}"


def part_description(node: syntax.Node) -> str:
    """A part of a sentence, with what is below it."""
    inner = syntax.unwrap(node)
    return describe(
        inner,
        lambda child: f"({part_description(child)})" if _needs_brackets(inner, child) else part_description(child),
    )


def _needs_brackets(parent: syntax.Node, child: syntax.Node) -> bool:
    """Whether an operation within a sentence could be read in another way."""
    inner = syntax.unwrap(child)
    if not isinstance(inner, syntax.Binary):
        return False
    if not isinstance(parent, syntax.Binary):
        return True
    own, others = PRECEDENCE[inner.op], PRECEDENCE[parent.op]
    return own < others or (own == others and child is parent.right)


EXTENSIONS = {
    "": "",
    "anchored": ", from the last sample before that on",
    "smoothed": ", interpolated between the samples around its edges",
}


def describe(node: syntax.Node, name: Naming) -> str:
    """One node in words; `name` says how the nodes below are called."""
    match node:
        case syntax.Paren():
            return describe(node.expr, name)
        case syntax.Number():
            return format_value(node.value)
        case syntax.String():
            return f"“{node.value}”"
        case syntax.Selector():
            return selector(node)
        case syntax.Subquery():
            every = f", every {length(node.step_ms, node.step_expr)}" if node.step_ms is not None else ""
            over = length(node.range_ms, node.range_expr)
            return f"{name(node.expr)}, evaluated over the last {over}{every}{_moved(node)}"
        case syntax.Call():
            return _call(node, name)
        case syntax.Aggregate():
            return _aggregate(node, name)
        case syntax.Binary():
            return _binary(node, name)
        case syntax.Unary():
            return f"minus {name(node.expr)}" if node.op == "-" else name(node.expr)


def selector(node: syntax.Selector) -> str:
    """What a selector selects: the metric's meaning, the labels it wants, its range."""
    metric = metric_of(node)
    family = BY_SERIES.get(metric)
    subject = meaning(metric, family) if metric else "all series"
    wanted = [f"{one.name} {MATCHES[one.op]} “{one.value}”" for one in node.matchers if one.name != METRIC_NAME]
    patterns = [
        f"whose name {MATCHES[one.op]} “{one.value}”"
        for one in node.matchers
        if one.name == METRIC_NAME and one.op != "="
    ]
    parts = [subject, *patterns]
    if wanted:
        parts.append(f"where {' and '.join(wanted)}")
    if node.range_ms is not None:
        parts.append(f"in the last {length(node.range_ms, node.range_expr)}")
    return " ".join(parts) + EXTENSIONS[node.extension] + _moved(node)


def meaning(metric: str, family: Family | None) -> str:
    """The catalog's words for a series' name."""
    if family is None:
        return f"“{metric}”"
    help_text = f"{family.help[:1].lower()}{family.help[1:]}" if not family.help[:2].isupper() else family.help
    if family.type == "histogram":
        for suffix, part in (("_bucket", "buckets of"), ("_count", "the count of"), ("_sum", "the sum of")):
            if metric.endswith(suffix):
                return f"{part} “{help_text}”"
    return f"“{help_text}”"


def _moved(node: syntax.Selector | syntax.Subquery) -> str:
    ago = f", {span(abs(node.offset_ms))} {'ago' if node.offset_ms > 0 else 'later'}" if node.offset_ms else ""
    if node.offset_expr is not None and not node.offset_ms:
        ago = f", {format_computed(node.offset_expr)} ago"
    if node.at is None:
        return ago
    if node.at.moment == "at":
        return f"{ago}, at the time {format_value(node.at.at_ms / SECOND)}"
    return f"{ago}, at the {node.at.moment} of the range"


def _call(node: syntax.Call, name: Naming) -> str:
    arguments = [name(one) for one in node.args]
    function = FUNCTIONS.get(node.function)
    if function is None:
        return f"{node.function} of {', '.join(arguments)}"
    # What may be left out: rounding is to whole numbers, dates are of the present time.
    defaults = {"round": ["", "1"]}.get(node.function, ["now"])
    arguments += defaults[len(arguments) :]
    return function.description.format(*arguments, rest=", ".join(arguments[1:]))


def _aggregate(node: syntax.Aggregate, name: Naming) -> str:
    labels = ", ".join(node.grouping)
    if node.by:
        grouping = f" per {labels}" if labels else " over all"
    else:
        grouping = f" per all labels but {labels}" if labels else " per label set"
    if node.op in ("topk", "bottomk", "limitk", "limit_ratio", "group") and node.by and not labels:
        grouping = ""
    parameter = name(node.param) if node.param is not None else ""
    return AGGREGATIONS[node.op].description.format(name(node.expr), parameter, by=grouping)


def _binary(node: syntax.Binary, name: Naming) -> str:
    left, right = name(node.left), name(node.right)
    pairs = _pairs(node)
    if node.op == "and":
        return f"{left}, where {right} has a series too{pairs}"
    if node.op == "unless":
        return f"{left}, except where {right} has a series{pairs}"
    if node.op == "or":
        return f"{left}, and {right} where the former has no series{pairs}"
    if node.op in COMPARED:
        if node.return_bool:
            return f"1 where {left} is {COMPARED[node.op]} {right}, else 0{pairs}"
        return f"{left}, only where {COMPARED[node.op]} {right}{pairs}"
    return f"{left} {ARITHMETIC[node.op]} {right}{pairs}"


def _pairs(node: syntax.Binary) -> str:
    """How series of both sides find each other, where it is not by all labels."""
    matching, labels = node.matching, ", ".join(node.matching.labels)
    said = ""
    if matching.on:
        said = f", pairs of equal {labels}" if labels else ", all pairs"
    elif labels:
        said = f", pairs of equal labels but for {labels}"
    if matching.card in ("many-to-one", "one-to-many"):
        side = "right" if matching.card == "many-to-one" else "left"
        taken = f" with its {', '.join(matching.include)}" if matching.include else ""
        said += f", one on the {side} for many{taken}"
    return said


def length(ms: int, computed: syntax.Duration | None) -> str:
    """A range or step; one that depends on the range of the evaluation as it was written."""
    return span(ms) if ms or computed is None else format_computed(computed)


def span(ms: int) -> str:
    """A length of time: "5 min", "90 s"."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")):
        if ms and ms % size == 0:
            return f"{ms // size} {unit}"
    return f"{ms} ms"
