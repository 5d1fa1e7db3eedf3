"""Queries: instant and range, their text formatted and parsed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

import promql
from portal.promapi import answers, parameters
from portal.promapi.caller import source_of, workspaces_of
from portal.promapi.tree import as_json, function_signatures


@answers.endpoint("GET", "POST")
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
    return answers.answer_of(result, parameters.whole(given, "limit"))


@answers.endpoint("GET", "POST")
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
    return answers.answer_of(result, parameters.whole(given, "limit"))


@answers.endpoint("GET", "POST")
def query_exemplars(request: HttpRequest) -> list[Any]:
    """Exemplars: none are kept."""
    workspaces_of(request)
    given = parameters.given(request)
    promql.parse(parameters.first(given, "query"))
    parameters.milliseconds(given, "start", 0)
    parameters.milliseconds(given, "end", 0)
    return []


@answers.endpoint("GET", "POST")
def format_query(request: HttpRequest) -> str:
    """`query` in canonical form."""
    workspaces_of(request)
    return promql.parse(parameters.first(parameters.given(request), "query")).pretty()


@answers.endpoint("GET", "POST")
def parse_query(request: HttpRequest) -> dict[str, Any]:
    """The syntax tree of `query`."""
    workspaces_of(request)
    query = promql.parse(parameters.first(parameters.given(request), "query"))
    return as_json(query.expr, function_signatures(query.parsed))
