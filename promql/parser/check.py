"""What the grammar alone does not say: types, numbers of arguments, what can be matched with what."""

import re2

from promql.errors import ParseError, UnsupportedError
from promql.labels import METRIC_NAME, Matcher, compile_anchored
from promql.parser import signatures
from promql.parser.signatures import MATRIX, SCALAR, STRING, TYPE_NAMES, VECTOR
from promql.syntax import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Matching,
    Node,
    Number,
    Paren,
    Selector,
    String,
    Subquery,
    Unary,
    unwrap,
)


def type_of(node: Node) -> str:
    """vector, scalar, matrix or string."""
    match node:
        case Paren() | Unary():
            return type_of(node.expr)
        case Number():
            return SCALAR
        case String():
            return STRING
        case Subquery():
            return MATRIX
        case Selector():
            return VECTOR if node.range_ms is None else MATRIX
        case Call():
            return signatures.SIGNATURES[node.function].answer
        case Binary():
            return SCALAR if type_of(node.left) == type_of(node.right) == SCALAR else VECTOR
    return VECTOR


def expect_type(node: Node, wanted: str, context: str) -> None:
    """Raise ParseError, at the node's place, where it has another type."""
    found = type_of(node)
    if found != wanted:
        raise ParseError(f"expected type {TYPE_NAMES[wanted]} in {context}, got {TYPE_NAMES[found]}", node.start)


def check_matchers(matchers: list[tuple[Matcher, int]]) -> None:
    """Raise ParseError at a regular expression that is none; the numbers are the places of the values."""
    for matcher, place in matchers:
        if matcher.op in {"=~", "!~"}:
            try:
                compile_anchored(matcher.value)
            except re2.error as error:
                message = f"illegal regex {matcher.value!r} for label {matcher.name}: {error}"
                raise ParseError(message, place) from None


def check_selective(matchers: tuple[Matcher, ...], start: int) -> None:
    """Raise ParseError where the matchers would take series without any of these labels, that is, all there are."""
    if all(matcher.matches("") for matcher in matchers):
        raise ParseError("vector selector must contain at least one non-empty matcher", start)


def check_call(call: Call, experimental: bool) -> None:
    """Raise ParseError or UnsupportedError where a function is not called as it can be."""
    signature = signatures.SIGNATURES.get(call.function)
    if signature is None:
        raise ParseError(f'unknown function with name "{call.function}"', call.start)
    if call.function in signatures.NATIVE_HISTOGRAMS_ONLY:
        raise UnsupportedError(f"{call.function}() needs native histograms, which are not supported", call.start)
    if signature.experimental and not experimental:
        raise ParseError(f"{call.function}() is experimental and not switched on", call.start)
    given, name = len(call.args), f'call to "{call.function}"'
    if not signature.variadic and given != len(signature.args):
        raise ParseError(f"expected {len(signature.args)} argument(s) in {name}, got {given}", call.start)
    if given < signature.fewest:
        raise ParseError(f"expected at least {signature.fewest} argument(s) in {name}, got {given}", call.start)
    if signature.most is not None and given > signature.most:
        raise ParseError(f"expected at most {signature.most} argument(s) in {name}, got {given}", call.start)
    for place, arg in enumerate(call.args):
        expect_type(arg, signature.args[min(place, len(signature.args) - 1)], f'call to function "{call.function}"')
    if call.function == "info" and given > 1 and not isinstance(call.args[1], Selector):
        raise ParseError(f"expected label selectors only as the second argument in {name}", call.args[1].start)
    _check_extension(call)


def _check_extension(call: Call) -> None:
    """An extended range makes sense to few functions."""
    for arg in call.args:
        range_vector = unwrap(arg)
        if isinstance(range_vector, Selector) and range_vector.extension and range_vector.range_ms is not None:
            smoothed = range_vector.extension == "smoothed"
            able = signatures.SMOOTHABLE if smoothed else signatures.ANCHORABLE
            if call.function not in able:
                raise ParseError(
                    f"{range_vector.extension} modifier can only be used with: {', '.join(able)}"
                    f" - not with {call.function}",
                    arg.start,
                )


def check_aggregate(node: Aggregate, experimental: bool) -> None:
    """Raise ParseError where an aggregation is not used as it can be."""
    if node.op in signatures.EXPERIMENTAL_AGGREGATIONS and not experimental:
        raise ParseError(f"{node.op}() is experimental and not switched on", node.start)
    expect_type(node.expr, VECTOR, "aggregation expression")
    wanted = signatures.AGGREGATIONS[node.op]
    if node.param is not None and wanted is not None:
        expect_type(node.param, wanted, "aggregation parameter")


def check_unary(node: Unary) -> None:
    found = type_of(node.expr)
    if found not in {SCALAR, VECTOR}:
        raise ParseError(
            f'unary expression only allowed on expressions of type scalar or instant vector, got "{TYPE_NAMES[found]}"',
            node.start,
        )


def check_subquery(node: Subquery) -> None:
    found = type_of(node.expr)
    if found != VECTOR:
        raise ParseError(f"subquery is only allowed on instant vector, got {TYPE_NAMES[found]} instead", node.start)


def check_binary(node: Binary, operator_at: int) -> None:
    """Raise ParseError where an operator cannot be between these sides; `operator_at` is its place."""
    left, right = type_of(node.left), type_of(node.right)
    for side, found in ((node.left, left), (node.right, right)):
        if found not in {SCALAR, VECTOR}:
            raise ParseError("binary expression must contain only scalar and instant vector types", side.start)
    if node.return_bool and node.op not in COMPARISONS:
        raise ParseError("bool modifier can only be used on comparison operators", operator_at)
    if left == right == VECTOR:
        _check_matching(node, operator_at)
        return
    if node.op in COMPARISONS and not node.return_bool and left == right == SCALAR:
        raise ParseError("comparisons between scalars must use BOOL modifier", operator_at)
    if node.op in SET_OPERATORS:
        raise ParseError(f'set operator "{node.op}" not allowed in binary scalar expression', operator_at)
    if node.matching != Matching():
        raise ParseError("vector matching only allowed between instant vectors", operator_at)


def _check_matching(node: Binary, operator_at: int) -> None:
    matching = node.matching
    if node.op in SET_OPERATORS:
        if matching.card != "many-to-many":
            raise ParseError(f'no grouping allowed for "{node.op}" operation', operator_at)
        if matching.fill_left is not None or matching.fill_right is not None:
            raise ParseError(f'filling in missing series not allowed for "{node.op}" operation', operator_at)
    if matching.on:
        for label in matching.include:
            if label in matching.labels:
                raise ParseError(f'label "{label}" must not occur in ON and GROUP clause at once', operator_at)


def metric_name_of(matchers: tuple[Matcher, ...]) -> str:
    """The metric that matchers name by equality; "" for none."""
    return next((one.value for one in matchers if one.name == METRIC_NAME and one.op == "="), "")
