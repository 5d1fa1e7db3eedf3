"""6 series, of recording rules: the samples that they stored, as blocks of series.

A series ends with a stale mark at the slot at which its rule recorded others but not it, as in Prometheus.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import Count, F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum

from alerts.models import Rule
from alerts.recording.models import RecordedSeries, RecordedSlot
from promql import STALE_NAN, Block, Matcher
from promql.values import Ints
from usage.catalog import BY_SERIES
from usage.series.source import check_cells, split_name

ID_BYTES = 8
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Slot:
    """What one rule recorded at a time (Unix ms): ids of series and their values."""

    rule_id: int
    at_ms: int
    series: Ints
    values: np.ndarray[tuple[int], np.dtype[np.float64]]


def may_be_recorded(matchers: Sequence[Matcher]) -> bool:
    """Whether a recorded metric can be meant: not where a metric of the catalog is named."""
    return not any(one.name == "__name__" and one.op == "=" and one.value in BY_SERIES for one in matchers)


def is_recorded(names: Collection[str]) -> bool:
    """Whether any of the metrics has been recorded."""
    wanted = sorted(set(names) - BY_SERIES.keys())
    return bool(wanted) and RecordedSeries.objects.filter(metric__in=wanted).exists()


def matching_series(
    matchers: Sequence[Matcher], workspaces: Collection[str] | None, end_ms: int | None = None
) -> dict[int, dict[str, str]]:
    """Ids and labels (with the name) of the series that match and began by `end_ms`; `workspaces` None: of all."""
    if not may_be_recorded(matchers):
        return {}
    named, others = split_name(matchers)
    found = RecordedSeries.objects.filter(_name_filter(named)).order_by("pk")
    if workspaces is not None:
        found = found.filter(workspace__slug__in=sorted(workspaces))
    if end_ms is not None:
        found = found.filter(first_at__lte=_moment(end_ms))
    labelled = (
        (pk, {**labels, "__name__": metric}) for pk, metric, labels in found.values_list("pk", "metric", "labels")
    )
    return {
        pk: labels
        for pk, labels in labelled
        if all(one.matches(labels["__name__"]) for one in named)
        and all(one.matches(labels.get(one.name, "")) for one in others)
    }


def select(matchers: Sequence[Matcher], workspaces: Collection[str] | None, start_ms: int, end_ms: int) -> list[Block]:
    """The recorded series that match, with their samples in [start_ms, end_ms]. Raises promql.LimitError."""
    series = matching_series(matchers, workspaces, end_ms)
    if not series:
        return []
    by_metric: dict[str, dict[int, dict[str, str]]] = {}
    for pk, labels in series.items():
        by_metric.setdefault(labels["__name__"], {})[pk] = labels
    rows = RecordedSlot.objects.filter(
        metric__in=sorted(by_metric), at__gte=_moment(start_ms), at__lte=_moment(end_ms)
    ).order_by("rule_id", "at")
    _check(rows, {metric: len(found) for metric, found in by_metric.items()})
    slots: dict[str, list[Slot]] = {}
    for metric, rule_id, at, ids, values in rows.values_list("metric", "rule_id", "at", "series", "values"):
        slots.setdefault(metric, []).append(Slot(rule_id, _ms(at), _ints(ids), np.frombuffer(values, "<f8")))
    return [block(by_metric[metric], found) for metric, found in slots.items()]


def last_of(recording: Mapping[int, str]) -> dict[int, list[dict[str, str]]]:
    """The labels, with the name, of the series in the last slot of each rule, which is given with its metric."""
    # One look into the index for each rule; DISTINCT ON would read all that they ever recorded.
    newest = RecordedSlot.objects.filter(metric=OuterRef("record"), rule_id=OuterRef("pk")).order_by("-at")
    rules = Rule.objects.filter(pk__in=sorted(recording)).annotate(ids=Subquery(newest.values("series")[:1]))
    last = {
        pk: _ints(ids)
        for pk, record, ids in rules.values_list("pk", "record", "ids")
        if ids is not None and recording[pk] == record
    }
    wanted = {int(pk) for ids in last.values() for pk in ids}
    known = RecordedSeries.objects.filter(pk__in=wanted).values_list("pk", "metric", "labels")
    labels = {pk: {**own, "__name__": metric} for pk, metric, own in known}
    return {rule_id: [labels[int(pk)] for pk in ids if int(pk) in labels] for rule_id, ids in last.items()}


def block(series: dict[int, dict[str, str]], slots: Sequence[Slot]) -> Block:
    """Slots, by rule and time, as a block of these series on the grid of their times."""
    times = np.unique(np.array([slot.at_ms for slot in slots], dtype=np.int64))
    check_cells(len(series) * len(times))
    ids = np.array(sorted(series), dtype=np.int64)
    values = np.zeros((len(ids), len(times)))
    present = np.zeros(values.shape, dtype=bool)
    ended = np.zeros(values.shape, dtype=bool)
    before: Slot | None = None
    for slot in slots:
        column = int(np.searchsorted(times, slot.at_ms))
        rows, kept = rows_of(ids, slot.series)
        values[rows, column], present[rows, column] = slot.values[kept], True
        if before is not None and before.rule_id == slot.rule_id:
            gone, _ = rows_of(ids, np.setdiff1d(before.series, slot.series))
            ended[gone, column] = True
        before = slot
    # A series that another rule goes on recording has not ended.
    ended &= ~present
    values[ended] = STALE_NAN
    return Block([series[int(pk)] for pk in ids], times, values, present | ended)


def _check(rows: QuerySet[RecordedSlot], series: Mapping[str, int]) -> None:
    """Refuse what would take more memory than a query may have, before it is read: the slots with all that is in them,
    and the cells of the series that are wanted."""
    stored = Sum(Func(F("series"), function="octet_length", output_field=IntegerField()))
    found = rows.order_by().values_list("metric").annotate(times=Count("at", distinct=True), stored=stored)
    for metric, times, size in found:
        check_cells(max(series[metric] * times, size // ID_BYTES))


def rows_of(ids: Ints, wanted: Ints) -> tuple[Ints, Ints]:
    """Where those of `wanted` that are among the sorted ids stand in them, and in `wanted`."""
    places = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    known = np.flatnonzero(ids[places] == wanted)
    return places[known], known


def _name_filter(named: Sequence[Matcher]) -> Q:
    exact = [one.value for one in named if one.op == "="]
    return Q(metric__in=exact) if exact else Q()


def _ints(data: bytes | memoryview) -> Ints:
    return np.frombuffer(data, "<i8")


def _ms(at: dt.datetime) -> int:
    return (at - EPOCH) // dt.timedelta(milliseconds=1)


def _moment(ms: int) -> dt.datetime:
    # A query may reach back beyond what a time of Python can be.
    return EPOCH + dt.timedelta(milliseconds=min(max(ms, -62_135_596_800_000), 253_402_300_799_000))
