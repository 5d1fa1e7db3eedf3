"""Queries: instant and range, their text formatted and parsed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

import promql
from core.heavy import heavy
from portal.promapi import parameters, responses
from portal.promapi.caller import source_of, workspaces_of
from portal.promapi.exemplars import exemplars_of
from portal.promapi.tree import as_json

HOUR_MS = 3_600_000


@heavy
@responses.endpoint("GET", "POST")
def query(request: HttpRequest) -> JsonResponse:
    """`query` at `time`."""
    given = parameters.given(request)
    at = parameters.milliseconds(given, "time", parameters.now_ms())
    result = promql.instant(
        parameters.first(given, "query"),
        source_of(request),
        at,
        lookback_ms=parameters.lookback_ms(given),
        limits=parameters.limits(given),
    )
    return responses.answer_of(result, parameters.whole(given, "limit"))


@heavy
@responses.endpoint("GET", "POST")
def query_range(request: HttpRequest) -> JsonResponse:
    """`query` from `start` to `end`, every `step`."""
    given = parameters.given(request)
    start, end, step = parameters.steps(given)
    result = promql.range(
        parameters.first(given, "query"),
        source_of(request),
        start,
        end,
        step,
        lookback_ms=parameters.lookback_ms(given),
        limits=parameters.limits(given),
    )
    return responses.answer_of(result, parameters.whole(given, "limit"))


@heavy
@responses.endpoint("GET", "POST")
def query_exemplars(request: HttpRequest) -> list[Any]:
    """Exemplars of the query's histograms of durations: calls that lead to their traces."""
    slugs = workspaces_of(request)
    given = parameters.given(request)
    parsed = promql.parse(parameters.first(given, "query"))
    end = parameters.milliseconds(given, "end", parameters.now_ms())
    start = parameters.milliseconds(given, "start", end - HOUR_MS)
    return exemplars_of(parsed, slugs, start, end)


@responses.endpoint("GET", "POST")
def format_query(request: HttpRequest) -> str:
    """`query` in canonical form."""
    workspaces_of(request)
    return promql.parse(parameters.first(parameters.given(request), "query")).pretty()


@responses.endpoint("GET", "POST")
def parse_query(request: HttpRequest) -> dict[str, Any]:
    """The syntax tree of `query`."""
    workspaces_of(request)
    return as_json(promql.parse(parameters.first(parameters.given(request), "query")).expr)
