"""What a rule would have done in 30 days, at its own interval of a minute, over 1,000 label sets: at most 10 s of one
core, the engine's own code, however many of its alerts fire.

Each label set is called in every 5 minutes of the month, and in the three days of which 15 s rollups are kept in every
minute. Counted is the processor time of the process and of its Postgres session, which take turns; the note gives the
wall clock and the memory. Two rules: one that seldom fires, and one whose thousand alerts begin and end all the time.
"""

from __future__ import annotations

import datetime as dt
import json
import resource
import time

from django.db import connection, transaction
from django.utils import timezone

from alerts.evaluation.series import portal_source
from alerts.models import Rule
from alerts.trial.backtest import Backtest, backtest, step_of
from bench.bench_alerts import core_seconds
from bench.row import Measurement, row
from core.pg.partitions import ensure
from usage.models import Dimension
from usage.store import chunks, downsampling, partitions

DAY, MONTH, FINE_DAYS = 86_400, 30 * 86_400, 3
LABEL_SETS, SECONDS = 1_000, 10.0
EXPR = "sum by (model) (rate(compozy_llm_usage_events_total[5m])) > $threshold"
# Events of a minute: some, and in one hour of a thousand of a label set ten times as many.
EVENTS = (
    "(1 + mod(abs(hashint8(d.id * 7919 + extract(epoch FROM b)::bigint)), 5))"
    " * CASE WHEN mod(hashint8(d.id * 7919 + extract(epoch FROM b)::bigint / 3600), 1000) = 0 THEN 10 ELSE 1 END"
)
SELDOM, OFTEN = 0.4, 0.06  # thresholds (events/s)


def fill() -> int:
    """A month of a thousand label sets; where it ends (epoch seconds)."""
    end = int(timezone.now().timestamp()) // 3600 * 3600
    first = dt.datetime.fromtimestamp(end - MONTH, dt.UTC)
    for parent in partitions.ALL:
        ensure(parent, [first + dt.timedelta(days=days) for days in range(32)])
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE usage_dimension, usage_rollup_15s, usage_rollup_5m, usage_rollup_1h CASCADE")
        cursor.execute("TRUNCATE usage_chunk_15s, usage_chunk_1h, usage_dirtybucket")
    Dimension.objects.bulk_create(
        Dimension(
            kind="llm_call",
            labels={"model": f"m{number}", "provider": "p", "component": "c", "usage": "success", "workspace": "w"},
            digest=f"{number}".encode().rjust(16, b"-"),
            first_at=first,
        )
        for number in range(LABEL_SETS)
    )
    fine = end - FINE_DAYS * DAY
    for table, seconds, start, stop in (
        ("usage_rollup_15s", 60, fine, end),
        ("usage_rollup_5m", 300, end - MONTH, fine),
        ("usage_rollup_1h", 3600, end - MONTH, fine),
    ):
        for at in range(start, stop, DAY):
            with connection.cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {table} (bucket, dimension_id, measures)"
                    f" SELECT b, d.id, ARRAY[({EVENTS})::float8 * {seconds // 60}]"
                    f" FROM generate_series(to_timestamp(%s), to_timestamp(%s), '{seconds} seconds') AS b"
                    " CROSS JOIN usage_dimension d ORDER BY 1, 2",
                    [at, at + DAY - seconds],
                )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE usage_watermark SET floor_15s = to_timestamp(%s), floor_5m = to_timestamp(%s)",
            [fine, end - 2 * MONTH],
        )
        cursor.execute(
            "INSERT INTO usage_dirtybucket (bucket, claimed) SELECT DISTINCT date_bin('5 minutes', bucket, 'epoch'),"
            " false FROM usage_rollup_15s ON CONFLICT DO NOTHING"
        )
    while downsampling.downsample(timezone.now()):
        pass
    with transaction.atomic(), connection.cursor() as cursor:
        for hour in range((end - MONTH) // 3600, fine // 3600):
            chunks.write(cursor, dt.datetime.fromtimestamp(hour * 3600, dt.UTC), chunks.HOURS)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return end


def measure(name: str, end: int, threshold: float) -> Measurement:
    """A line."""
    rule = Rule(name="bench", expr=EXPR, threshold=threshold, for_seconds=120)

    def tried() -> Backtest:
        step = step_of(MONTH * 1000, 60)
        return backtest(rule, portal_source(None), span_ms=((end - MONTH) * 1000, end * 1000), step_ms=step)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = int(cursor.fetchone()[0])
    tried()
    started, clock = core_seconds(backend), time.perf_counter()
    test = tried()
    seconds, clock = core_seconds(backend) - started, time.perf_counter() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = f"{len(test.episodes):,} alerts at steps of {test.step_ms // 1000} s, {clock:.1f} s by the clock"
    return row(name, seconds, SECONDS, "s", "<= 1", f"{note}; {peak:,.0f} MiB at most")


def main() -> None:
    """Measure and print the lines."""
    end = fill()
    print(
        json.dumps(
            [
                measure("30 days of minutes over 1,000 label sets, few alerts", end, SELDOM),
                measure("30 days of minutes over 1,000 label sets, all flap", end, OFTEN),
            ]
        )
    )


if __name__ == "__main__":
    main()
