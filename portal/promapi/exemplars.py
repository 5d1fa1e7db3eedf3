"""Exemplars of a query in Prometheus's shape: for each of its histograms of durations, calls that lead to their
traces."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import promql
from promql import syntax
from promql.labels import matches_all
from telemetry.store.reading.exemplars import Exemplar, exemplars, has_exemplars
from usage.catalog import BY_SERIES


def exemplars_of(query: promql.Query, slugs: frozenset[str] | None, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    """The exemplars of every selector of the query, series by series."""
    start, end = (datetime.fromtimestamp(at / 1000, UTC) for at in (start_ms, end_ms))
    found: dict[tuple[tuple[str, str], ...], list[Exemplar]] = {}
    for node in syntax.walk(query.expr):
        if not isinstance(node, syntax.Selector):
            continue
        name = next((one.value for one in node.matchers if one.name == "__name__" and one.op == "="), "")
        family = BY_SERIES.get(name)
        if family is None or not has_exemplars(family):
            continue
        matchers = [one for one in node.matchers if one.name not in ("__name__", "le")]
        wanted = partial(matches_all, matchers=matchers)
        for one in exemplars(family, wanted, slugs, start, end):
            series = (("__name__", f"{family.name}_bucket"), *one.labels.items())
            if one not in found.setdefault(series, []):
                found[series].append(one)
    return [
        {"seriesLabels": dict(series), "exemplars": [_as_json(one) for one in sorted(rows, key=lambda one: one.at)]}
        for series, rows in found.items()
    ]


def _as_json(exemplar: Exemplar) -> dict[str, Any]:
    labels = {"trace_id": exemplar.trace_id, **({"span_id": exemplar.span_id} if exemplar.span_id else {})}
    return {"labels": labels, "value": f"{exemplar.value:.6g}", "timestamp": exemplar.at.timestamp()}
