"""Ingest, overview and a tick over very many raw records against the same over a million; and a day of them dropped
while records come in. Run on request only: `make bench ARGS=deep`, `BENCH_RECORDS=100000000` for a hundred million.

A hundred thousand records are stored like any others and copied in Postgres to a million, with their rollups, as
bench_overview does; the rest are copies of the raw rows, over three days. Each needs about 0.4 KB of disk.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from django.contrib.auth.models import User
from django.db import connection, connections
from django.db.models import Min
from django.test import Client
from django.utils import timezone

from alerts.evaluation.series import portal_source
from alerts.evaluation.tick import tick
from alerts.models import RuleGroup
from bench import bench_overview
from bench.bench_ingest import body
from bench.row import median_seconds, row
from core.accounts import keys
from core.accounts.models import Workspace
from core.pg.partitions import drop_before, ensure
from usage.ingest import pipeline
from usage.models import Record
from usage.store import partitions
from usage.store.retention import midnight

RECORDS = int(os.environ.get("BENCH_RECORDS", "10000000"))
BASE, STEP, DAYS = 1_000_000, 1_000_000, 3
BYTES_EACH = 1_000  # with its indexes, and what Postgres writes meanwhile
BATCHES = 20


class World:
    """A portal with records, and what is done with it."""

    def __init__(self) -> None:
        workspace = Workspace.objects.create(slug="bench", name="Bench")
        key, _ = keys.create_key("bench", workspace, ["ingest"], rate=0)
        self.caller = keys.Caller(key.pk, workspace.pk, workspace.slug, frozenset({"ingest"}))
        self.client = Client(headers={"Host": "localhost"})
        self.client.force_login(User.objects.create_superuser("bench"))
        self.draw = Random(2)

    def batch(self) -> None:
        """Store 500 records."""
        answer = pipeline.ingest(body(self.draw, time.time()), self.caller, time.time())
        if answer.spooled:
            raise SystemExit("a batch was not stored")

    def tick(self) -> None:
        """Evaluate every default rule once."""
        RuleGroup.objects.update(evaluated_until=None)
        tick(timezone.now(), portal_source(None))

    def seconds(self) -> tuple[float, float, float]:
        """The medians of a batch, the overview and a tick."""
        [batch] = median_seconds(self.batch, times=BATCHES)
        overview, a_tick = median_seconds(lambda: bench_overview.load(self.client), self.tick, times=5)
        return batch, overview, a_tick


def copy_rows(now: float) -> None:
    """Copy raw rows until there are RECORDS, over the last days."""
    start = dt.datetime.fromtimestamp(now, dt.UTC)
    ensure(partitions.RECORDS, [start - dt.timedelta(days=days) for days in range(DAYS + 1)])
    columns = (
        "received_at, receipt, key_id, dimension_id, trace_id, span_id, prompt_tokens, completion_tokens,"
        " cached_tokens, reasoning_tokens, cost_usd, price_source, duration_seconds, rate_limit_delay_seconds, value,"
        " attributes, overflow"
    )
    for _ in range((RECORDS - BASE) // STEP):
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO usage_record (event_id, at, {columns}) SELECT gen_random_uuid(),"
                f" to_timestamp(%s - random() * %s), {columns} FROM (SELECT * FROM usage_record LIMIT %s) AS base,"
                " generate_series(1, 10)",
                [now, DAYS * 86_000, STEP // 10],
            )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE usage_record")


def while_a_day_goes(world: World) -> tuple[float, float]:
    """Seconds it takes to drop the oldest day, as retention does, and by how many the longest batch meanwhile took more
    than the median of others."""
    usual = [duration(world.batch) for _ in range(BATCHES)]
    longest, done = [0.0], threading.Event()

    def store() -> None:
        try:
            while not done.is_set():
                longest[0] = max(longest[0], duration(world.batch))
        finally:
            connections.close_all()

    oldest = Record.objects.aggregate(at=Min("at"))["at"]
    thread = threading.Thread(target=store)
    thread.start()
    dropping = duration(lambda: drop_before(partitions.RECORDS, midnight(oldest, -1)))
    done.set()
    thread.join()
    return dropping, max(0.0, longest[0] - statistics.median(usual))


def duration(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def bytes_each() -> float:
    """What a raw record takes on disk, with its indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'usage_record'::regclass"
        )
        found = cursor.fetchone()
    return float(found[0]) / Record.objects.count() if found else 0.0


def main() -> None:
    """Measure and print the lines."""
    if shutil.disk_usage(Path(__file__).parent).free < 2 * RECORDS * BYTES_EACH:
        raise SystemExit(f"{2 * RECORDS * BYTES_EACH / 1e9:.0f} GB of free disk are needed")
    bench_overview.TIMES = BASE // bench_overview.RECORDS
    world, now = World(), time.time()
    bench_overview.fill(world.caller, now)
    bench_overview.multiply(now)
    bench_overview.settle()
    few = world.seconds()
    copy_rows(now)
    many = world.seconds()
    records, size = Record.objects.count(), bytes_each()
    dropping, held_up = while_a_day_goes(world)
    note = f"{records:,} against {BASE:,} records"
    names = ("a batch of 500", "overview over 24 h", "a tick of the default rules")
    lines = [
        row(f"deep: {name}", *pair, "s", "<= 1.3", note)
        for name, pair in zip(names, zip(many, few, strict=True), strict=True)
    ]
    lines.append(row("deep: a raw record on disk, indexes included", size, BYTES_EACH, "bytes", "<= 1"))
    lines.append(row("deep: dropping a day", dropping, 1, "s", "<= 1", note))
    lines.append(row("deep: the longest batch while a day is dropped", held_up, 0.05, "s", "<= 1", "beyond the median"))
    print(json.dumps(lines))


if __name__ == "__main__":
    main()
