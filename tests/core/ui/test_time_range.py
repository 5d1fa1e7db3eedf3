"""The time range of a URL."""

from datetime import UTC, datetime

import pytest

from core.ui.time_range import DAY, HOUR, MINUTE, NAMED, POINTS, TimeRange, duration, named, parse

NOW = datetime(2026, 11, 21, 12, 34, 56, tzinfo=UTC)
NOW_MS = 1795264496000


def test_named_range_ends_now_and_begins_at_a_border_of_its_rollups() -> None:
    end = NOW_MS + 4000  # the end of the present 15 seconds
    assert parse({"range": "1h"}, NOW) == TimeRange(end - HOUR, end, "1h")
    assert parse({"range": "24h"}, NOW) == TimeRange((end - DAY) // (5 * MINUTE) * 5 * MINUTE, end, "24h")
    assert parse({"range": "7d"}, NOW) == TimeRange((end - 7 * DAY) // HOUR * HOUR, end, "7d")


def test_no_parameters_mean_the_last_24_hours() -> None:
    assert parse({}, NOW) == parse({"range": "24h"}, NOW)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("1795219200000", "1795222800000"),
        ("2026-11-21T00:00:00Z", "2026-11-21T01:00:00Z"),
        ("2026-11-21T00:00", "2026-11-21T01:00"),
        ("2026-11-21T02:00:00+02:00", "2026-11-21T03:00:00+02:00"),
    ],
)
def test_fixed_range_is_read_from_milliseconds_or_iso(start: str, end: str) -> None:
    assert parse({"from": start, "to": end}, NOW) == TimeRange(1795219200000, 1795222800000)


def test_range_without_an_end_ends_now() -> None:
    assert parse({"from": "2026-11-21T00:00:00Z"}, NOW) == TimeRange(1795219200000, NOW_MS)


@pytest.mark.parametrize(
    "params",
    [
        {"range": "5y"},
        {"from": "yesterday"},
        {"from": "99999999999999999999"},
        {"from": "2026-11-21T01:00", "to": "2026-11-21T00:00"},
        {"from": "0", "to": "1795222800000"},
        {"to": "1795222800000"},
    ],
)
def test_what_cannot_be_read_gives_the_default_and_says_so(params: dict[str, str]) -> None:
    found = parse(params, NOW)
    assert found.name == "24h"
    assert found.problem.endswith("this is the last 24 h.")


@pytest.mark.parametrize("name", NAMED)
def test_a_chart_has_enough_points_and_not_too_many(name: str) -> None:
    found = named(name, NOW)
    assert POINTS / 2 < found.span_ms / found.step_ms <= POINTS


@pytest.mark.parametrize(("name", "window"), [("1h", "5m"), ("24h", "15m"), ("7d", "3h"), ("30d", "3h")])
def test_rate_window_covers_a_step_so_that_no_call_is_missed(name: str, window: str) -> None:
    found = named(name, NOW)
    assert found.rate_window(found.step_ms) == window


def test_the_whole_range_is_a_duration() -> None:
    assert named("1h", NOW).window == "1h"
    assert TimeRange(0, 90_000).window == "90s"


def test_durations_are_written_as_promql_reads_them() -> None:
    assert [duration(ms) for ms in (15_000, 90_000, 2 * MINUTE, 3 * HOUR, DAY)] == ["15s", "90s", "2m", "3h", "1d"]


def test_query_names_the_range_again() -> None:
    assert parse({"range": "7d"}, NOW).query == "range=7d"
    assert TimeRange(60_000, 120_000).query == "from=60000&to=120000"
