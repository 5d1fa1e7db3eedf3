"""What a client of Jaeger's query APIs asks for: parameters as they are written, and the search that they make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from core.pg.text import storable, storable_labels
from telemetry.store.reading.traces import TraceFilters

DEFAULT_LIMIT, MAX_LIMIT = 20, 200
# Go's durations: any number of these, one after another.
_DURATION = re.compile(r"([0-9]*\.?[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class BadRequest(ValueError):
    """A parameter that cannot be read."""


def filters(
    slugs: frozenset[str] | None,
    service: str,
    operation: str,
    tags: Mapping[str, str],
    time: tuple[datetime, datetime],
    durations: tuple[float | None, float | None],
) -> TraceFilters:
    """A search for traces: of a service (empty: any), with a span of a name, with these tags on their spans; `error` is
    the one tag that a trace has or has not. Durations are in seconds, None where there is no bound."""
    wanted = dict(tags)
    error = wanted.pop("error", None)
    return TraceFilters(
        slugs,
        *time,
        facets=(("service", storable(service)),) if service else (),
        attributes=tuple(wanted.items()),
        span_name=storable(operation),
        failed=None if error is None else error.lower() == "true",
        min_duration=durations[0],
        max_duration=durations[1],
    )


def tags(name: str, texts: Iterable[str]) -> dict[str, str]:
    """Tags of JSON objects of names and values; `name` is the parameter that has them. Raises BadRequest."""
    found: dict[str, str] = {}
    for text in texts:
        try:
            given = msgspec.json.decode(text or "{}", type=dict[str, str | int | float | bool])
        except msgspec.MsgspecError:
            raise BadRequest(f"malformed '{name}' parameter, expecting a JSON object of names and values") from None
        found |= {
            key: value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for key, value in given.items()
        }
    return storable_labels(found)


def whole(name: str, text: str, default: int) -> int:
    """A parameter that is a whole number. Raises BadRequest."""
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequest(f"cannot parse {name}: {text!r} is no whole number")
    return int(text)


def limit(name: str, text: str) -> int:
    """How many traces are wanted. Raises BadRequest."""
    return min(max(whole(name, text, DEFAULT_LIMIT), 1), MAX_LIMIT)


def duration(name: str, text: str) -> float | None:
    """A duration as Go writes it (`1.2s`, `1m30s`) in seconds, None for an empty text. Raises BadRequest."""
    if not text:
        return None
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text or len(text) > 40:
        raise BadRequest(f"cannot parse {name}: {text!r} is no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def moment(seconds: float) -> datetime:
    """A time of the Unix epoch. Raises BadRequest."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRequest("a time is outside the calendar") from None


def rfc3339(name: str, text: str) -> datetime:
    """A time with its zone, down to nanoseconds. Raises BadRequest.

    Clients that leave `+02:00` as it is send a space.
    """
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadRequest(f"malformed parameter {name}: {text!r} is no time such as 2026-01-31T12:00:00Z")
