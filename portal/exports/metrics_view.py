"""/metrics: the catalog's families and those of the rules' evaluation and of sampling from Postgres, then this
machine's and the web processes' own, which django-prometheus keeps. While Postgres is away the last numbers stay."""

from __future__ import annotations

import gzip
import secrets
import time
from collections.abc import Iterator

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from alerts.evaluation.metrics import RuleCollector
from portal.exports import web_processes
from portal.exports.last_numbers import Numbers, read
from telemetry.store.reading import exemplars
from telemetry.store.sampling_metrics import SamplingCollector
from usage.ingest import spool
from usage.ingest.node import NodeCollector
from usage.series.exposition import OPENMETRICS, PLAIN, Exemplar, exposition_of


class EverythingElse(Collector):
    """This machine, the rules' evaluation, the sampling of traces, then the web processes' own."""

    def __init__(self, numbers: Numbers, up: bool) -> None:
        self.numbers, self.up = numbers, up

    def collect(self) -> Iterator[Metric]:
        """One family after another."""
        yield from NodeCollector(self.up).collect()
        yield from RuleCollector(self.numbers.rules).collect()
        yield from SamplingCollector(self.numbers.sampled).collect()
        yield from web_processes.collect()


def recent_calls() -> list[Exemplar]:
    """Calls that lead from a histogram's buckets to their traces; none while Postgres is away."""
    try:
        return exemplars.recent(time.time())
    except (OperationalError, InterfaceError):
        spool.drop_connection()
        return []


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Plain text, or OpenMetrics with exemplars where the client accepts it; gzip where it accepts that."""
    token = settings.PORTAL.metrics_token
    if token and not secrets.compare_digest(request.headers.get("Authorization", ""), f"Bearer {token}"):
        return HttpResponse(
            "send the token as `Authorization: Bearer <token>`\n", status=401, content_type="text/plain"
        )
    openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
    encode, _ = choose_encoder(OPENMETRICS if openmetrics else "text/plain; version=0.0.4")
    numbers, up = read(time.time())
    beside = CollectorRegistry()
    beside.register(EverythingElse(numbers, up))
    shown = recent_calls() if openmetrics and up else []
    body = exposition_of(numbers.catalog, openmetrics, shown).encode() + encode(beside)
    response = HttpResponse(content_type=OPENMETRICS if openmetrics else PLAIN)
    response["Vary"] = "Accept, Accept-Encoding"
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body = gzip.compress(body, compresslevel=1)
        response["Content-Encoding"] = "gzip"
    response.content = body
    return response
