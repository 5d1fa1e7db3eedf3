"""Many label sets and their month, put into the rollups with SQL: a day by 15 s, those before by coarser grains."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import product

import numpy as np
from django.db import connection, transaction
from django.utils import timezone

from alerts.models import Alert, Rule, State
from core.pg.partitions import ensure
from usage.catalog import CALL_BUCKETS, KINDS, TOOL_BUCKETS
from usage.models import Dimension
from usage.store import chunks, downsampling, partitions

DAY, MONTH = 86_400, 30 * 86_400
TEMPLATES = 64
COMPONENTS = 5
WORKSPACE = "wide"
RULE = "LLMUsageIngestionFailuresCritical"  # whose alerts are open


@dataclass(frozen=True)
class World:
    """How many models (each in five components), tools of MCP servers, and alerts that are open."""

    models: int
    servers: int
    tools: int
    alerts: int


NARROW, WIDE = World(20, 4, 5, 50), World(2_000, 100, 20, 4_534)


def call_labels(world: World) -> list[dict[str, str]]:
    """Of each model four components whose usage is recorded, and one where it is not; a tenth has failed calls."""
    return [
        {
            "component": f"component-{component}",
            "model": f"model-{model:04}",
            "outcome": "error" if component == 3 and model % 10 == 0 else "success",
            "provider": f"provider-{model % 10}",
            "team": f"team-{model % 7}",
            "usage": "failure" if component == COMPONENTS - 1 else "success",
            "workspace": WORKSPACE,
            **({"error_type": "timeout"} if component == 3 and model % 10 == 0 else {}),
        }
        for model, component in product(range(world.models), range(COMPONENTS))
    ]


def tool_labels(world: World) -> list[dict[str, str]]:
    """The tools of each server."""
    return [
        {
            "outcome": "success",
            "server_id": f"server-{server:03}",
            "tool_name": f"tool-{tool:02}",
            "workspace": WORKSPACE,
        }
        for server, tool in product(range(world.servers), range(world.tools))
    ]


def templates(kind: str, bounds: tuple[float, ...]) -> list[list[float]]:
    """What may happen in a bucket: a few calls with their durations, and of LLM calls their tokens and cost."""
    draw = np.random.default_rng(1)
    of = KINDS[kind]
    found = np.zeros((TEMPLATES, of.width))
    calls = draw.integers(1, 5, TEMPLATES)
    found[:, of.offsets["count"]] = calls
    if kind == "llm_call":
        for name, each in (("prompt_tokens", 400), ("completion_tokens", 90)):
            found[:, of.offsets[name]] = draw.integers(1, each, TEMPLATES) * calls
        found[:, of.offsets["cost_usd"]] = calls * 0.002
    at = of.offsets["duration"]
    found[:, at] = calls * 0.7
    found[:, at + 1 : at + 2 + len(bounds)] = np.eye(len(bounds) + 1)[draw.integers(0, 9, TEMPLATES)] * calls[:, None]
    listed: list[list[float]] = found.tolist()
    return listed


def fill(world: World) -> int:
    """Write the world in place of what was there; where its time ends (epoch seconds)."""
    end = int(timezone.now().timestamp()) // 300 * 300
    first = dt.datetime.fromtimestamp(end - MONTH, dt.UTC)
    every = [first + dt.timedelta(days=days) for days in range(32)]
    for parent in partitions.ALL:
        ensure(parent, every)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE usage_dimension, usage_rollup_15s, usage_rollup_5m, usage_rollup_1h CASCADE")
        cursor.execute("TRUNCATE usage_chunk_15s, usage_chunk_1h, usage_dirtybucket")
    _fill("llm_call", call_labels(world), CALL_BUCKETS, end)
    _fill("tool_call", tool_labels(world), TOOL_BUCKETS, end)
    while downsampling.downsample(timezone.now()):
        pass
    _chunk_hours(end)
    _fire(world, end)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return end


def _fill(kind: str, labels: list[dict[str, str]], bounds: tuple[float, ...], end: int) -> None:
    first = dt.datetime.fromtimestamp(end - MONTH, dt.UTC)
    dimensions = Dimension.objects.bulk_create(
        Dimension(kind=kind, labels=one, digest=f"{kind}{number}".encode().rjust(16, b"-"), first_at=first)
        for number, one in enumerate(labels)
    )
    ids = [one.pk for one in dimensions]
    # Some are called every two minutes, most every quarter of an hour.
    rows = (
        "FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS d (id, n)"
        " CROSS JOIN LATERAL (SELECT CASE WHEN n %% 10 = 0 THEN 8 ELSE 60 END AS every) AS e"
        " CROSS JOIN LATERAL generate_series(n * 13 %% every, %(buckets)s - 1, every) AS b"
        f" JOIN template t ON t.id = (b * 7 + n * 13) %% {TEMPLATES}"
    )
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS template")
        cursor.execute("CREATE TEMP TABLE template (id int PRIMARY KEY, measures float8[])")
        cursor.executemany("INSERT INTO template VALUES (%s, %s)", list(enumerate(templates(kind, bounds))))
        cursor.execute(
            "INSERT INTO usage_rollup_15s (bucket, dimension_id, measures)"
            f" SELECT to_timestamp(%(start)s + b * 15), d.id, t.measures {rows} ORDER BY 1, 2",
            {"ids": ids, "start": end - DAY, "buckets": DAY // 15},
        )
        # Of the days before, a bucket of 5 minutes every two hours holds what was counted.
        for table, seconds in (("usage_rollup_5m", 300), ("usage_rollup_1h", 3600)):
            cursor.execute(
                f"INSERT INTO {table} (bucket, dimension_id, measures)"
                f" SELECT to_timestamp((%(start)s + b * 300) / {seconds} * {seconds}), d.id, t.measures"
                " FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS d (id, n)"
                " CROSS JOIN LATERAL generate_series(n * 13 %% 24, %(buckets)s - 1, 24) AS b"
                f" JOIN template t ON t.id = (b * 7 + n * 13) %% {TEMPLATES} ORDER BY 1, 2",
                {"ids": ids, "start": end - MONTH, "buckets": (MONTH - DAY - 3600) // 300},
            )
        cursor.execute(
            # The templates take turns: near enough, and more than all buckets hold together.
            "INSERT INTO usage_total (dimension_id, measures)"
            " SELECT d.id, (SELECT array_agg(m * 12000) FROM unnest(t.measures) AS m)"
            " FROM unnest(%s::bigint[]) AS d (id)"
            f" JOIN template t ON t.id = d.id %% {TEMPLATES}",
            [ids],
        )
        cursor.execute(
            "INSERT INTO usage_dirtybucket (bucket, claimed) SELECT DISTINCT date_bin('5 minutes', bucket, 'epoch'),"
            " false FROM usage_rollup_15s ON CONFLICT DO NOTHING"
        )


def _chunk_hours(end: int) -> None:
    """The chunks of the hours that were written with SQL."""
    first = (end - MONTH) // 3600
    with transaction.atomic(), connection.cursor() as cursor:
        for hour in range(first, (end - DAY) // 3600):
            chunks.write(cursor, dt.datetime.fromtimestamp(hour * 3600, dt.UTC), chunks.HOURS)


def _fire(world: World, end: int) -> None:
    """Open alerts of the shipped rule that watches models, twelve of them firing."""
    rule = Rule.objects.get(name=RULE)
    Alert.objects.all().delete()
    at = dt.datetime.fromtimestamp(end, dt.UTC)
    Alert.objects.bulk_create(
        Alert(
            rule=rule,
            fingerprint=f"{number:016x}",
            labels={
                "alertname": rule.alert_name,
                "model": f"model-{number:04}",
                "provider": f"provider-{number % 10}",
                "severity": rule.severity,
                "workspace": WORKSPACE,
            },
            annotations={"summary": f"Usage of model-{number:04} is not recorded"},
            state=State.FIRING if number < 12 else State.PENDING,
            active_at=at - dt.timedelta(minutes=10),
            fired_at=at if number < 12 else None,
            value=3.5,
        )
        for number in range(world.alerts)
    )
