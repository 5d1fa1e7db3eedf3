"""Reads of traces and logs: filters, order, pages, and whose they are."""

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from core.accounts.models import Workspace
from core.pg.partitions import ensure
from telemetry.store import partitions
from telemetry.store.ids import span_number, trace_uuid
from telemetry.store.reading import logs, traces
from tests.records import NOW

ALL = frozenset({"production"})
RANGE = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))


def insert(table: str, **values: Any) -> None:
    with connection.cursor() as cursor:
        names, holders = ", ".join(values), ", ".join(["%s"] * len(values))
        cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({holders})", [*values.values()])


def trace(workspace: Workspace, number: int, **values: Any) -> str:
    given = {
        "workspace_id": workspace.pk,
        "trace_id": uuid.UUID(int=number),
        "start": NOW + timedelta(seconds=number),
        "finish": NOW + timedelta(seconds=number + 1),
        "duration": 1.0,
        "root_name": f"run {number}",
        "root_service": "shop",
        "has_root": True,
        "spans": 1,
        "first_seen": NOW,
        "last_seen": NOW,
        **values,
    }
    insert("telemetry_trace", **given)
    return f"{number:032x}"


def span(workspace: Workspace, trace_id: str, span_id: str, **values: Any) -> None:
    given = {
        "workspace_id": workspace.pk,
        "trace_id": trace_uuid(trace_id),
        "span_id": span_number(span_id),
        "start": NOW + timedelta(seconds=int(trace_id, 16)),
        "duration": 0.5,
        "span_kind": 3,
        "status": 0,
        "name": "chat gpt-4o",
        **values,
    }
    ensure(partitions.SPANS, [NOW])
    insert("telemetry_span", **given)


def log(workspace: Workspace, number: int, body: str, **values: Any) -> None:
    given = {
        "workspace_id": workspace.pk,
        "digest": uuid.UUID(int=number),
        "at": NOW + timedelta(seconds=number),
        "severity": 9,
        "service": "shop",
        "body": body,
        **values,
    }
    ensure(partitions.LOGS, [NOW])
    insert("telemetry_log", **given)


def names(filters: traces.TraceFilters, **options: Any) -> list[str]:
    return [row.root_name for row in traces.find_traces(filters, **options).rows]


def test_a_list_of_traces_has_every_filter_and_is_paged(workspace: Workspace) -> None:
    trace(workspace, 1, facets=["service:shop", "model:gpt-4o"], errors=1, cost_usd=0.5)
    trace(workspace, 2, facets=["service:shop", "model:claude"], duration=9.0, input_tokens=80, output_tokens=40)
    trace(workspace, 3, facets=["service:bot", "model:gpt-4o"])
    span(workspace, f"{3:032x}", "a" * 16, attributes='{"tenant": "acme"}')

    def those(**values: Any) -> list[str]:
        return names(traces.TraceFilters(ALL, *RANGE, **values))

    assert those() == ["run 3", "run 2", "run 1"]
    assert those(facets=(("service", "shop"), ("model", "gpt-4o"))) == ["run 1"]
    assert (those(failed=True), those(failed=False)) == (["run 1"], ["run 3", "run 2"])
    assert (those(min_duration=2), those(max_duration=2)) == (["run 2"], ["run 3", "run 1"])
    assert (those(min_tokens=120), those(min_cost=0.5), those(text="RUN 3")) == (["run 2"], ["run 1"], ["run 3"])
    assert (those(attributes=(("tenant", "acme"),)), those(attributes=(("tenant", "other"),))) == (["run 3"], [])
    every = traces.TraceFilters(ALL, *RANGE)
    assert names(every, sort="duration")[0] == "run 2"
    assert names(every, sort="start", descending=False) == ["run 1", "run 2", "run 3"]
    first, second = (traces.find_traces(every, size=2, page=page) for page in (1, 2))
    assert ([row.root_name for row in second.rows], first.more, second.more) == (["run 1"], True, False)
    assert [(one.traces, one.errors, one.longest) for one in traces.histogram(every, 1)] == [(3, 1, 9.0)]
    assert traces.facet_values(ALL, *RANGE, "model") == [("gpt-4o", 2), ("claude", 1)]
    assert first.rows[0].values("service") == ["bot"]


