"""The overview over 24 hours, page and panels, with 10 million raw records against the same with 100 thousand.

The first 100,000 records are stored like any others. The rest are copies made in Postgres: each raw row 99 times more,
at other times of the same day, and rollups as they would be: every bucket of every dimension filled.
"""

from __future__ import annotations

import json
import random
import time
import uuid

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from bench.row import median_seconds, row
from core.accounts import keys
from core.accounts.models import Workspace
from usage.boards.declarations import OVERVIEW
from usage.ingest import pipeline
from usage.models import Record
from usage.store import downsampling, partitions

RECORDS, TIMES, BATCH = 100_000, 100, 1000
MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
]


def fill(caller: keys.Caller, now: float) -> None:
    """Store the first records, spread over the last 24 hours."""
    draw = random.Random(1)
    for _ in range(RECORDS // BATCH):
        records = []
        for _ in range(BATCH):
            provider, model = draw.choice(MODELS)
            records.append(
                {
                    "kind": "llm_call",
                    "event_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
                    "at": now - draw.random() * 86_000,
                    "component": draw.choice(("workflow", "agent")),
                    "team": draw.choice(("search", "support", "billing")),
                    "provider": provider,
                    "model": model,
                    "outcome": "error" if draw.random() < 0.02 else "success",
                    "prompt_tokens": draw.randrange(10, 8000),
                    "completion_tokens": draw.randrange(1, 900),
                    "duration_seconds": draw.lognormvariate(0, 1),
                }
            )
        answer = pipeline.ingest(json.dumps(records).encode(), caller, now)
        if answer.accepted != BATCH or answer.spooled:
            raise SystemExit(f"not stored: {answer}")


def multiply(now: float) -> None:
    """Copy every raw row until there are 100 times as many; fill every bucket of the rollups."""
    partitions.ensure_ahead(timezone.now())
    columns = (
        "received_at, receipt, key_id, dimension_id, trace_id, span_id, prompt_tokens, completion_tokens,"
        " cached_tokens,"
        " reasoning_tokens, cost_usd, price_source, duration_seconds, rate_limit_delay_seconds, value, attributes,"
        " overflow"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO usage_record (event_id, at, {columns}) SELECT gen_random_uuid(), to_timestamp(%s - random() *"
            f" 86000), {columns}"
            " FROM usage_record, generate_series(2, %s)",
            [now, TIMES],
        )
        cursor.execute(
            "INSERT INTO usage_rollup_15s AS r (bucket, dimension_id, measures)"
            " SELECT to_timestamp(floor(extract(epoch FROM b) / 15) * 15), t.dimension_id,"
            " (SELECT array_agg(ceil(m * 99 / 5760.0)) FROM unnest(t.measures) AS m)"
            " FROM usage_total t, generate_series(to_timestamp(%s - 86000), to_timestamp(%s), interval '15 seconds') AS"
            " b"
            " ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures)",
            [now, now],
        )
        cursor.execute("UPDATE usage_total SET measures = (SELECT array_agg(m * 100) FROM unnest(measures) AS m)")
        cursor.execute(
            "INSERT INTO usage_dirtybucket (bucket, claimed) SELECT DISTINCT date_bin('5 minutes', bucket, 'epoch'),"
            " false"
            " FROM usage_rollup_15s ON CONFLICT DO NOTHING"
        )


def settle() -> None:
    """Downsample, and let Postgres know what there is, as its autovacuum does in time."""
    while downsampling.downsample(timezone.now()):
        pass
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def load(client: Client) -> None:
    """What a browser asks for: the page, then each panel."""
    paths = ["/?range=24h", *(f"/panels/overview/{panel.id}.json?range=24h" for panel in OVERVIEW.panels)]
    for path in paths:
        answer = client.get(path)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code}")


def main() -> None:
    """Measure and print the line."""
    workspace = Workspace.objects.create(slug="bench", name="Bench")
    key, _ = keys.create_key("bench", workspace, ["ingest"], rate=0)
    caller = keys.Caller(key.pk, workspace.pk, workspace.slug, frozenset({"ingest"}))
    now = time.time()
    client = Client(headers={"Host": "localhost"})
    client.force_login(User.objects.create_superuser("bench"))
    fill(caller, now)
    settle()
    [few], few_records = median_seconds(lambda: load(client)), Record.objects.count()
    multiply(now)
    settle()
    [many], many_records = median_seconds(lambda: load(client)), Record.objects.count()
    note = f"{many_records:,} against {few_records:,} records"
    print(json.dumps([row("overview over 24 h, 10 M records / 100 k", many, few, "s", "<= 2", note)]))


if __name__ == "__main__":
    main()
