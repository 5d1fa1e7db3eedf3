"""The notation of series in unit tests: `up{job="a"}` and `0+1x3 _ stale`. Source: prometheus `promql/parser`,
`series_desc`."""

from __future__ import annotations

import re

import promql
from promql import STALE_NAN, syntax

MAX_SAMPLES = 5_000_000
UNSIGNED = r"(?:inf|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
ITEM = re.compile(
    rf"(?P<gap>_)(?:x(?P<gaps>\d+))?"
    rf"|(?P<stale>stale)"
    rf"|(?P<first>[+-]?{UNSIGNED})(?P<delta>[+-]{UNSIGNED})?(?:x(?P<times>\d+))?",
    re.IGNORECASE,
)


class NotationError(ValueError):
    """A series or its values that cannot be read."""


def read_labels(text: str) -> dict[str, str]:
    """The labels of a series, its name among them; NotationError where it is a pattern, or no series."""
    if text.strip() in ("", "{}"):
        return {}
    try:
        node = promql.parse(text).expr
    except promql.ParseError as error:
        raise NotationError(f"{text!r} is no series: {error.message}") from None
    if not isinstance(node, syntax.Selector) or node.offset_ms or node.at is not None or node.range_ms is not None:
        raise NotationError(f'{text!r} is no series: write its name and labels, as in up{{job="a"}}')
    if any(matcher.op != "=" for matcher in node.matchers):
        raise NotationError(f"{text!r} is no series, but a pattern")
    return {matcher.name: matcher.value for matcher in node.matchers if matcher.value}


def read_values(text: str) -> list[float | None]:
    """A value per interval, None where there is no sample. `a+bxn` is a and n more, each by b larger; `axn` a and n
    more like it."""
    found: list[float | None] = []
    for word in text.split():
        if "{{" in word:
            raise NotationError("native histograms are not supported")
        item = ITEM.fullmatch(word)
        if item is None:
            raise NotationError(f"{word!r} is none of a number, 1+2x3, 1x3, _, _x3, stale")
        more = int(item["gaps"] or item["times"] or 0)
        if len(found) + more > MAX_SAMPLES:
            raise NotationError(f"more than {MAX_SAMPLES:,} samples")
        if item["gap"]:
            found += [None] * (more if item["gaps"] else 1)
        elif item["stale"]:
            found.append(STALE_NAN)
        elif item["delta"] and not item["times"]:
            raise NotationError(f"{word!r}: how often is missing, as in {word}x5")
        else:
            found += _expanded(float(item["first"]), float(item["delta"] or "0"), more)
    return found


def _expanded(first: float, delta: float, more: int) -> list[float]:
    found = [first]
    for _ in range(more):  # one after the other, as Prometheus adds them up: its sums have the same last bits
        found.append(found[-1] + delta)
    return found
