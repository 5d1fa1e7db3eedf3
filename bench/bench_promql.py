"""PromQL over 1,000 series of 24 h at 15 s in memory, against Debian's Prometheus over the same samples."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import promql
from bench.row import Row, median_seconds, row
from tests.promql.prometheus_server import PrometheusServer, Series, serve_prometheus

STEP = 15_000
START = 1_700_006_400_000
SAMPLES = 24 * 240 + 61
END = START + (SAMPLES - 1) * STEP
FROM = END - 24 * 3_600_000 + 900_000
BOUNDS = ["0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "+Inf"]

BY = "sum by (component, provider, model)"
# count() keeps the answer to one number per step: what is measured is evaluation, not how the answer is written.
QUERIES = {
    "coverage by 250 groups": f"count(100 * (1 - {BY} (increase(failures_total[15m])) "
    f"/ clamp_min({BY} (increase(events_total[15m])), 1)))",
    "p95 by 50 models": "count(histogram_quantile(0.95, sum by (le, model) (rate(latency_bucket[5m]))))",
}
SPIKE = "sum by (component) (increase(events_total[15m])) > 3 * sum by (component) (increase(events_total[24h])) / 96"


class Blocks:
    """A source of dense blocks, one per metric."""

    def __init__(self, blocks: list[promql.Block]) -> None:
        self._blocks = {block.labels[0]["__name__"]: block for block in blocks}

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        (name,) = (matcher.value for matcher in matchers if matcher.name == "__name__")
        block = self._blocks[name]
        first, stop = np.searchsorted(block.times, [start_ms, end_ms + 1])
        return [promql.Block(block.labels, block.times[first:stop], block.values[:, first:stop])]


def make_blocks() -> list[promql.Block]:
    generator = np.random.default_rng(1)
    times = START + STEP * np.arange(SAMPLES, dtype=np.int64)
    groups = [{"component": f"c{i % 5}", "provider": f"p{i % 10}", "model": f"m{i}"} for i in range(250)]

    def counters(name: str, labels: list[dict[str, str]], per_step: float) -> promql.Block:
        values = np.cumsum(generator.poisson(per_step, (len(labels), SAMPLES)), axis=1).astype(np.float64)
        values[:, 0] = 0
        return promql.Block([{"__name__": name, **one} for one in labels], times, values)

    buckets = counters("latency_bucket", [{"model": f"m{i}", "le": le} for i in range(50) for le in BOUNDS], 0.3)
    buckets.values = np.cumsum(buckets.values.reshape(50, len(BOUNDS), SAMPLES), axis=1).reshape(-1, SAMPLES)
    return [counters("events_total", groups, 2), counters("failures_total", groups, 0.1), buckets]


def as_series(blocks: list[promql.Block]) -> list[Series]:
    return [
        (labels, block.times.tolist(), values.tolist())
        for block in blocks
        for labels, values in zip(block.labels, block.values, strict=True)
    ]


def measure(server: PrometheusServer, source: Blocks) -> list[Row]:
    rows = []
    for name, query in QUERIES.items():
        ours = median_seconds(lambda query=query: promql.instant(query, source, END))
        theirs = median_seconds(lambda query=query: server.instant(query, END))
        rows.append(row(f"PromQL instant: {name}", ours, theirs, "s", "<= 2"))
        ours = median_seconds(lambda query=query: promql.range(query, source, FROM, END, 60_000), 3)
        theirs = median_seconds(lambda query=query: server.range(query, FROM, END, 60_000), 3)
        rows.append(row(f"PromQL 24 h, 60 s step: {name}", ours, theirs, "s", "<= 1"))
    ours = median_seconds(lambda: promql.instant(SPIKE, source, END))
    theirs = median_seconds(lambda: server.instant(SPIKE, END))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = f"in memory, without Postgres; peak {peak:.0f} MiB with the samples"
    rows.append(row("PromQL token spike over 24 h", ours, theirs, "s", "<= 1", note))
    return rows


def main() -> None:
    programs = [shutil.which(name) for name in ("prometheus", "promtool")]
    if None in programs:
        print("bench: prometheus is not installed, PromQL is not measured", file=sys.stderr)
        print("[]")
        return
    prometheus, promtool = (Path(str(program)) for program in programs)
    blocks = make_blocks()
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_prometheus(prometheus, promtool, Path(folder), as_series(blocks)) as server,
    ):
        print(json.dumps(measure(server, Blocks(blocks))))


if __name__ == "__main__":
    main()
