"""6 series: what the catalog's families were, as a server would have scraped them every 15 s. A promql source over the rollups.

Counters and histograms are dense on one grid of times: series of a family are one matrix. A counter begins with a 0, one scrape
before its first record, so that its first increments count; afterwards it never ends. Gauges hold their last value for a while.
A source that is made for some workspaces sees nothing of others, whatever the expression.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import pq
from psycopg.errors import error_from_result

from promql import Block, Hints, LimitError, Matcher
from usage import epoch
from usage.catalog import BY_SERIES, FAMILIES, KINDS, Family, bound, series_names
from usage.grid import Segment, after, grid_step, grid_times, knots, on_grid, segments
from usage.measures import Floats, Ints

MAX_CELLS = 60_000_000
COPY_HEADER, COPY_PIECE = 19, 262_144  # bytes
YEAR_2000 = 946_684_800  # epoch seconds at which Postgres's timestamps are 0
# Functions that look at differences only: where the counter stood before the range does not matter to them. To rate and increase it
# does: they do not extrapolate a counter to before it was 0.
DIFFERENCES = frozenset({"irate", "idelta", "delta", "deriv", "changes", "resets"})


@dataclass(frozen=True)
class Group:
    """The series of one family: shown labels and first bucket of each, and the dimensions (by id) that count, with their series."""

    labels: list[dict[str, str]]
    first_at: Ints
    ids: Ints
    series: Ints


class PostgresSource:
    """Series of the catalog. `workspaces` None: all; `now` in epoch seconds: nothing is later (default: the clock at each select)."""

    def __init__(self, workspaces: Collection[str] | None = None, now: float | None = None) -> None:
        self._workspaces = None if workspaces is None else frozenset(workspaces)
        self._now = now

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """The series that match, on the grid that suits the hints, within [start_ms, end_ms]. Raises promql.LimitError."""
        now = int(self._now if self._now is not None else time.time())
        named, others = split_name(matchers)
        names = [name for name in BY_SERIES if all(one.matches(name) for one in named)]
        window = (hints.range_ms or min(hints.step_ms, 1_200_000)) / 1000
        start, end = -(-start_ms // 1000), min(end_ms // 1000, now)
        step = grid_step(window, end - start)
        times = grid_times(start, end, step)
        if not len(times) or not names:
            return []
        blocks: list[Block] = []
        alone = not connection.in_atomic_block
        with transaction.atomic(), connection.cursor() as cursor:
            if alone:  # one snapshot for totals and rollups: a counter's base is one less the other
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader = Reader(cursor, times, step, now, window, hints.func not in DIFFERENCES)
            for family in FAMILIES:
                wanted = [name for name in series_names(family) if name in names]
                if wanted:
                    blocks += reader.blocks(family, wanted, others, self._workspaces)
        return blocks

    def series(self, matchers: Sequence[Matcher], end_ms: int | None = None) -> list[dict[str, str]]:
        """The labels of the series that match and began by `end_ms`, without reading a sample."""
        end = np.iinfo(np.int64).max if end_ms is None else end_ms // 1000
        found: list[dict[str, str]] = []
        named, others = split_name(matchers)
        with connection.cursor() as cursor:
            for family in FAMILIES:
                names = [name for name in series_names(family) if all(one.matches(name) for one in named)]
                values = family.split[1] if family.split else ("",)
                for group in [
                    dimension_group(cursor, family, others, self._workspaces, value) for value in values if names
                ]:
                    begun = [labels for labels, first in zip(group.labels, group.first_at, strict=True) if first <= end]
                    for name in names:
                        found += expanded(family, name, begun, others)
        return found


def split_name(matchers: Sequence[Matcher]) -> tuple[list[Matcher], list[Matcher]]:
    """The matchers of the metric's name, and the others."""
    named = [one for one in matchers if one.name == "__name__"]
    return named, [one for one in matchers if one.name != "__name__"]


def chosen_bounds(family: Family, matchers: Sequence[Matcher]) -> list[int]:
    """The places of the histogram's bounds (+Inf last) that the matchers of `le` leave."""
    of_le = [one for one in matchers if one.name == "le"]
    bounds = [*family.buckets, np.inf]
    return [place for place, le in enumerate(bounds) if all(one.matches(bound(le)) for one in of_le)]


