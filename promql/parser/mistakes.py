"""What was probably meant by a text that is no PromQL: `rate(x[5m]) by (y)`."""

import re
from collections.abc import Callable

from promql.errors import ParseError
from promql.parser.lexer import Token, tokenize
from promql.parser.signatures import AGGREGATIONS

_GROUPED = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless"})
_MAX_CORRECTIONS = 10
# Each correction reads the text anew; what a person wrote is far shorter.
_MAX_TEXT = 5_000


def explain(text: str, error: ParseError, is_promql: Callable[[str], bool]) -> ParseError:
    """The parser's error, or what is more helpful: a function that was grouped, with the query that was probably
    meant."""
    try:
        misplaced = _misplaced_grouping(tokenize(text))
    except ParseError:
        return error
    if misplaced is None:
        return error
    clause, _ = misplaced
    suggestion = _suggest(text, is_promql) if len(text) <= _MAX_TEXT else None
    return ParseError(
        f"`{clause.text} (…)` groups an aggregation such as sum, but stands after a function",
        clause.start,
        suggestion,
    )


def _misplaced_grouping(tokens: list[Token]) -> tuple[Token, Token] | None:
    """The first `by` or `without` that follows a call of a function, and the function's name."""
    opened: list[int] = []
    opened_last: int | None = None
    for index, token in enumerate(tokens):
        if token.text == "(":
            opened.append(index)
        elif token.text == ")":
            opened_last = opened.pop()
        elif token.text.lower() in {"by", "without"} and index and tokens[index - 1].text == ")" and opened_last:
            name = tokens[opened_last - 1]
            if name.kind == "word" and name.text.lower() not in AGGREGATIONS and name.text.lower() not in _GROUPED:
                return token, name
    return None


def _suggest(text: str, is_promql: Callable[[str], bool]) -> str | None:
    """The query with every `f(…) by (y)` turned into `sum by (y) (f(…))`, if that makes it PromQL."""
    for _ in range(_MAX_CORRECTIONS):
        if is_promql(text):
            return text
        corrected = _correct_first(text)
        if corrected is None:
            return None
        text = corrected
    return None


def _correct_first(text: str) -> str | None:
    try:
        tokens = tokenize(text)
    except ParseError:
        return None
    misplaced = _misplaced_grouping(tokens)
    if misplaced is None:
        return None
    clause, name = misplaced
    opening = tokens.index(clause) + 1
    if tokens[opening].text != "(":
        return None
    end = next(token for token in tokens[opening:] if token.text == ")")
    call = text[name.start : clause.start].rstrip()
    labels = text[tokens[opening].end : end.start].strip()
    return text[: name.start] + _grouped(name.text, call, clause.text, labels) + text[end.end :]


def _grouped(function: str, call: str, clause: str, labels: str) -> str:
    """The call under an aggregation; a quantile keeps `le`, and aggregates below itself."""
    inner = tokenize(call)
    comma = next((token for token in inner if token.text == ","), None)
    if function != "histogram_quantile" or comma is None:
        return f"sum {clause} ({labels}) ({call})"
    buckets = call[comma.end : inner[-2].start].strip()
    kept = [label for label in re.split(r"\s*,\s*", labels) if label and label != "le"]
    names = ", ".join(["le", *kept] if clause.lower() == "by" else kept)
    return f"{call[: comma.end]} sum {clause} ({names}) ({buckets}))"
