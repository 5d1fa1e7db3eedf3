"""6 series, exported: every family of the catalog as Prometheus reads it, from the totals in Postgres.

Every replica exports the same values, and they never go back, as totals only grow. The text of a series' labels is kept between
scrapes; a scrape reads the totals once and formats numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache

import msgspec
import numpy as np
from django.conf import settings
from django.db import connection

from usage.catalog import FAMILIES, KINDS, Family, bound
from usage.measures import Floats

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


class Totals:
    """The totals of each kind, read once: for each kind the dimensions and their measures as a matrix."""

    def __init__(self, now: float) -> None:
        self._kinds: dict[str, tuple[list[tuple[int, str]], Floats]] = {}
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT d.kind, d.id, d.labels::text, t.measures FROM usage_dimension d JOIN usage_total t ON t.dimension_id = d.id"
                " ORDER BY d.kind, d.id"
            )
            rows = cursor.fetchall()
            cursor.execute(
                "SELECT DISTINCT ON (g.dimension_id) d.id, d.labels::text, g.value FROM usage_gauge_sample g"
                " JOIN usage_dimension d ON d.id = g.dimension_id WHERE g.bucket > to_timestamp(%s)"
                " ORDER BY g.dimension_id, g.bucket DESC",
                [now - settings.PORTAL.gauge_hold],
            )
            self.gauges: list[tuple[int, str, float]] = cursor.fetchall()
        by_kind: dict[str, list[tuple[int, str, list[float]]]] = {}
        for kind, pk, text, measures in rows:
            by_kind.setdefault(kind, []).append((pk, text, measures))
        for kind, found in by_kind.items():
            width = KINDS[kind].width
            matrix = np.zeros((len(found), width))
            for place, (_, _, measures) in enumerate(found):
                matrix[place, : len(measures)] = measures
            self._kinds[kind] = ([(pk, text) for pk, text, _ in found], matrix)

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
        slot = KINDS[family.kind].slots[measure]
        if family.type == "counter":
            column = sums[:, slot].tolist()
            yield from (
                f"{braced(family.name, text)} {number(total)}\n" for text, total in zip(texts, column, strict=True)
            )
        else:
            yield from histogram_samples(family, texts, sums[:, slot : slot + len(family.buckets) + 2])


def braced(name: str, text: str) -> str:
    """A series' name with its labels."""
    return f"{name}{{{text}}}" if text else name


def histogram_samples(family: Family, texts: list[str], cells: Floats) -> Iterator[str]:
    """Cumulated buckets, sum and count of each series; `cells` holds the sum, then each bucket and +Inf."""
    bounds = [f'le="{bound(le)}"' for le in (*family.buckets, np.inf)]
    cumulated = np.cumsum(cells[:, 1:], axis=1).tolist()
    for text, total, counts in zip(texts, cells[:, 0].tolist(), cumulated, strict=True):
        lead = f"{family.name}_bucket{{{text}," if text else f"{family.name}_bucket{{"
        for le, count in zip(bounds, counts, strict=True):
            yield f"{lead}{le}}} {count:.1f}\n"
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
    """All families, in the text format or in OpenMetrics (without its closing `# EOF`, as the process's own follow)."""
    totals = Totals(time.time() if now is None else now)
    parts: list[str] = []
    for family in FAMILIES:
        name = family.name.removesuffix("_total") if openmetrics and family.type == "counter" else family.name
        parts.append(f"# HELP {name} {family.help}\n# TYPE {name} {family.type}\n")
        parts += samples(family, totals)
    return "".join(parts)
