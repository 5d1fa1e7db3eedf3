"""The figures at the head of a page: a value with its unit, what it is compared with, and its course over the range."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from core.accounts.time_zones import day_before, midnight
from core.ui.numbers import NONE, SPACE, amount, change, duration, seconds, share, usd
from core.ui.time_range import DAY, HOUR, LONG, MINUTE, TimeRange
from promql.values import Floats
from usage.boards.declarations import COVERAGE_TARGET
from usage.boards.queries import Rollups, Sums, quantile
from usage.catalog import CALL_BUCKETS

RECENT = 15 * MINUTE
STEPS = 60
# A rise of the failed share, in points, is red from here on.
WORSE_POINTS = 0.1
WIDTH, HEIGHT = 100.0, 28.0


@dataclass(frozen=True)
class Spark:
    """A small chart, as points of an SVG of 100 by 28: stretches of line, and the areas below them."""

    lines: list[str]
    areas: list[str]


@dataclass(frozen=True)
class Tile:
    """One figure. `state` is ok, warning, critical or empty and colours the note;
    `url_name` is the page that says more."""

    name: str
    value: str
    unit: str
    note: str
    state: str
    spark: Spark
    url_name: str
    spark_state: str = ""


def spark(values: Floats, low: float | None = None) -> Spark:
    """The course of `values` between their own extremes, with gaps where they are NaN."""
    there = np.isfinite(values)
    if there.sum() < 2:
        return Spark([], [])
    bottom = float(np.nanmin(values[there])) if low is None else low
    top = float(np.nanmax(values[there]))
    height = (top - bottom) or 1.0
    x = np.linspace(0, WIDTH, len(values))
    y = HEIGHT - 3 - (np.where(there, values, bottom) - bottom) / height * (HEIGHT - 8)
    lines, areas = [], []
    for run in np.split(np.arange(len(values)), np.flatnonzero(np.diff(there)) + 1):
        if not there[run[0]] or len(run) < 2:
            continue
        points = " ".join(f"{x[at]:.1f},{y[at]:.1f}" for at in run)
        lines.append(points)
        areas.append(f"{x[run[0]]:.1f},{HEIGHT:g} {points} {x[run[-1]]:.1f},{HEIGHT:g}")
    return Spark(lines, areas)


@dataclass(frozen=True)
class Calls:
    """What happened per step to the calls of some workspaces."""

    sums: Sums

    def _where(self, place: int, *values: str) -> Floats:
        rows = [row for row, group in enumerate(self.sums.groups) if group[place] in values]
        total: Floats = self.sums.of("count")[rows].sum(axis=0)
        return total

    @property
    def count(self) -> Floats:
        """All calls."""
        total: Floats = self.sums.of("count").sum(axis=0)
        return total

    @property
    def failed(self) -> Floats:
        """Share of calls without success, in percent; a refused record has no outcome and says nothing of it."""
        known = self.count - self._where(0, "")
        return ratio(known - self._where(0, "success"), known)

    @property
    def coverage(self) -> Floats:
        """Share of usage events that were recorded, in percent."""
        good, bad = self._where(1, "success"), self._where(1, "failure")
        return ratio(good, good + bad)

    def tokens(self, direction: str) -> Floats:
        """Prompt or completion tokens."""
        total: Floats = self.sums.of(f"{direction}_tokens").sum(axis=0)
        return total

    @property
    def cost(self) -> Floats:
        """US dollars."""
        total: Floats = self.sums.of("cost_usd").sum(axis=0)
        return total

    def quantile(self, q: float) -> Floats:
        """Latency in seconds."""
        counts = self.sums.buckets("duration").sum(axis=0)
        return np.array([quantile(q, CALL_BUCKETS, row) for row in counts])


MEASURES = ("count", "prompt_tokens", "completion_tokens", "cost_usd", "duration")


def ratio(part: Floats, whole: Floats) -> Floats:
    """Percent; NaN where there is nothing to have a share of."""
    return np.where(whole > 0, 100 * part / np.where(whole > 0, whole, 1), np.nan)


def calls(rollups: Rollups, start_ms: int, end_ms: int, step_ms: int = 0) -> Calls:
    """The calls from `start_ms` to `end_ms`."""
    return Calls(rollups.sums(MEASURES, ("outcome", "usage"), start_ms, end_ms, step_ms))


def overview(rollups: Rollups, time_range: TimeRange, now: datetime, zone: ZoneInfo) -> list[Tile]:
    """The six tiles: the last quarter of an hour (of a fixed range: its own), against the same one a
    day before; cost of today in the zone."""
    at = int(now.timestamp() * 1000) if time_range.name else time_range.end_ms
    recent = calls(rollups, at - RECENT, at)
    before = calls(rollups, at - DAY - RECENT, at - DAY)
    step = course_step(time_range, 15_000)
    course = calls(rollups, time_range.start_ms, time_range.end_ms, step)
    return [
        _coverage(recent, course),
        _failed(recent, before, course),
        _rate(recent, before, course),
        _latency(recent, course),
        _tokens(recent, course),
        cost_today(rollups, days_of(datetime.fromtimestamp(at / 1000, UTC), zone), course),
    ]


def course_step(time_range: TimeRange, shortest: int) -> int:
    """Milliseconds between the points of a tile's course; over half a day and more an hour at least."""
    return max(time_range.span_ms // STEPS, HOUR if time_range.span_ms >= LONG else shortest)


def _coverage(recent: Calls, course: Calls) -> Tile:
    value = float(recent.coverage[0])
    state = "" if np.isnan(value) else "ok" if value >= COVERAGE_TARGET else "critical"
    note = f"target {COVERAGE_TARGET:g}{SPACE}%" if state else "no successful call in 15 min"
    number = share(value)
    return Tile(
        "Coverage, 15 min",
        number,
        "%" if state else "",
        note if state != "critical" else f"below target {COVERAGE_TARGET:g}{SPACE}%",
        state,
        spark(course.coverage),
        "coverage",
        state,
    )


def _failed(recent: Calls, before: Calls, course: Calls) -> Tile:
    value, was = float(recent.failed[0]), float(before.failed[0])
    if np.isnan(value):
        return Tile("Failed calls, 15 min", NONE, "", "no call in 15 min", "", spark(course.failed, 0), "providers")
    points = value - was
    if np.isnan(points):
        note, state = "no calls to compare with", ""
    elif abs(points) < 0.005:
        note, state = "as yesterday", ""
    else:
        note = f"{'▲' if points > 0 else '▼'}{SPACE}{abs(points):.2f} on yesterday"
        state = "critical" if points >= WORSE_POINTS else "" if points > 0 else "ok"
    name = "Failed calls, 15 min"
    return Tile(name, share(value), "%", note, state, spark(course.failed, 0), "providers", state)


def _rate(recent: Calls, before: Calls, course: Calls) -> Tile:
    per_second = recent.count[0] / (RECENT / 1000)
    number, letter = amount(per_second)
    note = on_yesterday(recent.count[0], before.count[0])
    return Tile("Calls, 15 min", number, f"{letter}/s", note, "", spark(course.count, 0), "providers")


def _latency(recent: Calls, course: Calls) -> Tile:
    p50, p95, p99 = (float(recent.quantile(q)[0]) for q in (0.5, 0.95, 0.99))
    number, unit = duration(p95)
    note = "no call in 15 min" if np.isnan(p95) else f"p50 {seconds(p50)} · p99 {seconds(p99)}"
    return Tile("Latency p95, 15 min", number, unit, note, "", spark(course.quantile(0.95), 0), "providers")


def _tokens(recent: Calls, course: Calls) -> Tile:
    prompt, completion = recent.tokens("prompt")[0], recent.tokens("completion")[0]
    total = prompt + completion
    number, letter = amount(total / (RECENT / MINUTE))
    note = (
        f"{100 * prompt / total:.0f}{SPACE}% in · {100 * completion / total:.0f}{SPACE}% out"
        if total
        else "none in 15 min"
    )
    course_of = spark(course.tokens("prompt") + course.tokens("completion"), 0)
    return Tile("Tokens, 15 min", number, f"{letter}/min", note, "", course_of, "providers")


@dataclass(frozen=True)
class Days:
    """Today and yesterday in a zone, in epoch milliseconds; `yesterday_by_now_ms` is as
    far into yesterday as now is into today."""

    now_ms: int
    today_ms: int
    yesterday_ms: int

    @property
    def yesterday_by_now_ms(self) -> int:
        """The end of yesterday's part that today is compared with."""
        return self.yesterday_ms + self.now_ms - self.today_ms


def days_of(now: datetime, zone: ZoneInfo) -> Days:
    """Today and yesterday."""
    today = midnight(now, zone)
    now_ms, today_ms, yesterday_ms = (int(at.timestamp() * 1000) for at in (now, today, day_before(today)))
    return Days(now_ms, today_ms, yesterday_ms)


def cost_today(rollups: Rollups, days: Days, course: Calls) -> Tile:
    """Since midnight, against the same hours of the day before."""
    today = rollups.sums(("cost_usd",), (), days.today_ms, days.now_ms).of("cost_usd").sum()
    yesterday = rollups.sums(("cost_usd",), (), days.yesterday_ms, days.yesterday_by_now_ms).of("cost_usd").sum()
    note = on_yesterday(float(today), float(yesterday))
    state = "ok" if note.startswith("▼") else ""
    return Tile("Cost today", usd(float(today)), "", note, state, spark(course.cost, 0), "cost")


def on_yesterday(now: float, before: float) -> str:
    """How an amount compares with the one a day before, in words."""
    by = change(now, before)
    if not by:
        return "nothing yesterday to compare"
    return "as yesterday" if by == "=" else f"{by} on yesterday"
