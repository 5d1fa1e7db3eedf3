"""6 series, of alerts: `ALERTS` and `ALERTS_FOR_STATE` as Prometheus keeps them, from the rows of alerts, beside the
catalog's series and what recording rules made; and when each rule group was evaluated last.

`ALERTS{<the alert's labels>, alertstate="pending" or "firing"}` is 1 while that is so; `ALERTS_FOR_STATE{<the alert's
labels>}` is the time (Unix seconds) since when its condition holds. Both have a sample every 15 s from the slot at
which the state began, and end with a stale mark, so that an alert which resolved does not linger for the look-back.

Of rule groups only the present is known: their series have samples for the last minute alone. So slots that are made up
for after a downtime find none, and do not take the downtime for a group that stands still.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from django.db.models import Q, QuerySet

import promql
from alerts.evaluation.metrics import INTERVAL, LAST_EVALUATION, groups_in_use
from alerts.evaluation.schedule import evaluation_delay
from alerts.models import Alert
from alerts.recording import read as recorded
from promql import STALE_NAN, Block, Engine, Hints, LimitError, Limits, Listing, Matcher, Query, Result
from promql.values import Ints
from usage.series.engine import source_for
from usage.series.grid import grid_step, grid_times
from usage.series.source import MAX_CELLS, PostgresSource, split_name

ALERTS, FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"
OWN = (ALERTS, FOR_STATE, LAST_EVALUATION, INTERVAL)
# Beside the evaluation delay: as long as a tick may be late, and shorter than the `for`
# of the rule that reads these series.
PRESENT = dt.timedelta(seconds=45)


@dataclass(frozen=True)
class Stretch:
    """A series of an alert with one value from `start` until before `end`
    (epoch seconds; `end` None while it lasts)."""

    labels: dict[str, str]
    value: float
    start: float
    end: float | None


class PortalSource:
    """The catalog's series and the alerts' own. `workspaces` None: all, else only alerts that
    name one of them; `now` in epoch seconds."""

    def __init__(
        self, workspaces: Collection[str] | None = None, now: float | None = None, records: Listing | None = None
    ) -> None:
        self._records = records or PostgresSource(workspaces, now)
        self._workspaces, self._now = workspaces, now

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """The series that match, on the grid that suits the hints. Raises promql.LimitError."""
        blocks = [] if alerts_only(matchers) else self._records.select(matchers, start_ms, end_ms, hints)
        if not alerts_only(matchers) and recorded.may_be_recorded(matchers):
            blocks = [*blocks, *recorded.select(matchers, self._workspaces, start_ms, end_ms)]
        if not names(matchers):
            return blocks
        now = self._now if self._now is not None else time.time()
        start, end = -(-start_ms // 1000), int(min(end_ms // 1000, now))
        step = grid_step((hints.range_ms or min(hints.step_ms, 1_200_000)) / 1000, end - start)
        times = grid_times(start, end, step)
        found = stretches(matchers, self._workspaces, start, end, now) if len(times) else []
        return [*blocks, block(found, times)] if found else blocks

    def summed(self, need: promql.SumNeed) -> Block | None:
        """What the catalog's source sums by itself; the alerts' metrics are gauges."""
        return promql.sums_of(self._records, need)

    @contextmanager
    def snapshot(self) -> Iterator[PortalSource]:
        """The same in one state of the catalog's series."""
        with promql.snapshot_of(self._records) as records:
            yield PortalSource(self._workspaces, self._now, records)

    def series(self, matchers: Sequence[Matcher], end_ms: int | None = None) -> list[dict[str, str]]:
        """The labels of the series that match and began by `end_ms`, without reading a sample."""
        found = [] if alerts_only(matchers) else self._records.series(matchers, end_ms)
        if not alerts_only(matchers):
            found = [*found, *recorded.matching_series(matchers, self._workspaces, end_ms).values()]
        if not names(matchers):
            return found
        end = None if end_ms is None else end_ms // 1000
        now = self._now if self._now is not None else time.time()
        seen = {tuple(one.labels.items()): one.labels for one in stretches(matchers, self._workspaces, None, end, now)}
        return [*found, *seen.values()]


class PortalEngine(PortalSource):
    """The same where another server has the catalog's series: it evaluates every query
    that names no metric of the portal's own."""

    def __init__(self, records: Engine) -> None:
        super().__init__(records=records)
        self._engine = records

    def instant(self, query: Query, at_ms: int, lookback_ms: int, limits: Limits) -> Result:
        """The value at one time. Raises promql.PromQLError."""
        if names_own(query):
            return promql.instant(
                query, PortalSource(records=self._engine), at_ms, lookback_ms=lookback_ms, limits=limits
            )
        return self._engine.instant(query, at_ms, lookback_ms, limits)

    def range(self, query: Query, start_ms: int, end_ms: int, step_ms: int, lookback_ms: int, limits: Limits) -> Result:
        """The values at start, start + step, … up to end. Raises promql.PromQLError."""
        if names_own(query):
            own = PortalSource(records=self._engine)
            return promql.range(query, own, start_ms, end_ms, step_ms, lookback_ms=lookback_ms, limits=limits)
        return self._engine.range(query, start_ms, end_ms, step_ms, lookback_ms, limits)