def expanded(
    family: Family, name: str, shown: list[dict[str, str]], matchers: Sequence[Matcher]
) -> list[dict[str, str]]:
    """The labels of the series of one name: with the metric's name, and for buckets with each `le`."""
    if not name.endswith("_bucket") or family.type != "histogram":
        return [{"__name__": name, **labels} for labels in shown]
    bounds = [*family.buckets, np.inf]
    places = chosen_bounds(family, matchers)
    return [{"__name__": name, **labels, "le": bound(bounds[place])} for labels in shown for place in places]


def dimension_group(
    cursor: CursorWrapper,
    family: Family,
    matchers: Sequence[Matcher],
    workspaces: frozenset[str] | None,
    split_value: str,
) -> Group:
    """The dimensions that count in a family and pass the matchers, grouped by the labels that it shows."""
    cursor.execute(
        "SELECT id, labels::text, extract(epoch FROM first_at)::bigint FROM usage_dimension WHERE kind = %s ORDER BY id",
        [family.kind],
    )
    found: dict[tuple[str, ...], int] = {}
    labels: list[dict[str, str]] = []
    first: list[int] = []
    rows: list[tuple[int, int]] = []
    checked = [one for one in matchers if one.name != "le" or family.type != "histogram"]
    for pk, text, first_at in cursor.fetchall():
        given = msgspec.json.decode(text, type=dict[str, str])
        if not family.covers(given) or (workspaces is not None and given.get("workspace") not in workspaces):
            continue
        shown = family.shown(given)
        if family.split:
            shown[family.split[0]] = split_value
        if not all(one.matches(shown.get(one.name, "")) for one in checked):
            continue
        key = tuple(shown.values())
        if key not in found:
            found[key] = len(labels)
            labels.append({name: value for name, value in shown.items() if value})
            first.append(first_at)
        first[found[key]] = min(first[found[key]], first_at)
        if family.counts(given):
            rows.append((pk, found[key]))
    ids, series = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return Group(labels, np.array(first, dtype=np.int64), ids, series)


