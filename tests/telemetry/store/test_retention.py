"""Spans and logs lie in a partition per day, and go with it after a retention of their own."""

from datetime import timedelta

from core.accounts.models import Workspace
from core.pg.partitions import ensure
from telemetry.store import partitions, retention
from tests.records import NOW, rows
from tests.telemetry.conftest import Configure
from tests.telemetry.store.reading.test_reading import log, span, trace


def test_old_days_go_by_their_partitions_each_signal_by_its_own_retention(
    workspace: Workspace, configure: Configure
) -> None:
    configure(retention_traces_days=5, retention_logs_days=2)
    for number, days in enumerate((0, 3, 9), start=1):
        at = NOW - timedelta(days=days)
        for table in partitions.ALL:
            ensure(table, [at])
        trace_id = trace(workspace, number, start=at, finish=at + timedelta(seconds=1))
        span(workspace, trace_id, f"{number:016x}", start=at)
        log(workspace, number, "line", at=at)
    of_spans, of_logs = (f"{name}_{NOW - timedelta(days=9):%Y%m%d}" for name in ("telemetry_span", "telemetry_log"))
    dropped = retention.drop_old(NOW)
    assert {of_spans, of_logs} <= set(dropped)
    assert rows("SELECT span_id::int FROM telemetry_span ORDER BY 1") == [(1,), (2,)]
    assert rows("SELECT root_name FROM telemetry_trace ORDER BY 1") == [("run 1",), ("run 2",)]
    assert rows("SELECT count(*) FROM telemetry_log") == [(1,)]
    assert retention.drop_old(NOW) == []
