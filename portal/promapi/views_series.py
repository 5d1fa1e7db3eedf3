"""What series there are: series, labels, their values, and the metrics' metadata."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.http import HttpRequest, JsonResponse, QueryDict

import promql
from core.heavy import heavy
from portal.promapi import parameters, responses
from portal.promapi.caller import source_of
from usage.catalog import FAMILIES

ALL: Sequence[promql.Matcher] = (promql.Matcher("__name__", "=~", ".+"),)


def matching(source: promql.Listing, given: QueryDict, needed: bool) -> list[dict[str, str]]:
    """The labels of the series that any `match[]` selects, each once, in order."""
    parameters.milliseconds(given, "start", 0)
    end = parameters.milliseconds(given, "end", parameters.now_ms())
    found = {
        tuple(sorted(labels.items())): labels
        for matchers in parameters.selectors(given, needed) or [ALL]
        for labels in source.series(matchers, end)
    }
    return [found[key] for key in sorted(found)]


def cut(values: Iterable[str], limit: int) -> JsonResponse:
    """Sorted values, at most `limit` of them where that is not 0."""
    ordered = sorted(values)
    if limit and len(ordered) > limit:
        return responses.success(ordered[:limit], ["results truncated due to limit"])
    return responses.success(ordered)


@heavy
@responses.endpoint("GET", "POST")
def series(request: HttpRequest) -> JsonResponse:
    """The series that match."""
    given = parameters.given(request)
    limit = parameters.whole(given, "limit")
    found = matching(source_of(request), given, needed=True)
    if limit and len(found) > limit:
        return responses.success(found[:limit], ["results truncated due to limit"])
    return responses.success(found)


@responses.endpoint("GET", "POST")
def labels(request: HttpRequest) -> JsonResponse:
    """The names of labels."""
    given = parameters.given(request)
    found = matching(source_of(request), given, needed=False)
    return cut({name for one in found for name in one}, parameters.whole(given, "limit"))


@responses.endpoint("GET")
def label_values(request: HttpRequest, name: str) -> JsonResponse:
    """The values of a label."""
    given = parameters.given(request)
    found = matching(source_of(request), given, needed=False)
    return cut({one[name] for one in found if name in one}, parameters.whole(given, "limit"))


@responses.endpoint("GET")
def metadata(request: HttpRequest) -> dict[str, list[dict[str, str]]]:
    """Type, help and unit of the catalog's metrics, under the names that their series' family has."""
    source_of(request)
    given = parameters.given(request)
    limit, metric = parameters.whole(given, "limit"), parameters.first(given, "metric")
    found = {
        family.name: [{"type": family.type, "help": family.help, "unit": ""}]
        for family in FAMILIES
        if not metric or family.name == metric
    }
    return dict(list(found.items())[:limit]) if limit else found