class Reader:
    """Reads families within one snapshot."""

    def __init__(self, cursor: CursorWrapper, times: Ints, step: int, now: int, window: float, based: bool) -> None:
        cursor.execute(epoch.READ)
        self._state = epoch.State(*cursor.fetchone())
        self._cursor, self._times, self._step, self._now, self._based = cursor, times, step, now, based
        start, end = int(times[0]) - step, int(times[-1])
        self._parts = segments(start, max(end, start + 15), now, window, self._state)
        self._knots = knots(self._parts)

    def blocks(
        self, family: Family, names: list[str], matchers: Sequence[Matcher], workspaces: frozenset[str] | None
    ) -> Iterator[Block]:
        """The blocks of a family's series of these names."""
        if family.type == "gauge":
            group = dimension_group(self._cursor, family, matchers, workspaces, "")
            if group.labels:
                values, present = self._held(group)
                yield self._block(family.name, group.labels, values, present)
            return
        split = family.split[1] if family.split else {"": family.measure}
        for value, measure in split.items():
            group = dimension_group(self._cursor, family, matchers, workspaces, value)
            if not group.labels:
                continue
            kind = KINDS[family.kind]
            slot, histogram = kind.slots[measure], kind.observed.get(measure)
            if histogram is None:
                yield self._block(family.name, group.labels, self._counters(group, [slot])[:, 0], self._begun(group))
            else:
                yield from self._histogram(family, names, matchers, group, slot, histogram.buckets)

    def _histogram(
        self,
        family: Family,
        names: list[str],
        matchers: Sequence[Matcher],
        group: Group,
        slot: int,
        buckets: tuple[float, ...],
    ) -> Iterator[Block]:
        begun = self._begun(group)
        if f"{family.name}_sum" in names:
            yield self._block(f"{family.name}_sum", group.labels, self._counters(group, [slot])[:, 0], begun)
        if f"{family.name}_count" not in names and f"{family.name}_bucket" not in names:
            return
        bounds = [*buckets, np.inf]
        cells = np.cumsum(self._counters(group, [slot + 1 + place for place in range(len(bounds))]), axis=1)
        if f"{family.name}_count" in names:
            yield self._block(f"{family.name}_count", group.labels, cells[:, -1], begun)
        if f"{family.name}_bucket" in names:
            places = chosen_bounds(family, matchers)
            labels = [{**shown, "le": bound(bounds[place])} for shown in group.labels for place in places]
            values = cells[:, places].reshape(len(labels), len(self._times))
            yield self._block(f"{family.name}_bucket", labels, values, np.repeat(begun, len(places), axis=0))

    def _begun(self, group: Group) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Where each series has samples: from the scrape before its first record on."""
        first = group.first_at // self._step * self._step
        present: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = self._times[None, :] >= first[:, None]
        return present

    def _counters(self, group: Group, slots: list[int]) -> Floats:
        """Counters [series, slots, times]: the sums of the measures' slots since their start."""
        cells = len(group.labels) * len(slots) * max(len(self._knots), len(self._times))
        if cells > MAX_CELLS:
            raise LimitError(
                "max_samples",
                f"the selector would read {cells:,} samples, more than {MAX_CELLS:,}: narrow the range or the labels",
            )
        sums = np.zeros((len(group.labels), len(slots), len(self._knots)))
        for part in self._parts if len(group.ids) else []:
            rows = self._read(part, group.ids, slots)
            series = group.series[np.searchsorted(group.ids, rows["dimension"])]
            column = np.searchsorted(self._knots, rows["bucket"], side="right")
            for index in range(len(slots)):
                flat = series * len(self._knots) + column
                added = np.bincount(flat, rows[f"m{index}"], minlength=len(group.labels) * len(self._knots))
                sums[:, index] += added.reshape(len(group.labels), len(self._knots))
        cumulated = np.cumsum(sums, axis=2, out=sums)
        if self._based and len(group.ids):
            cumulated += self._base(group, slots, cumulated[:, :, -1])[:, :, None]
        flat_series = cumulated.reshape(len(group.labels) * len(slots), len(self._knots))
        return on_grid(flat_series, self._knots, self._times).reshape(len(group.labels), len(slots), len(self._times))

    def _read(self, part: Segment, ids: Ints, slots: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.void]]:
        """The rows of a stretch as a structured array: bucket (epoch seconds), dimension, m0, m1 … (the slots)."""
        chosen = ", ".join(f"coalesce(measures[{slot + 1}], 0)" for slot in slots)
        query = (
            f"SELECT bucket, dimension_id, {chosen} FROM {part.table}"
            f" WHERE bucket >= to_timestamp({part.start}) AND bucket < to_timestamp({part.end})"
            f" AND dimension_id = ANY('{{{','.join(map(str, ids.tolist()))}}}'::bigint[])"
        )
        rows = copied(self._cursor, query, ["bucket", "dimension"], [f"m{index}" for index in range(len(slots))])
        rows["bucket"] = rows["bucket"] // 1_000_000 + YEAR_2000
        return rows

    def _base(self, group: Group, slots: list[int], within: Floats) -> Floats:
        """What each counter had before the first knot: its total, less what was read, less what came after."""
        chosen = ", ".join(f"coalesce(measures[{slot + 1}], 0)" for slot in slots)
        listed = ",".join(map(str, group.ids.tolist()))
        query = f"SELECT 0::bigint, dimension_id, {chosen} FROM usage_total WHERE dimension_id = ANY('{{{listed}}}'::bigint[])"
        names = [f"m{index}" for index in range(len(slots))]
        totals = copied(self._cursor, query, ["bucket", "dimension"], names)
        later = [self._read(part, group.ids, slots) for part in after(int(self._knots[-1]), self._now, self._state)]
        base = -within
        for sign, rows in ((1, totals), *((-1, rows) for rows in later)):
            for index, name in enumerate(names):
                where = np.searchsorted(group.ids, rows["dimension"])
                base[:, index] += sign * np.bincount(group.series[where], rows[name], minlength=len(group.labels))
        return np.maximum(base, 0)

    def _held(self, group: Group) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
        """Gauges on the grid: each dimension's last value, while it holds, summed per series."""
        hold = settings.PORTAL.gauge_hold
        start, end = int(self._times[0]) - hold, int(self._times[-1])
        query = (
            "SELECT ceil(extract(epoch FROM at))::bigint, dimension_id, value FROM usage_gauge_sample"
            f" WHERE bucket >= to_timestamp({start - 15}) AND bucket <= to_timestamp({end})"
            f" AND dimension_id = ANY('{{{','.join(map(str, group.ids.tolist()))}}}'::bigint[]) ORDER BY dimension_id, at"
        )
        rows = copied(self._cursor, query, ["at", "dimension"], ["value"])
        values = np.zeros((len(group.labels), len(self._times)))
        present = np.zeros(values.shape, dtype=bool)
        for pk, series in zip(group.ids.tolist(), group.series.tolist(), strict=True):
            mine = rows[rows["dimension"] == pk]
            if not len(mine):
                continue
            last = np.searchsorted(mine["at"], self._times, side="right") - 1
            there = (last >= 0) & (self._times - mine["at"][last] < hold)
            values[series, there] += mine["value"][last[there]]
            present[series] |= there
        return values, present

    def _block(
        self,
        name: str,
        labels: list[dict[str, str]],
        values: Floats,
        present: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    ) -> Block:
        named = [{"__name__": name, **shown} for shown in labels]
        return Block(named, self._times * 1000, values, None if present.all() else present)


