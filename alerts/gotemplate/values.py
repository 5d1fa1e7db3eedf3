"""Go's types as Python values.

string is str (a byte that is no UTF-8 is a surrogate escape, U+DC80 to U+DCFF), int is int, float64 is float, bool is
bool, nil is None, `map[string]string` is any mapping, the other types are the classes here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Html(str):
    """`template.HTML`: prints like a string, but is no argument where one is wanted."""

    __slots__ = ()


class Uint8(int):
    """A byte of a string."""

    __slots__ = ()


class AnyMap(dict[str, Any]):
    """`map[string]interface {}`."""


class Sample:
    """One element of a query's result."""

    __slots__ = ("labels", "value")

    def __init__(self, labels: Mapping[str, str], value: float) -> None:
        self.labels = labels
        self.value = value

    def fields(self) -> dict[str, Any]:
        return {"Labels": self.labels, "Value": self.value}


class SampleStruct(Sample):
    """A sample itself, not the pointer to it that Go passes around."""

    __slots__ = ()


class QueryResult(list[Sample]):
    """What `query` returns."""


class Data:
    """What a rule's template is given as `.`."""

    __slots__ = ("external_labels", "external_url", "labels", "value")

    def __init__(
        self, labels: Mapping[str, str], value: float, external_labels: Mapping[str, str], external_url: str
    ) -> None:
        self.labels = labels
        self.value = value
        self.external_labels = external_labels
        self.external_url = external_url

    def fields(self) -> dict[str, Any]:
        return {
            "Labels": self.labels,
            "ExternalLabels": self.external_labels,
            "ExternalURL": self.external_url,
            "Value": self.value,
        }


class Struct:
    """A struct of whoever calls: its fields by name. Another name in a template is an error."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = {**fields}

    def fields(self) -> dict[str, Any]:
        return self._fields


class Items(QueryResult):
    """A list of structs, and parts of it under names of their own, such as `.Alerts.Firing`."""

    parts: Mapping[str, Items]

    def __init__(self, items: Iterable[Any] = (), **parts: Items) -> None:
        super().__init__(items)
        self.parts = parts

    def fields(self) -> Mapping[str, Items]:
        return self.parts


class Time:
    """`*time.Time`, in UTC, to the millisecond."""

    __slots__ = ("milliseconds",)

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def __str__(self) -> str:
        seconds, rest = divmod(self.milliseconds, 1000)
        days, second = divmod(seconds, 86400)
        # Python's years end at 9999 and begin at 1; the calendar repeats every 400 years.
        cycles, day = divmod(days, 146097)
        at = EPOCH + dt.timedelta(days=day, seconds=second)
        year = at.year + 400 * cycles
        fraction = f".{rest:03d}".rstrip("0") if rest else ""
        sign = "-" if year < 0 else ""
        return f"{sign}{abs(year):04d}-{at:%m-%d %H:%M:%S}{fraction} +0000 UTC"


class Duration:
    """`time.Duration`; a pointer to one where `pointer` is set."""

    __slots__ = ("nanoseconds", "pointer")

    def __init__(self, nanoseconds: int, pointer: bool = False) -> None:
        self.nanoseconds = nanoseconds
        self.pointer = pointer

    def __str__(self) -> str:
        left = abs(self.nanoseconds)
        sign = "-" if self.nanoseconds < 0 else ""
        if left == 0:
            return "0s"
        if left < 1_000_000_000:
            for unit, size in (("ms", 1_000_000), ("µs", 1000), ("ns", 1)):
                if left >= size:
                    return f"{sign}{_decimal(left, size)}{unit}"
        minutes, rest = divmod(left, 60_000_000_000)
        seconds = f"{_decimal(rest, 1_000_000_000)}s"
        hours, minutes = divmod(minutes, 60)
        if hours:
            return f"{sign}{hours}h{minutes}m{seconds}"
        return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else str(whole)


NAMES: dict[type, str] = {
    type(None): "<nil>",
    str: "string",
    float: "float64",
    int: "int",
    bool: "bool",
    Html: "template.HTML",
    Uint8: "uint8",
    AnyMap: "map[string]interface {}",
    Sample: "*template.sample",
    SampleStruct: "template.sample",
    QueryResult: "template.queryResult",
    Time: "*time.Time",
    Struct: "struct",
    Items: "[]struct",
    Data: "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }",
}


def type_name(value: Any) -> str:
    """Go's name of a value's type."""
    if isinstance(value, Duration):
        return "*time.Duration" if value.pointer else "time.Duration"
    return NAMES.get(type(value), "map[string]string")


def is_map(value: Any) -> bool:
    return isinstance(value, dict | Mapping)


def truth(value: Any) -> bool:
    """Go's truth: not the zero value of its type."""
    if isinstance(value, Duration):
        return value.pointer or value.nanoseconds != 0
    if isinstance(value, Sample | Data | Struct | Time):
        return True
    return bool(value)


def to_bytes(text: str) -> bytes:
    """A string's bytes; a lone surrogate that is no escaped byte becomes U+FFFD."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "".join("\ufffd" if 0xD800 <= ord(c) < 0xDC80 or 0xDCFF < ord(c) <= 0xDFFF else c for c in text).encode(
            "utf-8", "surrogateescape"
        )


def from_bytes(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
