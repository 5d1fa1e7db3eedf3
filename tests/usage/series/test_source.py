"""6: series as a server would have scraped them, whatever grain answers."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

import promql
from alerts.evaluation.series import PortalSource
from core.pg.binary_copy import copied, copied_bytes
from portal.env import Config
from tests.records import NOW, Sender, call
from usage.series.exposition import exposition
from usage.series.grid import segments
from usage.series.source import PostgresSource, Snapshot
from usage.store import downsampling, retention
from usage.store.watermark import Watermark

pytestmark = pytest.mark.usefixtures("fixed_time")
START = NOW.replace(minute=0, second=0)
OPEN = Watermark(0, -np.inf, -np.inf, -np.inf)


def ask(query: str, at: datetime, workspaces: Any = None) -> dict[tuple[str, ...], float]:
    """An instant query's values by label values."""
    result = promql.instant(query, PostgresSource(workspaces, at.timestamp()), int(at.timestamp() * 1000))
    return {tuple(labels.values()): float(row[0]) for labels, row in zip(result.labels, result.values, strict=True)}


def test_a_sample_has_all_that_happened_before_it(sender: Sender) -> None:
    sender.post([call(at=START + timedelta(seconds=second)) for second in (0, 14, 15, 40)])
    source = PostgresSource(now=(START + timedelta(seconds=75)).timestamp())
    (block,) = source.select(
        [promql.Matcher("__name__", "=", "llm_provider_tokens_total"), promql.Matcher("type", "=", "prompt")],
        int(START.timestamp() * 1000) - 30_000,
        int(START.timestamp() * 1000) + 75_000,
        promql.Hints(),
    )
    assert block.labels == [
        {"__name__": "llm_provider_tokens_total", "provider": "openai", "model": "gpt-4o", "type": "prompt"}
    ]
    assert (block.times // 1000 - int(START.timestamp())).tolist() == [-30, -15, 0, 15, 30, 45, 60, 75]
    assert block.present is not None
    assert block.present.tolist() == [[False, False, True, True, True, True, True, True]]
    assert block.values.tolist() == [[0, 0, 0, 200, 300, 400, 400, 400]]


def test_first_increments_count(sender: Sender) -> None:
    sender.post([call(at=START + timedelta(seconds=second)) for second in range(600)])
    at = START + timedelta(minutes=12)
    assert ask("sum(increase(compozy_llm_usage_events_total[15m]))", at)[()] == pytest.approx(600, rel=0.02)
    assert ask("compozy_llm_usage_events_total", at) == {
        ("compozy_llm_usage_events_total", "agent", "openai", "gpt-4o", "success"): 600
    }


def test_a_rate_is_extrapolated_as_the_counter_stood_before_its_window(sender: Sender) -> None:
    sender.post([call(at=START + timedelta(seconds=second)) for second in (1, 2, 3, 4, 5, 470)])
    at = START + timedelta(minutes=8, seconds=7)
    # Samples at 435 to 480 s, of a counter far from 0: their one increment is extrapolated to the whole minute, on both
    # sides.
    assert ask("increase(compozy_llm_usage_events_total[1m])", at).popitem()[1] == pytest.approx(60 / 45)


def test_values_agree_with_what_is_exported(sender: Sender) -> None:
    records = [
        call(at=START - timedelta(hours=hours), model=f"m{hours % 3}", duration_seconds=hours / 7)
        for hours in range(40)
    ]
    sender.post(records)
    downsampling.downsample(timezone.now())
    exported = {}
    for line in exposition(openmetrics=False, now=(START + timedelta(minutes=1)).timestamp()).splitlines():
        if line.startswith(("compozy", "llm_provider")) and "latency" not in line:
            name, _, value = line.rpartition(" ")
            exported[name] = float(value)
    result = promql.instant(
        '{__name__=~"(compozy|llm_provider).+",__name__!~".*latency.*"}',
        PostgresSource(),
        int(timezone.now().timestamp() * 1000),
    )
    found = {}
    for labels, row in zip(result.labels, result.values, strict=True):
        shown = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
        found[labels["__name__"] + "{" + shown + "}"] = float(row[0])
    assert found == pytest.approx(exported)


def test_every_grain_gives_the_same_answer_within_itself(sender: Sender, configure: Callable[..., Config]) -> None:
    # A rate that changes slowly, over two days, then read from 15 s rows, 5 min rows and hours.
    times = [START - timedelta(seconds=60 * number) for number in range(2 * 24 * 60)]
    sender.post([call(at=at, prompt_tokens=100 + number // 10) for number, at in enumerate(times)])
    downsampling.downsample(timezone.now(), 10_000)
    query = "sum(rate(llm_provider_tokens_total{type='prompt'}[6h]))"
    ends = int(START.timestamp() * 1000)
    answers = []
    for days_15s, days_5m in ((100, 100), (2, 100), (2, 2)):
        configure(retention_15s_days=days_15s, retention_5m_days=days_5m)
        if days_15s == 2:
            retention.drop_old(START + timedelta(days=4, hours=1))
        source = PostgresSource(now=START.timestamp())
        answers.append(promql.range(query, source, ends - 86_400_000, ends, 3_600_000).values)
    assert answers[0].shape == (1, 25)
    np.testing.assert_allclose(answers[1], answers[0], rtol=0.01)
    np.testing.assert_allclose(answers[2], answers[0], rtol=0.02)


def test_what_one_time_needs_is_what_a_range_needs_there(sender: Sender) -> None:
    hours = [call(at=START - timedelta(minutes=7 * number), model=f"m{number % 3}") for number in range(300)]
    minutes = [call(at=START + timedelta(seconds=11 * number), model=f"m{number % 5}") for number in range(170)]
    sender.post(hours)
    downsampling.downsample(timezone.now())
    sender.post(minutes)  # not downsampled, and some series begin within the windows
    source = PostgresSource(now=(START + timedelta(minutes=35)).timestamp())
    for window in ("15s", "31s", "5m", "13m", "12h", "25h"):
        for query in ("rate({}[{}])", "increase({}[{}] offset 2m)", "sum(rate({}[{}])) / 3"):
            for metric in ("compozy_llm_usage_events_total", "llm_provider_request_seconds_bucket"):
                for seconds in (0, 1, 300, 907, 1800, 2100):
                    at = int((START + timedelta(seconds=seconds)).timestamp() * 1000)
                    text = query.format(metric, window)
                    found, wanted = promql.instant(text, source, at), promql.range(text, source, at, at, 60_000)
                    assert sorted(map(str, found.labels)) == sorted(map(str, wanted.labels))
                    order = [wanted.labels.index(labels) for labels in found.labels]
                    np.testing.assert_allclose(
                        found.values, wanted.values[order], rtol=1e-12, err_msg=f"{text} {seconds}"
                    )


def test_all_selectors_of_a_query_see_one_state(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    sender.post([call()])
    at = NOW + timedelta(minutes=1)
    both = "llm_provider_request_seconds_count - on (model) sum by (model) (compozy_llm_usage_events_total)"
    selected = Snapshot.select

    def send_between(self: Snapshot, *args: Any) -> list[promql.Block]:
        found = selected(self, *args)
        thread = threading.Thread(target=lambda: (sender.post([call()]), connection.close()))
        thread.start()
        thread.join()
        return found

    monkeypatch.setattr(Snapshot, "select", send_between)
    for source in (PostgresSource(now=at.timestamp()), PortalSource(now=at.timestamp())):
        result = promql.instant(both, source, int(at.timestamp() * 1000))
        assert result.values.tolist() == [[0.0]]


def test_no_expression_reaches_another_workspace(sender: Sender) -> None:
    sender.post(
        [
            call(),
            {
                "kind": "gauge",
                "metric": "gateway_active_connections",
                "labels": {"gateway_id": "g"},
                "value": 1,
                "at": NOW.timestamp(),
            },
        ]
    )
    at = NOW + timedelta(minutes=1)
    assert len(ask('{__name__=~".+"}', at, {"production"})) > 20
    assert ask('{__name__=~".+"}', at, {"elsewhere"}) == {}
    assert ask('{__name__=~"llm_usage_persist.+"}', timezone.now()) != {}
    assert ask('{__name__=~"llm_usage_persist.+"}', timezone.now(), {"production"}) == {}


def test_quantiles_come_from_the_buckets(sender: Sender) -> None:
    sender.post(
        [
            call(at=START + timedelta(seconds=number), duration_seconds=0.4 if number % 10 else 8)
            for number in range(300)
        ]
    )
    at = START + timedelta(minutes=5)
    query = "histogram_quantile({}, sum by (le) (rate(llm_provider_request_seconds_bucket[5m])))"
    assert ask(query.format(0.5), at)[()] == pytest.approx(0.25 + 0.25 * 0.5 / 0.9, rel=0.01)
    assert ask(query.format(0.95), at)[()] == pytest.approx(7.5, rel=0.01)
    assert ask('llm_provider_request_seconds_bucket{le="0.5"}', at).popitem()[1] == 270
    assert ask("llm_provider_request_seconds_count", at).popitem()[1] == 300
    assert ask("llm_provider_request_seconds_sum", at).popitem()[1] == pytest.approx(348)


def test_gauges_hold_and_end(sender: Sender) -> None:
    gauge = {"kind": "gauge", "metric": "mcp_server_connections_active", "labels": {"server_id": "web"}}
    sender.post([{**gauge, "value": 3, "at": START.timestamp()}, {**gauge, "value": 7, "at": START.timestamp() + 100}])
    series = "sum(mcp_server_connections_active)"
    assert ask(series, START + timedelta(seconds=90)) == {(): 3}
    assert ask(series, START + timedelta(seconds=120)) == {(): 7}
    assert ask(series, START + timedelta(minutes=59)) == {(): 7}
    assert ask(series, START + timedelta(minutes=70)) == {}


def test_too_much_is_refused_before_it_is_read(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    sender.post([call()])
    monkeypatch.setattr("usage.series.source.MAX_CELLS", 10)
    with pytest.raises(promql.LimitError, match="narrow the range"):
        ask("rate(llm_provider_tokens_total[5m])", NOW)


def test_a_long_range_is_read_from_coarse_grains_up_to_what_is_settled() -> None:
    now = 1_000_000 // 3600 * 3600 + 1800
    parts = segments(now - 86_400, now, now, 3600, OPEN)
    assert [(part.width, part.end) for part in parts] == [(300, (now - 420) // 300 * 300), (15, now)]
    parts = segments(now - 30 * 86_400, now, now, 86_400, OPEN)
    assert [part.width for part in parts] == [3600, 300, 15]
    assert [part.width for part in segments(now - 86_400, now, now, 300, OPEN)] == [15]
    dropped = Watermark(0, now // 86_400 * 86_400, -np.inf, -np.inf)
    assert [part.width for part in segments(now - 86_400, now, now, 300, dropped)] == [300, 15]


def test_reading_asks_postgres_as_often_however_many_series(
    sender: Sender, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[str] = []

    def counted(cursor: CursorWrapper, query: str) -> Iterator[bytes]:
        copies.append(query)
        return copied_bytes(cursor, query)

    monkeypatch.setattr("core.pg.binary_copy.copied_bytes", counted)
    for count in (1, 40):
        sender.post([call(model=f"m{number}") for number in range(count)])
        copies.clear()
        # Begin, state of the tables, dimensions that are new, their first records, commit.
        with django_assert_num_queries(5):
            ask("sum(rate(compozy_llm_usage_events_total[5m]))", NOW + timedelta(minutes=1))
        assert len(copies) == 1  # rollups, totals, what came after


@pytest.mark.parametrize(("models", "expected"), [("m[1-5]", 20), ("m0", 1), (".*", 21)])
def test_a_selection_holds_no_others(sender: Sender, models: str, expected: float) -> None:
    """Of most dimensions or of few, which are read in different ways."""
    sender.post([call(model=f"m{number}") for number in range(6) for _ in range(number + 1)])
    found = ask(f'sum(compozy_llm_usage_events_total{{model=~"{models}"}})', NOW + timedelta(minutes=1))
    assert found == {(): expected}


@pytest.mark.usefixtures("tables")
def test_a_copy_that_fails_leaves_the_connection_usable() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for query in ("SELECT no_such_column", "SELECT 1 / (3 - n) FROM generate_series(1, 5) AS n"):
            with pytest.raises(DatabaseError), transaction.atomic():
                list(copied_bytes(cursor, query))
        assert copied(cursor, "SELECT 7::bigint, 0.5::float8", ["a"], ["b"]).tolist() == [(7, 0.5)]


@pytest.mark.usefixtures("tables")
def test_a_copy_of_many_rows_is_whole() -> None:
    with connection.cursor() as cursor:
        rows = copied(cursor, "SELECT n::bigint, n / 2.0::float8 FROM generate_series(1, 100000) AS n", ["n"], ["half"])
    assert (rows["n"] == np.arange(1, 100_001)).all()
    assert (rows["half"] * 2 == rows["n"]).all()
