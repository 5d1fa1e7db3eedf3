"""What /metrics says of sampling: traces and spans that were kept, by reason, and dropped; from Postgres, so that every
replica says the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from telemetry.store.sampling import Decided

TRACES = (
    "portal_traces_sampled",
    "Traces upon which sampling decided: kept for an error, as slow, as costly, as a share of the rest, or dropped.",
)
SPANS = ("portal_spans_sampled", "The spans of these traces.")
# Each with what it means, as Prometheus shows them.
ALL = tuple((f"{name}_total", text) for name, text in (TRACES, SPANS))


class SamplingCollector(Collector):
    """The families, of the decisions that were read."""

    def __init__(self, decided: Sequence[Decided]) -> None:
        self.decided = decided

    def collect(self) -> Iterator[Metric]:
        """One family after another."""
        traces = CounterMetricFamily(*TRACES, labels=["decision"])
        spans = CounterMetricFamily(*SPANS, labels=["decision"])
        for reason, count, of in self.decided:
            traces.add_metric([reason], count)
            spans.add_metric([reason], of)
        yield from (traces, spans)
