"""/metrics of 1,000 dimensions, Postgres read included, against prometheus_client's exposition of as many series in
memory."""

from __future__ import annotations

import json
import time
import uuid

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bench.row import median_seconds, row
from core.accounts import keys
from core.accounts.models import Workspace
from usage.catalog import BY_NAME
from usage.ingest import pipeline
from usage.series.exposition import exposition

DIMENSIONS = 1000


def fill() -> None:
    """Store a record of each of the dimensions."""
    workspace = Workspace.objects.create(slug="bench", name="Bench")
    key, _ = keys.create_key("bench", workspace, ["ingest"], rate=0)
    caller = keys.Caller(key.pk, workspace.pk, workspace.slug, frozenset({"ingest"}))
    records = [
        {
            "kind": "llm_call",
            "event_id": str(uuid.UUID(int=number)),
            "component": f"component-{number % 4}",
            "provider": f"provider-{number % 10}",
            "model": f"model-{number // 4}",
            "prompt_tokens": number,
            "completion_tokens": 3,
            "cost_usd": number / 7,
            "duration_seconds": number / 100,
        }
        for number in range(DIMENSIONS)
    ]
    answer = pipeline.ingest(json.dumps(records).encode(), caller, time.time())
    if answer.accepted != DIMENSIONS:
        raise SystemExit(f"not stored: {answer}")


def same_series(text: str) -> CollectorRegistry:
    """A registry of prometheus_client with the series of an exposition."""
    registry = CollectorRegistry()
    for family in text_string_to_metric_families(text):
        declared = BY_NAME.get(family.name) or BY_NAME[f"{family.name}_total"]
        names = list(declared.labels)
        sets = {tuple(sample.labels.get(name, "") for name in names) for sample in family.samples}
        if family.type == "histogram":
            histogram = Histogram(
                declared.name, family.documentation, names, buckets=declared.buckets, registry=registry
            )
            for values in sets:
                (histogram.labels(*values) if names else histogram).observe(0.3)
        else:
            kind = Counter if family.type == "counter" else Gauge
            metric = kind(declared.name, family.documentation, names, registry=registry)
            for values in sets:
                (metric.labels(*values) if names else metric).inc(1234.5)
    return registry


def main() -> None:
    """Measure and print the line."""
    fill()
    disable_created_metrics()
    text = exposition(openmetrics=False)
    registry = same_series(text)
    lines = sum(not line.startswith("#") for line in text.splitlines())
    ours, theirs = median_seconds(lambda: exposition(openmetrics=False).encode(), lambda: generate_latest(registry))
    own = sum(not line.startswith(b"#") for line in generate_latest(registry).splitlines())
    note = f"{lines:,} samples, prometheus_client {own:,}"
    print(json.dumps([row("/metrics of 1,000 dimensions / prometheus_client", ours, theirs, "s", "<= 3", note)]))


if __name__ == "__main__":
    main()
