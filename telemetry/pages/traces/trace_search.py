"""The search of traces: from the URL's chips to the filters of `telemetry.store.reading.traces`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from core.ui.time_range import TimeRange
from telemetry.pages.chips import Chip, apply_all, number
from telemetry.store.reading.traces import FACETS, TraceFilters

RANGES = ("duration", "tokens", "cost")
STATUS = {"error": True, "ok": False, "success": False}
HINT = "add a filter: model = gpt-4o, cost > 0.05, tenant = acme, a word, a trace id"


@dataclass(frozen=True)
class Search:
    """What is asked for: the filters, the chips that they are made of, and what could not be understood."""

    filters: TraceFilters
    chips: list[Chip]
    problems: list[str]

    @property
    def texts(self) -> list[str]:
        """The chips as the URL has them."""
        return [chip.text for chip in self.chips]


def times(time_range: TimeRange) -> tuple[datetime, datetime]:
    """The range's ends."""
    return (
        datetime.fromtimestamp(time_range.start_ms / 1000, UTC),
        datetime.fromtimestamp(time_range.end_ms / 1000, UTC),
    )


def search_of(chips: Sequence[Chip], slugs: frozenset[str] | None, start: datetime, end: datetime) -> Search:
    """The search that chips stand for. One that cannot be understood is left out, and said."""
    return Search(*apply_all(chips, TraceFilters(slugs, start, end), narrowed))


def narrowed(filters: TraceFilters, chip: Chip) -> TraceFilters:
    """The filters with one condition more. Raises ValueError with what is wrong with it."""
    if not chip.name:
        return replace(filters, text=f"{filters.text} {chip.value}".strip())
    if chip.name in RANGES:
        return _bounded(filters, chip)
    if chip.operator != "=":
        raise ValueError(f"only {', '.join(RANGES)} can be compared; write {chip.name} = value")
    if chip.name == "status":
        if chip.value not in STATUS:
            raise ValueError("the status is error or ok")
        return replace(filters, failed=STATUS[chip.value])
    if chip.name in FACETS:
        return replace(filters, facets=(*filters.facets, (chip.name, chip.value)))
    return replace(filters, attributes=(*filters.attributes, (chip.name, chip.value)))


def _bounded(filters: TraceFilters, chip: Chip) -> TraceFilters:
    value = number(chip.value)
    low = chip.operator in (">", ">=")
    if not low and chip.operator not in ("<", "<="):
        raise ValueError("write > or <")
    if chip.name == "duration":
        return replace(filters, min_duration=value) if low else replace(filters, max_duration=value)
    if chip.name == "tokens":
        return replace(filters, min_tokens=int(value)) if low else replace(filters, max_tokens=int(value))
    return replace(filters, min_cost=value) if low else replace(filters, max_cost=value)


def without_duration(chips: Sequence[Chip]) -> list[Chip]:
    """The chips less those of the duration: what a region of the chart was chosen from."""
    return [chip for chip in chips if chip.name != "duration"]
