"""6 series, exported: every family of the catalog as Prometheus reads it, from the totals in Postgres.

Every replica exports the same values, and they never go back, as totals only grow. The text of a series' labels is kept
between scrapes; a scrape reads the totals once and formats numbers.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
from django.conf import settings
from django.db import connection

from promql.values import Floats
from usage.catalog import FAMILIES, KINDS, Family, bound

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@lru_cache(maxsize=65_536)
def label_text(labels: tuple[tuple[str, str], ...]) -> str:
    """Labels as they stand between the braces, escaped."""
    return ",".join(
        '{}="{}"'.format(name, value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"'))
        for name, value in labels
        if value
    )


def number(value: float) -> str:
    """A sample's value: whole numbers in full, others in their shortest digits."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(repr(value), repr(value))


@lru_cache(maxsize=131_072)
def dimension_labels(pk: int, text: str) -> dict[str, str]:
    """A dimension's labels; its id is part of the cache's key only so that equal texts of two databases do no harm."""
    return msgspec.json.decode(text, type=dict[str, str])


@lru_cache(maxsize=262_144)
def shown_text(family: Family, pk: int, text: str, split_value: str) -> str | None:
    """The label text under which a dimension counts in a family, None where it does not."""
    labels = dimension_labels(pk, text)
    if not family.covers(labels):
        return None
    shown = family.shown(labels)
    if family.split:
        shown[family.split[0]] = split_value
    return label_text(tuple(shown.items()))


class Rows(msgspec.Struct):
    """What the export is made of, as Postgres has it: kind, id, labels (JSON) and measures of each dimension; id,
    labels and value of each gauge."""

    totals: list[tuple[str, int, str, list[float]]] = []
    gauges: list[tuple[int, str, float]] = []


def read_rows(now: float) -> Rows:
    """All totals, and the gauges that hold a value at `now`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.kind, d.id, d.labels::text, t.measures FROM usage_dimension d JOIN usage_total t ON"
            " t.dimension_id = d.id"
            " ORDER BY d.kind, d.id"
        )
        totals = cursor.fetchall()
        cursor.execute(
            "SELECT DISTINCT ON (g.dimension_id) d.id, d.labels::text, g.value FROM usage_gauge_sample g"
            " JOIN usage_dimension d ON d.id = g.dimension_id WHERE g.bucket > to_timestamp(%s)"
            " ORDER BY g.dimension_id, g.bucket DESC",
            [now - settings.PORTAL.gauge_hold],
        )
        return Rows(totals, cursor.fetchall())


class Exemplar(NamedTuple):
    """A call that shows where a histogram's values come from: its dimension, duration (s), end
    (epoch seconds), trace and span (hex)."""

    dimension: int
    value: float
    at: float
    trace_id: str
    span_id: str

    @property
    def text(self) -> str:
        """As OpenMetrics has it behind a bucket's sample."""
        labels = {"trace_id": self.trace_id, "span_id": self.span_id}
        return f" # {{{label_text(tuple(labels.items()))}}} {self.value!r} {self.at:.3f}"


class Totals:
    """The totals of each kind: the dimensions and their measures as a matrix."""

    def __init__(self, rows: Rows) -> None:
        self._kinds: dict[str, tuple[list[tuple[int, str]], Floats]] = {}
        self.gauges = rows.gauges
        self.exemplars: list[tuple[str, str, Exemplar]] = []
        by_kind: dict[str, list[tuple[int, str, list[float]]]] = {}
        for kind, pk, text, measures in rows.totals:
            by_kind.setdefault(kind, []).append((pk, text, measures))
        for kind, found in by_kind.items():
            width = KINDS[kind].width
            matrix = np.zeros((len(found), width))
            for place, (_, _, measures) in enumerate(found):
                matrix[place, : len(measures)] = measures
            self._kinds[kind] = ([(pk, text) for pk, text, _ in found], matrix)

    def show(self, exemplars: Sequence[Exemplar]) -> None:
        """Let buckets show exemplars; of several the newest."""
        known = {pk: (kind, text) for kind, (found, _) in self._kinds.items() for pk, text in found}
        ordered = sorted(exemplars, key=lambda one: one.at)
        self.exemplars = [(*known[one.dimension], one) for one in ordered if one.dimension in known]

    def exemplars_of(self, family: Family, split_value: str) -> dict[tuple[str, int], str]:
        """The exemplars of a family of durations, by label text and bucket."""
        found: dict[tuple[str, int], str] = {}
        if family.measure == "duration":
            for kind, text, one in self.exemplars:
                if kind == family.kind and family.counts(dimension_labels(one.dimension, text)):
                    shown = shown_text(family, one.dimension, text, split_value)
                    if shown is not None:
                        found[shown, bisect_left(family.buckets, one.value)] = one.text
        return found

    def grouped(self, family: Family, split_value: str) -> tuple[list[str], Floats]:
        """The family's label texts in order, and for each the summed measures of its dimensions."""
        dimensions, matrix = self._kinds.get(family.kind, ([], np.zeros((0, KINDS[family.kind].width))))
        places: dict[str, int] = {}
        rows: list[int] = []
        series: list[int] = []
        for row, (pk, text) in enumerate(dimensions):
            shown = shown_text(family, pk, text, split_value)
            if shown is not None:
                place = places.setdefault(shown, len(places))
                if family.counts(dimension_labels(pk, text)):
                    rows.append(row)
                    series.append(place)
        sums = np.zeros((len(places), matrix.shape[1]))
        np.add.at(sums, series, matrix[rows])
        return list(places), sums


