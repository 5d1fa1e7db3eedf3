"""The search of logs: from the URL's chips to the filters of `telemetry.store.reading.logs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from telemetry.pages.chips import Chip, apply_all
from telemetry.pages.logs import patterns
from telemetry.store.ids import span_number, trace_uuid
from telemetry.store.reading.logs import LEVELS, LogFilters

HINT = "add a filter: a word, severity = warn, service = shop, tenant = acme, trace = id"
NAMES = ("severity", "service", "trace", "span", "exception", "pattern")


@dataclass(frozen=True)
class LogSearch:
    """What is asked for: the filters, the chips that they are made of, and what could not be understood."""

    filters: LogFilters
    chips: list[Chip]
    problems: list[str]

    @property
    def texts(self) -> list[str]:
        """The chips as the URL has them."""
        return [chip.text for chip in self.chips]


def search_of(chips: Sequence[Chip], slugs: frozenset[str] | None, start: datetime, end: datetime) -> LogSearch:
    """The search that chips stand for. One that cannot be understood is left out, and said."""
    return LogSearch(*apply_all(chips, LogFilters(slugs, start, end), narrowed))


def narrowed(filters: LogFilters, chip: Chip) -> LogFilters:
    """The filters with one condition more. Raises ValueError with what is wrong with it."""
    if not chip.name:
        return replace(filters, text=f"{filters.text} {chip.value}".strip())
    if chip.name == "severity":
        if chip.value not in LEVELS or chip.operator not in ("=", ">="):
            raise ValueError(f"write severity = and one of {', '.join(LEVELS)}: that level and all above")
        return replace(filters, severity=LEVELS[chip.value])
    if chip.name == "pattern" and chip.operator == "=":
        text = f"{filters.text} {patterns.shared_text(chip.value)}".strip()
        return replace(filters, regex=patterns.regex_of(chip.value), text=text)
    if chip.name == "service" and chip.operator == "!=":
        return replace(filters, without_services=(*filters.without_services, chip.value))
    if chip.operator != "=":
        raise ValueError(f"write {chip.name} = value")
    if chip.name == "service":
        return replace(filters, services=(*filters.services, chip.value))
    if chip.name == "trace":
        return replace(filters, trace_id=trace_uuid(chip.value).hex)
    if chip.name == "span":
        span_number(chip.value)
        return replace(filters, span_id=chip.value)
    if chip.name == "exception":
        return replace(filters, exception=chip.value)
    return replace(filters, attributes=(*filters.attributes, (chip.name, chip.value)))
