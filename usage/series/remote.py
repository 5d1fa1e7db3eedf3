"""7 query, elsewhere: a Prometheus-compatible server (Prometheus, Mimir, Thanos, VictoriaMetrics) as an engine, over
its HTTP API."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import numpy as np

from core.net import outbound
from core.net.retries import retry
from promql import Block, Hints, Labels, LimitError, Limits, Matcher, Query, Result, UnavailableError
from usage.series.remote_results import UNREADABLE, Envelope, instant_result, opened, range_result, refused, series_of

DEFAULT_LOOKBACK_MS = 300_000
LISTED_MS = 86_400_000
ATTEMPTS, PAUSE_GROWTH = 3, 4
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class _PassingError(Exception):
    """An attempt that failed in a way that the next one may not."""


@dataclass(frozen=True)
class RemoteEngine:
    """Queries go to the server at `url` as they are. `seconds` bounds a query with its attempts, `max_bytes` the
    answer.

    Failed connections and passing errors are tried again after `pause` seconds, and a last time after four times that.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    seconds: float = 30.0
    max_bytes: int = 67_108_864
    pause: float = 0.2

    def instant(self, query: Query, at_ms: int, lookback_ms: int, limits: Limits) -> Result:
        """The value at one time. Raises promql.PromQLError."""
        form = {"query": query.text, "time": seconds_text(at_ms), **looking_back(lookback_ms)}
        return instant_result(self._ask("query", form, limits), at_ms, limits)

    def range(self, query: Query, start_ms: int, end_ms: int, step_ms: int, lookback_ms: int, limits: Limits) -> Result:
        """The values at start, start + step, … up to end. Raises promql.PromQLError."""
        times = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
        if len(times) > limits.max_steps:
            raise LimitError("max_steps", f"the query asks for {len(times)} points per series, over {limits.max_steps}")
        bounds = {"start": seconds_text(start_ms), "end": seconds_text(end_ms), "step": seconds_text(step_ms)}
        # VictoriaMetrics moves start and end to whole steps unless its cache is left out.
        form = {"query": query.text, **bounds, "nocache": "1", **looking_back(lookback_ms)}
        return range_result(self._ask("query_range", form, limits), times, limits)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """The samples of the series that match. Raises promql.PromQLError."""
        form = {"query": f"{selector(matchers)}[{max(end_ms - start_ms, 0) + 1}ms]", "time": seconds_text(end_ms)}
        found = instant_result(self._ask("query", form, Limits()), end_ms, Limits())
        return [Block(found.labels, found.times, found.values, found.present)] if found.labels else []

    def series(self, matchers: Sequence[Matcher], end_ms: int | None = None) -> list[Labels]:
        """The labels of the series that match and had samples on the day before `end_ms` (now). Raises
        promql.PromQLError."""
        end = time.time_ns() // 1_000_000 if end_ms is None else end_ms
        form = {"match[]": selector(matchers), "start": seconds_text(end - LISTED_MS), "end": seconds_text(end)}
        return series_of(self._ask("series", form, Limits()))

    def _ask(self, path: str, form: dict[str, str], limits: Limits) -> Envelope:
        """POST a form until there is an answer, or the attempts or the time are used up. Raises promql.PromQLError."""
        deadline = time.monotonic() + min(self.seconds, limits.timeout_seconds)
        longest = PAUSE_GROWTH * self.pause

        def helps(error: Exception) -> bool:
            return isinstance(error, _PassingError) and time.monotonic() + longest < deadline

        @retry(
            on=helps,
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=self.pause,
            wait_max=longest,
            wait_jitter=0,
            wait_exp_base=PAUSE_GROWTH,
        )
        def asked() -> Envelope:
            left = max(deadline - time.monotonic(), 0.001)
            return self._attempt(path, {**form, "timeout": f"{left:.3f}"}, left)

        try:
            return asked()
        except _PassingError as error:
            raise UnavailableError(f"the Prometheus server cannot be asked: {error}") from None

    def _attempt(self, path: str, form: dict[str, str], seconds: float) -> Envelope:
        """One try. Raises _PassingError where another one may help, else promql.PromQLError."""
        try:
            answer = outbound.post(
                f"{self.url.rstrip('/')}/api/v1/{path}",
                urlencode(form).encode(),
                {"Content-Type": "application/x-www-form-urlencoded", **self.headers},
                seconds=seconds,
                max_bytes=self.max_bytes,
                private=True,
            )
        except outbound.Forbidden as error:
            raise UnavailableError(f"PROMETHEUS_URL cannot be used: {error}") from None
        except outbound.Unreachable as error:
            raise _PassingError(str(error)) from None
        if answer.cut:
            bound = f"{self.max_bytes:,} bytes (PORTAL_PROMETHEUS_MAX_BYTES)"
            raise LimitError("max_samples", f"the Prometheus server's answer is over {bound}: narrow the query")
        return understood(answer)


def understood(answer: outbound.Response) -> Envelope:
    """The answer's envelope, where it is a success. Raises _PassingError or promql.PromQLError."""
    envelope = opened(answer.body)
    if envelope is not None and envelope.status == "success":
        return envelope
    if answer.status in (401, 403):
        said = f"the Prometheus server refuses the portal's credentials (HTTP {answer.status})"
        raise UnavailableError(f"{said}: see PORTAL_PROMETHEUS_TOKEN, _USER, _PASSWORD and _TENANT")
    # A query that took too long there is answered 503, but would take as long again.
    if envelope is not None and envelope.status == "error" and (answer.status < 500 or envelope.errorType == "timeout"):
        refused(envelope)
    if answer.status == 429 or answer.status >= 500:
        raise _PassingError(f"HTTP {answer.status} {' '.join(answer.text.split())[:200]}".rstrip())
    raise UnavailableError(f"{UNREADABLE} (HTTP {answer.status}): does PROMETHEUS_URL lead to one?")


def credentials(portal: Any) -> dict[str, str]:
    """The headers that the settings ask for."""
    headers = {}
    if portal.prometheus_token:
        headers["Authorization"] = f"Bearer {portal.prometheus_token}"
    elif portal.prometheus_user:
        pair = f"{portal.prometheus_user}:{portal.prometheus_password}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    if portal.prometheus_tenant:
        headers["X-Scope-OrgID"] = portal.prometheus_tenant
    return headers


def selector(matchers: Sequence[Matcher]) -> str:
    """The matchers as PromQL."""
    parts = []
    for one in matchers:
        name = one.name if NAME.fullmatch(one.name) else json.dumps(one.name, ensure_ascii=False)
        parts.append(f"{name}{one.op}{json.dumps(one.value, ensure_ascii=False)}")
    return "{" + ",".join(parts) + "}"


def seconds_text(milliseconds: int) -> str:
    """Milliseconds as the API takes times and lengths."""
    return f"{milliseconds / 1000:.3f}"


def looking_back(lookback_ms: int) -> dict[str, str]:
    """The parameter of a look-back that is not the server's default."""
    return {} if lookback_ms == DEFAULT_LOOKBACK_MS else {"lookback_delta": seconds_text(lookback_ms)}
