"""The parameters of the Prometheus HTTP API, with its defaults, forms and error texts."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import datetime

from django.http import HttpRequest, QueryDict

import promql
from promql.syntax import Selector

MAX_POINTS = 11_000


class BadParameter(ValueError):
    """A parameter that cannot be used; answered as bad_data."""


def given(request: HttpRequest) -> QueryDict:
    """The parameters of the URL and, for POST, of the form body; the body's come first, as in Go."""
    merged = QueryDict(mutable=True)
    if request.method == "POST":
        merged.update(request.POST)
    for name, values in request.GET.lists():
        merged.setlist(name, [*merged.getlist(name), *values])
    return merged


def first(parameters: QueryDict, name: str) -> str:
    """The first value of a parameter, "" where it is absent."""
    values = parameters.getlist(name)
    return str(values[0]) if values else ""


def milliseconds(parameters: QueryDict, name: str, default: int | None = None) -> int:
    """A time: Unix seconds with an optional fraction, or RFC 3339. Without a default it must be there."""
    text = first(parameters, name)
    if not text:
        if default is not None:
            return default
        raise BadParameter(f'invalid parameter "{name}": cannot parse "" to a valid timestamp')
    try:
        seconds = float(text)
        if not math.isfinite(seconds) or abs(seconds) > 1e12:
            raise BadParameter(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp')
        return round(seconds * 1000)
    except ValueError as error:
        if isinstance(error, BadParameter):
            raise
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            raise ValueError(text)
    except ValueError:
        raise BadParameter(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp') from None
    return round(moment.timestamp() * 1000)


def duration_seconds(text: str, name: str) -> float:
    """A duration: seconds as a number, or Prometheus's form."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = promql.parse_duration(text) / 1000
        except ValueError:
            raise BadParameter(f'invalid parameter "{name}": cannot parse "{text}" to a valid duration') from None
    if not math.isfinite(seconds) or abs(seconds) > 1e10:
        raise BadParameter(f'invalid parameter "{name}": cannot parse "{text}" to a valid duration. It overflows int64')
    return seconds


def steps(parameters: QueryDict) -> tuple[int, int, int]:
    """Start, end and step of a range query, in milliseconds."""
    start, end = milliseconds(parameters, "start"), milliseconds(parameters, "end")
    if end < start:
        raise BadParameter('invalid parameter "end": end timestamp must not be before start time')
    step = duration_seconds(first(parameters, "step"), "step")
    step_ms = round(step * 1000)
    if step_ms <= 0:
        raise BadParameter(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted.'
            " Try a positive integer"
        )
    if (end - start) / step_ms > MAX_POINTS:
        raise BadParameter(
            f"exceeded maximum resolution of {MAX_POINTS:,} points per timeseries."
            " Try decreasing the query resolution (?step=XX)"
        )
    return start, end, step_ms


def whole(parameters: QueryDict, name: str) -> int:
    """A limit; 0 where it is absent, which means none."""
    text = first(parameters, name)
    if not text:
        return 0
    if not text.isdecimal():
        raise BadParameter(f'invalid parameter "{name}": cannot parse "{text}" to a non-negative integer')
    return int(text)


def limits(parameters: QueryDict) -> promql.Limits:
    """The evaluation's limits, with the caller's `timeout` where it is shorter."""
    text = first(parameters, "timeout")
    if not text:
        return promql.Limits()
    return promql.Limits(timeout_seconds=min(duration_seconds(text, "timeout"), promql.Limits().timeout_seconds))


def lookback_ms(parameters: QueryDict) -> int:
    """How far back an instant selector looks: `lookback_delta`, 5 minutes by default."""
    text = first(parameters, "lookback_delta")
    found = round(duration_seconds(text, "lookback_delta") * 1000) if text else 300_000
    if found <= 0:
        raise BadParameter('invalid parameter "lookback_delta": must be positive')
    return found


def selectors(parameters: QueryDict, needed: bool) -> list[Sequence[promql.Matcher]]:
    """The matchers of each `match[]`."""
    found: list[Sequence[promql.Matcher]] = []
    for text in parameters.getlist("match[]"):
        try:
            node = promql.parse(str(text)).expr
        except promql.PromQLError as error:
            raise BadParameter(f'invalid parameter "match[]": {error}') from error
        if not isinstance(node, Selector) or node.range_ms is not None or node.offset_ms or node.at is not None:
            raise BadParameter(f'invalid parameter "match[]": {text} is no series selector')
        found.append(node.matchers)
    if needed and not found:
        raise BadParameter("no match[] parameter provided")
    return found


def now_ms() -> int:
    """Now."""
    return time.time_ns() // 1_000_000
