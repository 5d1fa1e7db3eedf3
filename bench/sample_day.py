"""A day of calls every 15 s, put into the rollups with SQL, and the same as the samples that a Prometheus would have
scraped."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from django.db import connection
from django.utils import timezone

from core.pg.partitions import ensure
from promql.values import Floats
from tests.promql.prometheus_server import Series
from usage.catalog import CALL_BUCKETS, KINDS, bound
from usage.models import Dimension
from usage.store import downsampling, partitions

STEP = 15
SAMPLES = 24 * 240 + 61
COMPONENTS, MODELS = 5, 50
TEMPLATES = 256
CALL = KINDS["llm_call"]


@dataclass(frozen=True)
class History:
    """Where it ends (epoch seconds), and each label set with its sums per scrape [samples, offsets]."""

    end: int
    labels: list[dict[str, str]]
    sums: list[Floats]


def label_sets() -> list[dict[str, str]]:
    """250 groups whose usage is recorded, and of every fifth some that is not."""
    groups = [
        {"component": f"c{component}", "provider": f"p{model % 10}", "model": f"m{model}", "outcome": "success"}
        for component in range(COMPONENTS)
        for model in range(MODELS)
    ]
    return [{**group, "usage": "success"} for group in groups] + [
        {**group, "usage": "failure"} for group in groups[::5]
    ]


def templates() -> Floats:
    """What may happen in a bucket [templates, offsets]: some calls with tokens, cost and durations."""
    draw = np.random.default_rng(1)
    found = np.zeros((TEMPLATES, CALL.width))
    calls = draw.integers(1, 5, TEMPLATES)
    found[:, CALL.offsets["count"]] = calls
    for name, each in (("prompt_tokens", 400), ("completion_tokens", 90)):
        found[:, CALL.offsets[name]] = draw.integers(1, each, TEMPLATES) * calls
    durations = np.eye(len(CALL_BUCKETS) + 1)[draw.integers(0, len(CALL_BUCKETS) + 1, TEMPLATES)] * calls[:, None]
    at = CALL.offsets["duration"]
    found[:, at], found[:, at + 1 : at + 2 + len(CALL_BUCKETS)] = calls * 0.7, durations
    return found


def fill() -> History:
    """Write the day, downsample it, and let Postgres know what there is, as its autovacuum does in time."""
    end = int(timezone.now().timestamp()) // 300 * 300
    start = end - (SAMPLES - 1) * STEP
    first = dt.datetime.fromtimestamp(start, dt.UTC)
    every = [first + dt.timedelta(hours=hours) for hours in range(27)]
    for parent in partitions.ALL:
        ensure(parent, every)
    labels, rows = label_sets(), templates()
    dimensions = Dimension.objects.bulk_create(
        Dimension(kind="llm_call", labels=one, digest=number.to_bytes(16, "big"), first_at=first)
        for number, one in enumerate(labels)
    )
    bucket = np.arange(SAMPLES - 1)
    sums = []
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE template (id int PRIMARY KEY, measures float8[])")
        cursor.executemany("INSERT INTO template VALUES (%s, %s)", [(n, row.tolist()) for n, row in enumerate(rows)])
        for number, dimension in enumerate(dimensions):
            chosen = rows[(bucket * 7 + number * 13 + bucket * number % 17) % TEMPLATES]
            sums.append(np.concatenate([np.zeros((1, CALL.width)), np.cumsum(chosen, axis=0)]))
            cursor.execute("INSERT INTO usage_total VALUES (%s, %s)", [dimension.pk, sums[-1][-1].tolist()])
        cursor.execute(
            "INSERT INTO usage_rollup_15s (bucket, dimension_id, measures)"
            " SELECT to_timestamp(%s + b * 15), d.id, t.measures FROM generate_series(0, %s) AS b,"
            " unnest(%s::bigint[]) WITH ORDINALITY AS d (id, n)"
            f" JOIN template t ON true WHERE t.id = (b * 7 + (n - 1) * 13 + b * (n - 1) %% 17) %% {TEMPLATES}"
            " ORDER BY 1, 2",  # as they come in
            [start, SAMPLES - 2, [one.pk for one in dimensions]],
        )
        cursor.execute(
            "INSERT INTO usage_dirtybucket (bucket, claimed) SELECT DISTINCT date_bin('5 minutes', bucket, 'epoch'),"
            " false"
            " FROM usage_rollup_15s"
        )
    while downsampling.downsample(timezone.now()):
        pass
    with connection.cursor() as cursor:
        # In life the newest bucket is not downsampled yet: what it holds is read from its rows.
        cursor.execute("INSERT INTO usage_dirtybucket (bucket, claimed) VALUES (to_timestamp(%s), false)", [end - 300])
        cursor.execute("VACUUM ANALYZE")
    return History(end, labels, sums)


def scraped(history: History) -> list[Series]:
    """The families that the benchmark asks for, as Prometheus would have them."""
    times = [(history.end - (SAMPLES - 1 - number) * STEP) * 1000 for number in range(SAMPLES)]
    found: dict[tuple[tuple[str, str], ...], Floats] = {}

    def add(name: str, labels: dict[str, str], values: Floats) -> None:
        key = tuple(sorted({**labels, "__name__": name}.items()))
        found[key] = found.get(key, 0) + values

    for labels, sums in zip(history.labels, history.sums, strict=True):
        group = {name: labels[name] for name in ("component", "provider", "model")}
        recorded = labels["usage"] == "success"
        add("compozy_llm_usage_events_total", {**group, "outcome": labels["usage"]}, sums[:, CALL.offsets["count"]])
        add("compozy_llm_usage_failures_total", group, sums[:, CALL.offsets["count"]] * (not recorded))
        for name in ("prompt_tokens", "completion_tokens"):
            add(f"compozy_llm_{name}_total", group, sums[:, CALL.offsets[name]])
        at = CALL.offsets["duration"] + 1
        provider = {name: labels[name] for name in ("provider", "model", "outcome")}
        cells = np.cumsum(sums[:, at : at + len(CALL_BUCKETS) + 1], axis=1)
        for place, le in enumerate((*CALL_BUCKETS, np.inf)):
            add("llm_provider_request_seconds_bucket", {**provider, "le": bound(le)}, cells[:, place])
    return [(dict(key), times, values.tolist()) for key, values in found.items()]