def copied(
    cursor: CursorWrapper, query: str, integers: list[str], floats: list[str]
) -> np.ndarray[tuple[int, ...], np.dtype[np.void]]:
    """A query's rows through binary COPY into a structured array, without a Python object per value.

    The columns are bigint or timestamptz (`integers`) and double precision (`floats`), in this order, none of them NULL: each row
    has one width. A timestamptz is microseconds since 2000.
    """
    fields: list[tuple[str, str]] = [("columns", ">i2")]
    for name, kind in [*((name, ">i8") for name in integers), *((name, ">f8") for name in floats)]:
        fields += [(f"{name} width", ">i4"), (name, kind)]
    sent = np.dtype(fields)
    native = np.dtype([(name, "<i8") for name in integers] + [(name, "<f8") for name in floats])
    pieces = [np.empty(0, dtype=native)]
    rest, left = b"", COPY_HEADER
    for data in copied_bytes(cursor, query):
        rest += data
        # The trailer is shorter than any row.
        count = (len(rest) - left) // sent.itemsize
        rows = np.frombuffer(rest, dtype=sent, count=count, offset=left)
        plain = np.empty(count, dtype=native)
        for name in (*integers, *floats):
            plain[name] = rows[name]
        pieces.append(plain)
        rest, left = rest[left + count * sent.itemsize :], 0
    return np.concatenate(pieces)


def copied_bytes(cursor: CursorWrapper, query: str) -> Iterator[bytes]:
    """What COPY answers in its binary form, in pieces that fit a processor's cache; the first has the whole header.

    Postgres sends a message per row. psycopg's `copy` passes each through several generators, which takes longer than Postgres
    needs to make it; so the messages are taken from libpq itself, all that have come, before the next wait.
    """
    pgconn = cursor.connection.pgconn
    data = bytearray()
    with connection.wrap_database_errors, selectors.DefaultSelector() as readable:
        results = [pgconn.exec_(f"COPY ({query}) TO STDOUT (FORMAT BINARY)".encode())]
        if results[0].status == pq.ExecStatus.COPY_OUT:
            readable.register(pgconn.socket, selectors.EVENT_READ)
            while (step := pgconn.get_copy_data(1))[0] >= 0:
                if step[0]:
                    data += step[1]
                    if len(data) > COPY_PIECE:
                        yield bytes(data)
                        data.clear()
                else:
                    readable.select()
                    pgconn.consume_input()
            # To the last one, or the connection stays busy.
            while (result := pgconn.get_result()) is not None:
                results.append(result)
        if results[-1].status != pq.ExecStatus.COMMAND_OK:
            raise error_from_result(results[-1])
    yield bytes(data)