def samples(family: Family, totals: Totals) -> Iterator[str]:
    """The sample lines of a family."""
    if family.type == "gauge":
        yield from gauge_samples(family, totals)
        return
    for value, measure in (family.split[1] if family.split else {"": family.measure}).items():
        texts, sums = totals.grouped(family, value)
        offset = KINDS[family.kind].offsets[measure]
        if family.type == "counter":
            column = sums[:, offset].tolist()
            yield from (
                f"{braced(family.name, text)} {number(total)}\n" for text, total in zip(texts, column, strict=True)
            )
        else:
            cells = sums[:, offset : offset + len(family.buckets) + 2]
            yield from histogram_samples(family, texts, cells, totals.exemplars_of(family, value))


def braced(name: str, text: str) -> str:
    """A series' name with its labels."""
    return f"{name}{{{text}}}" if text else name


def histogram_samples(
    family: Family, texts: list[str], cells: Floats, exemplars: Mapping[tuple[str, int], str]
) -> Iterator[str]:
    """Cumulated buckets, sum and count of each series; `cells` holds the sum, then each bucket and +Inf;
    `exemplars` by label text and bucket."""
    bounds = [f'le="{bound(le)}"' for le in (*family.buckets, np.inf)]
    cumulated = np.cumsum(cells[:, 1:], axis=1).tolist()
    for text, total, counts in zip(texts, cells[:, 0].tolist(), cumulated, strict=True):
        lead = f"{family.name}_bucket{{{text}," if text else f"{family.name}_bucket{{"
        for place, (le, count) in enumerate(zip(bounds, counts, strict=True)):
            yield f"{lead}{le}}} {count:.1f}{exemplars.get((text, place), '')}\n"
        yield f"{braced(family.name + '_sum', text)} {number(total)}\n"
        yield f"{braced(family.name + '_count', text)} {counts[-1]:.1f}\n"


def gauge_samples(family: Family, totals: Totals) -> Iterator[str]:
    """Gauges that hold a value, summed over what the family does not show."""
    sums: dict[str, float] = {}
    for pk, text, value in totals.gauges:
        shown = shown_text(family, pk, text, "")
        if shown is not None:
            sums[shown] = sums.get(shown, 0.0) + value
    yield from (f"{braced(family.name, text)} {number(total)}\n" for text, total in sums.items())


def exposition(openmetrics: bool, now: float | None = None) -> str:
    """All families as they are now, in the text format or in OpenMetrics (without its closing `# EOF`, as others
    follow)."""
    return exposition_of(read_rows(time.time() if now is None else now), openmetrics)


def exposition_of(rows: Rows, openmetrics: bool, exemplars: Sequence[Exemplar] = ()) -> str:
    """All families, of what was read; exemplars are OpenMetrics's only."""
    totals = Totals(rows)
    if openmetrics:
        totals.show(exemplars)
    parts: list[str] = []
    for family in FAMILIES:
        name = family.name.removesuffix("_total") if openmetrics and family.type == "counter" else family.name
        parts.append(f"# HELP {name} {family.help}\n# TYPE {name} {family.type}\n")
        parts += samples(family, totals)
    return "".join(parts)