def test_a_trace_is_read_with_its_spans_by_those_who_may_see_it(workspace: Workspace) -> None:
    trace_id = trace(workspace, 7, spans=2)
    span(workspace, trace_id, "f" * 16, parent_span_id=span_number("0" * 15 + "1"), attributes='{"a": [1]}')
    span(workspace, trace_id, "0" * 15 + "1", start=NOW + timedelta(seconds=7), events='[{"name": "e"}]')
    found = traces.read_trace(trace_id, ALL)
    assert found is not None
    assert [(one.span_id, one.parent_span_id) for one in found.spans] == [
        ("f" * 16, "0" * 15 + "1"),
        ("0" * 15 + "1", ""),
    ]
    assert (found.spans[0].attributes, found.spans[1].events, found.spans[1].attributes) == (
        {"a": [1]},
        [{"name": "e"}],
        {},
    )
    assert (found.summary.trace_id, found.summary.workspace, found.cut) == (trace_id, "production", False)
    assert traces.read_trace(trace_id, None) is not None
    assert traces.read_trace(trace_id, frozenset({"other"})) is None
    assert traces.read_trace("nonsense", None) is None


def test_logs_are_found_by_words_level_service_and_trace(workspace: Workspace) -> None:
    log(workspace, 1, "payment accepted", trace_id=uuid.UUID(int=5))
    log(
        workspace,
        2,
        "payment refused: card expired",
        severity=17,
        exception_type="CardError",
        attributes='{"tenant": "acme"}',
    )
    log(workspace, 3, "tick", service="clock", severity=13)

    def those(**values: Any) -> list[str]:
        return [one.body for one in logs.find_logs(logs.LogFilters(ALL, *RANGE, **values))[0]]

    assert those() == ["tick", "payment refused: card expired", "payment accepted"]
    assert those(text="Payment -card") == ["payment accepted"]
    assert (those(severity=17), those(services=("clock",))) == (["payment refused: card expired"], ["tick"])
    assert (those(trace_id=f"{5:032x}"), those(exception="CardError")) == (
        ["payment accepted"],
        [those(severity=17)[0]],
    )
    assert those(attributes=(("tenant", "acme"),)) == those(severity=17)
    assert logs.find_logs(logs.LogFilters(frozenset({"other"}), *RANGE))[0] == []
    assert logs.counted_lines(logs.LogFilters(frozenset({"other"}), *RANGE)) == []
    assert logs.counted_lines(logs.LogFilters(ALL, *RANGE)) != []
    first, place = logs.find_logs(logs.LogFilters(None, *RANGE), size=2)
    rest, end = logs.find_logs(logs.LogFilters(None, *RANGE), place, size=2)
    assert ([one.body for one in rest], end) == (["payment accepted"], None)
    assert [
        (one.records, one.warnings, one.errors) for one in logs.histogram(logs.LogFilters(ALL, *RANGE), 1).bins
    ] == [(3, 1, 1)]
    before, after = logs.around(rest[0], ALL)
    assert ([one.body for one in before], [one.body for one in after]) == ([], ["payment refused: card expired"])
    assert (first[1].level, first[1].trace_id, rest[0].trace_id) == ("error", "", f"{5:032x}")


def test_a_chart_of_more_lines_than_can_be_counted_at_once_is_estimated_from_a_share(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(workspace, 1, "first")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_log (workspace_id, digest, at, severity, service, body)"
            " SELECT %s, md5(n::text)::uuid, %s::timestamptz + n * interval '1 ms', CASE WHEN n %% 10 = 0"
            " THEN 17 ELSE 9 END, 'shop',"
            " CASE WHEN n %% 100 = 0 THEN 'rare' ELSE 'request' END FROM generate_series(1, 8000) n",
            [workspace.pk, NOW],
        )
        cursor.execute("ANALYZE telemetry_log")
    monkeypatch.setattr(logs, "MAX_SEARCHED", 2_000)
    filters = logs.LogFilters(ALL, *RANGE)
    frequent = logs.histogram(replace(filters, text="request"), 1)
    assert frequent.estimated
    assert frequent.bins[0].records == pytest.approx(7_920, rel=0.15)
    assert frequent.bins[0].errors == pytest.approx(720, rel=0.4)
    rare = logs.histogram(replace(filters, text="rare"), 1)
    assert ([(one.records, one.errors) for one in rare.bins], rare.estimated) == ([(80, 80)], False)
    every = logs.histogram(filters, 1)
    assert (every.bins[0].records, every.estimated) == (8_001, False)


@pytest.mark.parametrize("text", ["", "xyz", "f" * 31, "g" * 32])
def test_what_is_no_trace_id_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="hexa"):
        trace_uuid(text)
