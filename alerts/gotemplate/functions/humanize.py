"""Numbers, times and durations as Prometheus writes them for people."""

from __future__ import annotations

import math
from typing import Any

from alerts.gotemplate.functions.signature import CallError
from alerts.gotemplate.text.floats import format_float
from alerts.gotemplate.text.numbers import parse_float
from alerts.gotemplate.text.quote import quote
from alerts.gotemplate.values import Duration, Time, type_name

LARGE, SMALL = "kMGTPEZY", "munpfazy"
NOT_FINITE = "value is NaN or Inf"


def to_float(value: Any) -> float:
    """A float, an integer, a text with a number, or a duration's seconds."""
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if type(value) is str:
        try:
            return parse_float(value)
        except ValueError as error:
            raise CallError(f"strconv.ParseFloat: parsing {quote(value)}: {error}") from None
    if isinstance(value, Duration) and not value.pointer:
        return value.nanoseconds / 1e9
    raise CallError(f"can't convert {type_name(value)} to float")


def _general(v: float) -> str:
    """Go's %.4g."""
    return f"{v:.4g}" if math.isfinite(v) else format_float(v, "g", 4)


def humanize(value: Any) -> str:
    """With a metric prefix: 12345 is 12.35k."""
    v = to_float(value)
    if v == 0 or not math.isfinite(v):
        return _general(v)
    if abs(v) < 1:
        return _small(v)
    prefix = ""
    for next_prefix in LARGE:
        if abs(v) < 1000:
            break
        v, prefix = v / 1000, next_prefix
    return _general(v) + prefix


def _small(v: float) -> str:
    prefix = ""
    for next_prefix in SMALL:
        if abs(v) >= 1:
            break
        v, prefix = v * 1000, next_prefix
    return _general(v) + prefix


def humanize1024(value: Any) -> str:
    """With a binary prefix: 2048 is 2ki."""
    v = to_float(value)
    if abs(v) <= 1 or not math.isfinite(v):
        return _general(v)
    prefix = ""
    for letter in LARGE:
        if abs(v) < 1024:
            break
        v, prefix = v / 1024, f"{letter}i"
    return _general(v) + prefix


def humanize_duration(value: Any) -> str:
    """Seconds as people write them: 3723 is 1h 2m 3s."""
    v = to_float(value)
    if not math.isfinite(v):
        return _general(v)
    if v == 0:
        return f"{_general(v)}s"
    if abs(v) < 1:
        return f"{_small(v)}s"
    sign, v = ("-", -v) if v < 0 else ("", v)
    whole = _to_int64(v)
    days, hours, minutes, seconds = (
        _quotient(whole, 86400),
        _rest(_quotient(whole, 3600), 24),
        _rest(_quotient(whole, 60), 60),
        _rest(whole, 60),
    )
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{_general(v)}s"


def _to_int64(v: float) -> int:
    """Go's conversion on amd64: what does not fit is the least int64."""
    return int(v) if -(2.0**63) <= v < 2.0**63 else -(2**63)


def _quotient(number: int, by: int) -> int:
    return number // by if number >= 0 else -(-number // by)


def _rest(number: int, by: int) -> int:
    return number - by * _quotient(number, by)


def humanize_percentage(value: Any) -> str:
    """A ratio as percent: 0.123 is 12.3%."""
    v = value if type(value) is float else to_float(value)
    return f"{_general(v * 100)}%"


def to_time(value: Any) -> Time:
    """Unix seconds as a time."""
    v = to_float(value)
    if not math.isfinite(v):
        raise CallError(NOT_FINITE)
    return Time(int(_nanoseconds(v, "timestamp") / 1_000_000))


def _nanoseconds(v: float, kind: str) -> int:
    found = v * 1e9
    if not -(2.0**63) <= found < 2.0**63:
        shown = format_float(v, "g", -1)
        raise CallError(f"{shown} cannot be represented as a nanoseconds {kind} since it overflows int64")
    return int(found)


def humanize_timestamp(value: Any) -> str:
    """Unix seconds as a date: 2015-06-23 13:19:44.128 +0000 UTC."""
    v = to_float(value)
    return str(to_time(v)) if math.isfinite(v) else _general(v)


def to_duration(value: Any) -> Duration:
    """Seconds as a duration, which prints as 1h2m3s."""
    v = to_float(value)
    if not math.isfinite(v):
        raise CallError(NOT_FINITE)
    return Duration(_nanoseconds(v, "duration"), pointer=True)
