"""PromQL over 24 h at 15 s of 250 groups, read from Postgres, against Debian's Prometheus over the same samples; and
rules over it."""

from __future__ import annotations

import gc
import json
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import promql
from alerts.rules.defaults import SPIKE
from bench.row import Measurement, added_mib, median_seconds, row
from bench.sample_day import fill, scraped
from bench.thousand import measure_thousand
from tests.promql.prometheus_server import PrometheusServer, serve_prometheus
from usage.series.source import PostgresSource

DAY_MS = 86_400_000
BY = "sum by (component, provider, model)"
# count() keeps the answer to one number per step: what is measured is evaluation, not how the answer is written.
QUERIES = {
    "coverage by 250 groups": f"count(100 * (1 - {BY} (increase(compozy_llm_usage_failures_total[15m])) "
    f"/ clamp_min({BY} (increase(compozy_llm_usage_events_total[15m])), 1)))",
    "p95 by 50 models": (
        "count(histogram_quantile(0.95, sum by (le, model) (rate(llm_provider_request_seconds_bucket[5m]))))"
    ),
}
TOKEN_SPIKE = f"count({SPIKE.replace('$threshold', '0.5')})"


def same(ours: promql.Result, theirs: list[float]) -> None:
    """Stop where the two do not answer alike."""
    found = ours.values[ours.present].tolist()
    if found != theirs:
        raise SystemExit(f"Prometheus answers otherwise: {theirs[:5]} … instead of {found[:5]} …")


def measure(server: PrometheusServer, source: PostgresSource, end: int) -> list[Measurement]:
    """Medians of the same queries, once from Postgres, once from Prometheus."""
    rows = []
    start = end - DAY_MS + 900_000
    for name, query in QUERIES.items():
        answer = next(iter(server.range(query, start, end, 60_000).values()))
        same(promql.range(query, source, start, end, 60_000), [*answer.values()])
        rows += [
            compared(
                f"PromQL instant: {name}",
                lambda query=query: promql.instant(query, source, end),
                lambda query=query: server.instant(query, end),
                "<= 2",
                21,
            ),
            compared(
                f"PromQL 24 h, 60 s step: {name}",
                lambda query=query: promql.range(query, source, start, end, 60_000),
                lambda query=query: server.range(query, start, end, 60_000),
                "<= 1",
                3,
            ),
        ]
    ours, theirs = (lambda: promql.instant(TOKEN_SPIKE, source, end)), (lambda: server.instant(TOKEN_SPIKE, end))
    return [*rows, compared("PromQL token spike over 24 h", ours, theirs, "<= 1", 7)]


def compared(
    name: str, ours: Callable[[], object], theirs: Callable[[], object], bound: str, times: int
) -> Measurement:
    """Medians of both, asked in turns, so that a busy moment is busy for both; and what ours adds to the memory."""
    return row(name, *median_seconds(ours, theirs, times=times), "s", bound, added_mib(ours))


def main() -> None:
    """Measure and print the lines."""
    programs = [shutil.which(name) for name in ("prometheus", "promtool")]
    if None in programs:
        print("bench: prometheus is not installed, PromQL is not measured", file=sys.stderr)
        print("[]")
        return
    prometheus, promtool = (Path(str(program)) for program in programs)
    history = fill()
    series = scraped(history)
    gc.freeze()  # millions of samples, that the portal's process does not hold for Python to look through
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_prometheus(prometheus, promtool, Path(folder), series) as server,
    ):
        rows = measure(server, PostgresSource(now=history.end), history.end * 1000)
    rows.append(measure_thousand(history.end))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows[-2]["note"] += (
        f"; {len(series):,} series, Postgres reads included; {peak:,.0f} MiB with the benchmark's own data"
    )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