def portal_source(workspaces: Collection[str] | None) -> Listing:
    """All series that a reader of these workspaces (None: all) may see, from where the settings say."""
    records = source_for(workspaces)
    return PortalEngine(records) if isinstance(records, Engine) else PortalSource(workspaces, records=records)


def names_own(query: Query) -> bool:
    """Whether a selector of the query names a metric of the alerts, or one that a rule recorded."""
    mentioned = query.metric_names()
    return not set(OWN).isdisjoint(mentioned) or recorded.is_recorded(mentioned)


def names(matchers: Sequence[Matcher]) -> list[str]:
    """Which of the alerts' metrics the matchers of the name leave."""
    named, _ = split_name(matchers)
    return [name for name in OWN if all(one.matches(name) for one in named)]


def alerts_only(matchers: Sequence[Matcher]) -> bool:
    """Whether the matchers choose an alerts' metric by its name, so that nobody else has anything to say."""
    return any(one.name == "__name__" and one.op == "=" and one.value in OWN for one in matchers)


def stretches(
    matchers: Sequence[Matcher],
    workspaces: Collection[str] | None,
    start: float | None,
    end: float | None,
    now: float,
) -> list[Stretch]:
    """What matches between two times (epoch seconds; None: ever): of the groups, then of
    the alerts, the oldest first."""
    wanted = set(names(matchers))
    found: list[Stretch] = []
    if wanted & {LAST_EVALUATION, INTERVAL}:
        found += of_groups(now)
    if wanted & {ALERTS, FOR_STATE}:
        for alert in open_between(workspaces, start, end):
            found += of_alert(alert)
    return [one for one in found if all(given.matches(one.labels.get(given.name, "")) for given in matchers)]


def open_between(workspaces: Collection[str] | None, start: float | None, end: float | None) -> QuerySet[Alert]:
    """The alerts that were open at some time from `start` to `end`, the oldest first."""
    alerts = Alert.objects.filter(rule__shadow=False).order_by("active_at", "id")
    if start is not None:
        alerts = alerts.filter(Q(ended_at__isnull=True) | Q(ended_at__gte=moment(start)))
    if end is not None:
        alerts = alerts.filter(active_at__lte=moment(end))
    if workspaces is not None:
        alerts = alerts.filter(labels__workspace__in=sorted(workspaces))
    return alerts.only("labels", "active_at", "fired_at", "ended_at")


def of_groups(now: float) -> Iterator[Stretch]:
    """The present of each rule group."""
    since = now - (evaluation_delay() + PRESENT).total_seconds()
    for name, last, interval in groups_in_use():
        yield Stretch({"__name__": LAST_EVALUATION, "rule_group": name}, last, since, None)
        yield Stretch({"__name__": INTERVAL, "rule_group": name}, interval, since, None)


def of_alert(alert: Alert) -> Iterator[Stretch]:
    """The stretches of one alert's series; one that fired at once was never pending."""
    active = alert.active_at.timestamp()
    fired = alert.fired_at.timestamp() if alert.fired_at else None
    ended = alert.ended_at.timestamp() if alert.ended_at else None
    if fired is None or fired > active:
        until = ended if fired is None else fired
        yield Stretch({**alert.labels, "__name__": ALERTS, "alertstate": "pending"}, 1.0, active, until)
    if fired is not None:
        yield Stretch({**alert.labels, "__name__": ALERTS, "alertstate": "firing"}, 1.0, fired, ended)
    yield Stretch({**alert.labels, "__name__": FOR_STATE}, float(int(active)), active, ended)


def block(found: Sequence[Stretch], times: Ints) -> Block:
    """The stretches on a grid of times (epoch seconds), those of one label set in one row."""
    spans = [
        (
            one,
            int(np.searchsorted(times, one.start)),
            int(np.searchsorted(times, np.inf if one.end is None else one.end)),
        )
        for one in found
    ]
    spans = [(one, first, stop) for one, first, stop in spans if first < stop]
    rows: dict[tuple[tuple[str, str], ...], int] = {}
    for one, _, _ in spans:
        rows.setdefault(tuple(sorted(one.labels.items())), len(rows))
    if len(rows) * len(times) > MAX_CELLS:
        cells = f"{len(rows) * len(times):,} samples of alerts, more than {MAX_CELLS:,}"
        raise LimitError("max_samples", f"the selector would read {cells}: narrow the range or the labels")
    values = np.zeros((len(rows), len(times)))
    present = np.zeros(values.shape, dtype=bool)
    for one, first, stop in spans:
        row = rows[tuple(sorted(one.labels.items()))]
        values[row, first:stop], present[row, first:stop] = one.value, True
        # A later stretch of the same labels that begins at once writes over the mark.
        if stop < len(times):
            values[row, stop], present[row, stop] = STALE_NAN, True
    return Block([dict(labels) for labels in rows], times * 1000, values, present)


def moment(seconds: float) -> dt.datetime:
    """Epoch seconds as a time."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
