"""Gauges that the portal itself measures, kept like those that clients send."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import connection

from core.pg.partitions import ensure
from usage.catalog.grains import FINE
from usage.records.columns import DimensionKey
from usage.store import dimensions, partitions


def gauge_key(metric: str, labels: Mapping[str, str], workspace: str = "") -> DimensionKey:
    """The dimension of an own gauge, of a workspace (its slug) or of none."""
    return ("gauge", workspace, metric, *(part for pair in sorted(labels.items()) for part in pair))


def keep(samples: Mapping[DimensionKey, float], now: datetime) -> None:
    """Keep one sample per gauge at `now`."""
    if not samples:
        return
    at = now.timestamp()
    bucket = FINE.start(at)
    ensure(partitions.GAUGES, [now])
    interned = dimensions.intern(dict.fromkeys(samples, bucket))
    rows = sorted((interned[key].id, value) for key, value in samples.items())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO usage_gauge_sample AS g (bucket, dimension_id, at, value)"
            " SELECT to_timestamp(%s), d, %s, v FROM unnest(%s::bigint[], %s::float8[]) AS t (d, v)"
            " ON CONFLICT (dimension_id, bucket) DO UPDATE SET at = excluded.at, value = excluded.value",
            [bucket, now, [pk for pk, _ in rows], [value for _, value in rows]],
        )
