"""The waterfall: order, sums, critical path, clocks that disagree, and traces that are not whole."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from telemetry.ingest.bodies import take
from telemetry.pages.chips import Chip, number, parse
from telemetry.pages.logs.log_search import search_of
from telemetry.pages.logs.patterns import fold
from telemetry.pages.traces.waterfall import COLUMNS, rows_json, waterfall
from telemetry.samples.demo_executions import Execution, Hour, body_of
from telemetry.store.reading.traces import Span
from tests.records import NOW, scalar
from usage.samples import demo

EMPTY = dict.fromkeys(Span._fields, "")


def span(name: str, parent: str, start: float, end: float, **values: Any) -> Span:
    """A span of the service `shop` that lasts from `start` to `end` seconds."""
    numbers = dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd"))
    given = {
        **EMPTY, **numbers, "span_id": name, "parent_span_id": parent, "name": name, "service": "shop", "span_kind": 1,
        "status": 0, "start": NOW + timedelta(seconds=start), "duration": end - start, "dropped": 0,
        "counted_event": None, "attributes_json": None, "resource_json": None, "events_json": None,
        "links_json": None, "waiting": False, **values,
    }  # fmt: skip
    return Span(**given)


def drawn(*spans: Span) -> dict[str, Any]:
    return {row.span.name: row for row in waterfall(spans).rows}


def test_the_critical_path_is_what_the_end_waited_for() -> None:
    found = drawn(
        span("root", "", 0, 10), span("slow", "root", 1, 6), span("beside", "root", 2, 4), span("last", "root", 7, 9)
    )
    assert found["slow"].critical == [(1, 6)]
    assert found["beside"].critical == []
    assert found["last"].critical == [(7, 9)]
    assert found["root"].critical == [(9, 10), (6, 7), (0, 1)]
    assert waterfall([row.span for row in found.values()]).critical == pytest.approx(10)


def test_a_child_that_outlives_its_parent_counts_up_to_its_end() -> None:
    found = drawn(span("root", "", 0, 4), span("late", "root", 3, 9))
    assert (found["late"].critical, found["root"].critical) == ([(3, 4)], [(0, 3)])


def test_sums_count_what_counts_once() -> None:
    usage = {"input_tokens": 100, "output_tokens": 10, "cost_usd": 0.5}
    found = drawn(
        span("root", "", 0, 9),
        span("agent", "root", 0, 9, **usage, not_counted="wrapper"),
        span("call", "agent", 1, 2, **usage, counted_kind="llm_call"),
        span("failed", "agent", 2, 3, status=2),
    )
    root = found["root"]
    assert (root.input_tokens, root.output_tokens, root.cost, root.errors, root.below) == (100, 10, 0.5, 1, 3)


def test_a_service_whose_clock_is_off_is_moved_into_the_span_that_asked_for_it() -> None:
    whole = waterfall(
        [
            span("root", "", 0, 10),
            span("ask", "root", 2, 6),
            span("serve", "ask", -3, -1, service="search", span_kind=2),
            span("read", "serve", -2.5, -2, service="search"),
        ]
    )
    found = {row.span.name: row for row in whole.rows}
    assert (found["serve"].start, found["serve"].end) == (3, 5)
    assert (found["read"].start, found["read"].end) == (3.5, 4)
    assert (whole.skew, whole.length) == ({"search": 6}, 10)
    inside = drawn(span("ask", "", 0, 4), span("serve", "ask", 1, 2, service="search", span_kind=2))
    assert inside["serve"].shift == 0


def test_the_first_token_of_a_call_is_marked() -> None:
    given = {"kind": "llm", "attributes_json": '{"ai.response.msToFirstChunk": 250}'}
    data = rows_json(waterfall([span("a", "", 0, 2, **given), span("b", "a", 0, 1)]))
    assert isinstance(data["rows"], list)
    first = [dict(zip(COLUMNS, row, strict=True))["first"] for row in data["rows"]]
    assert first == [250, None]


def test_spans_without_their_parent_stand_at_the_top_and_a_circle_is_cut_open() -> None:
    whole = waterfall([span("lost", "gone", 1, 2), span("child", "lost", 1, 2), span("root", "", 0, 3)])
    assert [(row.span.name, row.depth) for row in whole.rows] == [("root", 0), ("lost", 0), ("child", 1)]
    assert whole.orphans == 1
    circle = waterfall([span("a", "b", 0, 1), span("b", "a", 0, 1), span("self", "self", 0, 1)])
    assert sorted(row.span.name for row in circle.rows) == ["a", "b", "self"]
    assert waterfall([]).rows == []


@pytest.mark.parametrize(
    ("text", "chip"),
    [
        ("model = gpt-4o", Chip("model", "=", "gpt-4o")),
        ("duration>=0.5 s", Chip("duration", ">=", "0.5 s")),
        ('"out of memory"', Chip("", "", "out of memory")),
        ("http.route=/a?b=c", Chip("http.route", "=", "/a?b=c")),
        ("service != nginx", Chip("service", "!=", "nginx")),
    ],
)
def test_what_is_typed_is_understood(text: str, chip: Chip) -> None:
    assert parse(text) == chip
    assert parse(chip.text) == chip


def test_numbers_have_units() -> None:
    assert [number(text) for text in ("300 ms", "1.5k", "2min", "$0.05", "3M")] == [0.3, 1500, 120, 0.05, 3e6]
    with pytest.raises(ValueError, match="no number"):
        number("much")


def test_lines_that_differ_in_numbers_ids_and_quotes_are_one_pattern() -> None:
    lines = ("stored 500 records in 18 ms receipt=5c1e9a00b7", "stored 12 records in 1.5 ms receipt=77be1190aa")
    assert {fold(line) for line in lines} == {"stored ‹n› records in ‹n› ms receipt=‹id›"}
    assert fold("key 'a' is missing") == "key ‹text› is missing"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        "stored 500 records in 18 ms receipt=5c1e9a00b7",
        "GET /a/b?x=[1,2] failed (503): 'no route' \\ {x} +1.5% $9 ^ | *",
        "  first line  \n second 5",
        '"quoted" at both "ends"',
        "a word " * 90,
        "x" * 500,
        "number 7 " * 60,
        "-",
    ],
)
def test_a_pattern_finds_the_lines_that_it_was_made_of(body: str) -> None:
    chip = parse(Chip("pattern", "=", fold(body)).text)
    filters = search_of([chip], None, NOW, NOW).filters
    assert not filters.text or scalar(
        "SELECT to_tsvector('simple', %s) @@ websearch_to_tsquery('simple', %s)", body, filters.text
    )
    assert scalar("SELECT %s ~ %s", body, filters.regex)
    assert not scalar("SELECT %s ~ %s", f"other {body}", filters.regex)


def large_trace(spans: int, trace_id: str = "5f2d" * 8) -> str:
    """A trace of so many spans that came in through OTLP; its id."""
    now = timezone.now()
    run = Execution(random.Random(1), Hour(0), trace_id)
    root, begin = run.span_id(), now.timestamp() - 300
    for place in range(spans - 1):
        run.add("shop", root, run.span_id(), f"step {place}", begin + place * 0.1, begin + place * 0.1 + 0.09)
    run.add("shop", "", root, "large", begin, begin + spans * 0.1)
    take("traces.json", json.dumps(body_of("Spans", run.spans)).encode(), demo.caller(), now.timestamp())
    return run.trace_id


@pytest.mark.django_db(transaction=True)
def test_a_trace_of_2000_spans_is_read_whole_with_few_queries(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    trace = large_trace(2000)
    admin.get(f"/traces/{trace}/")
    with django_assert_max_num_queries(17):
        page = admin.get(f"/traces/{trace}/").content.decode()
    assert page.count('"step ') == 1999
    assert "Still arriving" in page


@pytest.mark.django_db(transaction=True)
def test_a_trace_without_its_root_and_one_that_lost_spans_say_so(admin: Client) -> None:
    trace = large_trace(20)
    scalar(
        "WITH gone AS (DELETE FROM telemetry_span WHERE name IN ('large', 'step 3') RETURNING 1)"
        " SELECT count(*) FROM gone"
    )
    scalar(
        "WITH lost AS (UPDATE telemetry_trace SET has_root = false, last_seen = last_seen - interval '1 hour'"
        " RETURNING 1) SELECT 1"
    )
    page = admin.get(f"/traces/{trace}/").content.decode()
    assert "its root has not arrived" in page
    assert "2 of 20 spans were cut by sampling or retention" in page
    assert "Finished without an error" in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("missing", ["'large'", "'step 3'"])
def test_every_page_of_a_trace_is_there_where_its_root_or_other_spans_are_not(admin: Client, missing: str) -> None:
    trace = large_trace(12)
    scalar(f"WITH gone AS (DELETE FROM telemetry_span WHERE name = {missing} RETURNING 1) SELECT count(*) FROM gone")
    if missing == "'large'":
        scalar(
            "WITH lost AS (UPDATE telemetry_trace SET has_root = false, root_name = '' RETURNING 1) SELECT 1 FROM lost"
        )
    for path in ("", "records/", "cost/", "otlp.json", "?part=state", "?part=data"):
        assert admin.get(f"/traces/{trace}/{path}").status_code == 200, path
    for path in (f"/traces/compare/?id={trace}", f"/traces/compare/?id={trace}&id={trace}", f"/api/traces/{trace}"):
        assert admin.get(path).status_code == 200, path
    for path in ("/traces/", f"/traces/{trace}/", f"/traces/{trace}/records/", f"/traces/{trace}/cost/"):
        said = " ".join(admin.get(path).content.decode().split())
        assert ("root not arrived" in said) is (missing == "'large'"), path
