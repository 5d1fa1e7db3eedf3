"""A portal that works on a clock of the test's own, and a real Prometheus over what it exported every 15 s meanwhile.

The clock has no jitter, so answers must be equal. The portal differs in one thing that is meant, a counter's *start*:
it begins with a 0 one scrape before its first record, where Prometheus sees the first value only. `serve` adds exactly
these zeros where it is asked to.
"""

import random
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from alerts.canary.run import DELAY, RECORD
from tests.conftest import require_program
from tests.promql.prometheus_server import PrometheusServer, serve_prometheus
from tests.records import Sender, call
from usage.boards import budgets
from usage.catalog import BY_SERIES, CALL_ERRORS, FACTORY_TYPES, LOOKUP_OUTCOMES, TOOL_ERRORS
from usage.ingest import spool_gauge
from usage.series.exposition import exposition
from usage.store import gauges

SCRAPE = 15
MODELS = (("openai", "gpt-4o"), ("openai", "o3"), ("anthropic", "opus"))
SeriesKey = tuple[tuple[str, str], ...]


CANARY = (RECORD, DELAY)


@dataclass
class Clock:
    """The time as the portal sees it: a request comes at `at` (epoch seconds), and storing it takes some seconds."""

    at: float = 0.0
    takes: float = 0.0

    def now(self) -> datetime:
        """The time of django.utils.timezone."""
        return datetime.fromtimestamp(self.at, UTC)

    def later(self) -> float:
        """The time of time.time."""
        return self.at + self.takes


@dataclass
class Scraped:
    """What a server would have that scraped the portal: times (ms) and values of each series, of these names."""

    sender: Sender
    draw: random.Random
    names: Collection[str]
    clock: Clock = field(default_factory=Clock)
    kept: dict[SeriesKey, tuple[list[int], list[float]]] = field(default_factory=dict)

    def live(self, start: int, records: list[dict[str, Any]]) -> None:
        """Let the portal live through the 15 s from `start`: records come, it measures itself, it is scraped at their
        end."""
        self.clock.at, self.clock.takes = start + SCRAPE - 0.5, self.draw.lognormvariate(-4, 2)
        if records:
            refused = sum("wrong" in record for record in records)
            answer = self.sender.post(records).json()
            assert (answer["accepted"], len(answer["rejected"])) == (len(records) - refused, refused)
        spool_gauge.report(self.clock.now())
        budgets.measure(self.clock.now())
        gauges.keep({gauges.gauge_key(name, {}): float(self.clock.at) for name in CANARY}, self.clock.now())
        self.scrape(start + SCRAPE)

    def scrape(self, at: int) -> None:
        """Keep what the portal exports now as samples of the time `at`."""
        for family in text_string_to_metric_families(exposition(openmetrics=False, now=float(at))):
            for sample in [one for one in family.samples if one.name in self.names]:
                key = {"__name__": sample.name, **{name: value for name, value in sample.labels.items() if value}}
                times, values = self.kept.setdefault(tuple(sorted(key.items())), ([], []))
                times.append(at * 1000)
                values.append(sample.value)

    def pass_by(self, start: int) -> None:
        """The 15 s from `start` when no record comes: the scrape at their end finds the counters as they were."""
        for times, values in self.kept.values():
            times.append((start + SCRAPE) * 1000)
            values.append(values[-1])

    @contextmanager
    def serve(self, folder: Path, *, with_starts: bool) -> Iterator[PrometheusServer]:
        """A Prometheus over the scrapes; `with_starts`: and over a 0 one scrape before the first of each counter."""
        series = []
        for key, (times, values) in self.kept.items():
            labels = dict(key)
            if with_starts and BY_SERIES[labels["__name__"]].type != "gauge":
                times, values = [times[0] - SCRAPE * 1000, *times], [0.0, *values]
            series.append((labels, times, values))
        folder.mkdir()
        with serve_prometheus(require_program("prometheus"), require_program("promtool"), folder, series) as server:
            yield server


@contextmanager
def simulated(sender: Sender, draw: random.Random, names: Collection[str] = BY_SERIES) -> Iterator[Scraped]:
    """A portal on a clock of its own, of which these series are scraped."""
    portal = Scraped(sender, draw, names)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(timezone, "now", portal.clock.now)
        patched.setattr("time.time", portal.clock.later)
        yield portal


def calls(
    draw: random.Random, start: int, chance: float, models: tuple[tuple[str, str], ...]
) -> Iterator[dict[str, Any]]:
    """Calls of models in the 15 s from `start`: each outcome of each model with this chance, successful ones with
    tokens and without."""
    for provider, model in models:
        for error in (None, *CALL_ERRORS):
            for counted in (True, False) if error is None else (True,):
                if draw.random() < chance:
                    tokens = draw.randrange(1, 5000) if counted else None
                    yield call(
                        moment(draw, start),
                        team="red",
                        provider=provider,
                        model=model,
                        prompt_tokens=tokens,
                        completion_tokens=tokens,
                        duration_seconds=round(draw.lognormvariate(0, 1.5), 3),
                        rate_limit_delay_seconds=0.7,
                        **({"outcome": "error", "error_type": error} if error else {}),
                    )


def work(draw: random.Random, start: int, chance: float) -> Iterator[dict[str, Any]]:
    """Records of every other kind in the 15 s from `start`, each label set with this chance, and one that is
    refused."""
    others: list[dict[str, Any]] = [
        *(
            {"kind": "tool_call", "server_id": "git", "tool_name": "read", **({"error_kind": error} if error else {})}
            for error in (None, *TOOL_ERRORS)
        ),
        *({"kind": "execution", "agent_id": "planner", "status": status} for status in ("completed", "failed")),
        *(
            {"kind": "gateway_request", "gateway_id": "edge", "method": "GET", "status": status}
            for status in (200, 502)
        ),
        *({"kind": "registry_lookup", "outcome": outcome} for outcome in LOOKUP_OUTCOMES),
        *({"kind": "factory_create", "factory_type": made, "name": "x"} for made in FACTORY_TYPES),
    ]
    for record in others:
        if draw.random() < chance:
            yield {**record, "at": moment(draw, start), "duration_seconds": round(draw.lognormvariate(-1, 1.5), 4)}
    for metric, labels in (
        ("mcp_server_connections_active", {"server_id": "git"}),
        ("gateway_active_connections", {"gateway_id": "edge"}),
    ):
        if draw.random() < chance:
            yield {
                "kind": "gauge",
                "metric": metric,
                "labels": labels,
                "value": draw.randrange(9),
                "at": moment(draw, start),
            }
    if draw.random() < chance:
        yield call(moment(draw, start), wrong=True)


def moment(draw: random.Random, start: int) -> float:
    """A time in the 15 s from `start`."""
    return round(start + draw.uniform(0, 14.4), 3)
