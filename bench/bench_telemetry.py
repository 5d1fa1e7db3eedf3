"""OpenTelemetry in and out: spans over HTTP against raw binary COPY of the same rows; a trace,
the list of traces and a search of logs.

Two client processes send batches of 512 spans, mapping and usage included: a process of the worker counts what
waits while more comes, without waiting for spans below it, and the clock stops when all is counted. The baseline
copies what the portal stored, read back as binary, into a table with the same partitions and indexes, in the
same batches, a commit each. The two take turns, and the medians are compared. Lists are read over a million
spans, and a million log lines, of a day.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
from django.db import connection

from bench.bench_ingest import copy_batches, free_port, together, wait_for
from bench.row import Measurement, added_mib, median_seconds, row
from bench.telemetry_bodies import BATCH, body
from bench.twin import make_twin
from core.accounts import keys
from core.accounts.models import Workspace
from core.pg.partitions import ensure
from telemetry.deciding import settle, waiting
from telemetry.store import partitions
from telemetry.store.reading import logs, traces
from telemetry.store.reading.logs import LogFilters
from telemetry.store.reading.traces import TraceFilters

CLIENTS, ROUNDS, BATCHES = 2, 5, 30  # batches per round and client
MAX_SECONDS = 0.3
MAX_SEARCH_SECONDS = 0.5
SPANS_PER_SECOND = 8_000


class Size(NamedTuple):
    """How much a day has: traces of eight spans, log lines, and spans of its longest trace."""

    traces: int = 125_000
    lines: int = 1_000_000
    long: int = 2_000


FULL, PER_TRACE = Size(), 8


def send(port: int, key: str, bodies: list[bytes], start: float) -> None:
    """A client: one batch after another, from a common start on."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-protobuf"}
    time.sleep(max(0.0, start - time.time()))
    for one in bodies:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/v1/traces", one, headers)
        answer = connection.getresponse()
        if answer.status != 200 or answer.read():
            raise SystemExit(f"a batch was not taken: {answer.status}")
        connection.close()


def newest_batches(url: str) -> list[bytes]:
    """The rows that a round stored as binary COPY data, in batches."""
    parts = []
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TEMP TABLE newest AS SELECT * FROM telemetry_span s WHERE NOT EXISTS ("
            "SELECT FROM bench_span b WHERE b.trace_id = s.trace_id AND b.span_id = s.span_id)"
        )
        for number in range(BATCHES * CLIENTS):
            query = f"COPY (SELECT * FROM newest OFFSET {number * BATCH} LIMIT {BATCH}) TO STDOUT (FORMAT BINARY)"
            with connection.cursor().copy(query) as source:
                parts.append(b"".join(bytes(part) for part in source))
    return parts


def count_usage(stop: Event) -> None:
    """Count what waits, as the worker does, until it is to stop."""
    while not stop.is_set():
        if not settle.settle(0):
            time.sleep(0.01)


def all_counted() -> float:
    """Seconds until nothing waits."""
    start = time.time()
    while waiting.since() is not None:
        time.sleep(0.005)
    return time.time() - start


def ingest(url: str, workspace: Workspace) -> list[Measurement]:
    """Spans durable per second, beside COPY's."""
    _, key = keys.create_key("bench", workspace, ["ingest"], rate=0)
    make_twin(url, "bench_span", partitions.SPANS, "start")
    port = free_port()
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "manage.py", "up", "--only", "web", "--port", str(port)]
    web = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    draw = random.Random(1)
    ours, theirs = [], []
    fork = multiprocessing.get_context("fork")
    stop = fork.Event()
    worker = fork.Process(target=count_usage, args=(stop,))
    connection.close()  # each process makes its own
    worker.start()
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        for turn in range(ROUNDS + 1):
            bodies = [[body(draw) for _ in range(BATCHES)] for _ in range(CLIENTS)]
            seconds = together(send, [(port, key, part) for part in bodies]) + all_counted()
            batches = newest_batches(url)
            baseline = together(
                copy_batches, [("bench_span", url, batches[client::CLIENTS]) for client in range(CLIENTS)]
            )
            if turn:  # the first one warms both up
                ours.append(seconds)
                theirs.append(baseline)
        family = [psutil.Process(web.pid), *psutil.Process(web.pid).children(recursive=True)]
        peak = max(process.memory_info().rss for process in family) / 2**20
    finally:
        web.terminate()
        web.wait()
        stop.set()
        worker.join()
    spans = BATCH * BATCHES * CLIENTS
    value, reference = spans / statistics.median(ours), spans / statistics.median(theirs)
    note = (
        f"{ROUNDS} rounds of {spans:,} spans; {len(body(draw)) // 1024} KiB a batch; a web process holds "
        f"{peak:,.0f} MiB"
    )
    bound = f">= {min(0.15, SPANS_PER_SECOND / reference):.3f}"
    return [row("spans over HTTP / binary COPY", value, reference, "spans/s", bound, note)]


def fill(url: str, workspace: int, now: datetime, size: Size = FULL) -> None:
    """A day of traces, spans and logs, and a long trace."""
    begin = now - timedelta(days=1)
    for table in partitions.ALL:
        ensure(table, [begin, now])
    apart = timedelta(days=1) / (size.traces * PER_TRACE)
    values = {"w": workspace, "begin": begin, "per": PER_TRACE, "apart": apart, **size._asdict()}
    with psycopg.connect(url) as connection:
        for statement in FILL:
            connection.execute(statement, values)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE telemetry_trace, telemetry_span, telemetry_log")


_ATTRIBUTES = """jsonb_build_object('gen_ai.operation.name', 'chat', 'gen_ai.request.model', 'model-' || n % 7,
    'gen_ai.usage.input_tokens', n % 9000, 'gen_ai.response.id', md5(n::text),
    'server.address', 'api.example.com', 'server.port', 443)"""
FILL = (
    f"""INSERT INTO telemetry_span (workspace_id, trace_id, span_id, parent_span_id, start, duration, span_kind,
        status, name, service, kind, operation, provider, model, input_tokens, output_tokens, cost_usd, attributes)
    SELECT %(w)s, md5('t' || n / %(per)s)::uuid, n + 1, CASE WHEN n %% %(per)s > 0 THEN n / %(per)s * %(per)s + 1 END,
        %(begin)s::timestamptz + n * %(apart)s, 0.5, 3, 0, 'chat model-' || n %% 7, 'service-' || n %% 20, 'llm',
        'chat', 'openai', 'model-' || n %% 7, n %% 9000, n %% 900, 0.001, {_ATTRIBUTES.replace("% ", "%% ")}
    FROM generate_series(0, %(traces)s::bigint * %(per)s - 1) n""",
    """INSERT INTO telemetry_trace (workspace_id, trace_id, start, finish, duration, root_name, root_service,
        has_root, spans, errors, llm_calls, input_tokens, output_tokens, cost_usd, facets, first_seen, last_seen, kept)
    SELECT %(w)s, md5('t' || n)::uuid, at, at + interval '4 seconds', (n %% 97) * 0.4, 'run ' || n %% 40,
        'service-' || n %% 20, true, %(per)s, (n %% 25 = 0)::int, %(per)s, n %% 9000, n %% 900, 0.008,
        array['service:service-' || n %% 20, 'model:model-' || n %% 7, 'provider:openai', 'operation:chat',
        'agent:agent-' || n %% 13, 'team:team-' || n %% 5, 'tool:tool-' || n %% 31], at, at, 'share'
    FROM generate_series(0, %(traces)s - 1) n,
        LATERAL (SELECT %(begin)s::timestamptz + n * %(per)s * %(apart)s AS at) a""",
    """INSERT INTO telemetry_log (workspace_id, digest, at, severity, service, body, trace_id)
    SELECT %(w)s, md5('l' || n)::uuid, %(begin)s::timestamptz + n * %(apart)s, CASE WHEN n %% 50 = 0 THEN 17 ELSE 9 END,
        'service-' || n %% 20, CASE WHEN n %% 50 = 0
        THEN 'request failed with timeout after ' || n || ' ms calling model-' || n %% 7
        ELSE 'request ' || md5(n::text) || ' done in ' || n %% 997 || ' ms' END, md5('t' || n / %(per)s)::uuid
    FROM generate_series(0, %(lines)s - 1) n""",
    """INSERT INTO telemetry_trace (workspace_id, trace_id, start, finish, duration, spans, first_seen, last_seen, kept)
    SELECT %(w)s, md5('long')::uuid, %(begin)s, %(begin)s::timestamptz + interval '1 hour', 3600, %(long)s, now(),
        now(), 'share'""",
    f"""INSERT INTO telemetry_span (workspace_id, trace_id, span_id, parent_span_id, start, duration, span_kind,
        status, name, service, kind, attributes)
    SELECT %(w)s, md5('long')::uuid, n + 1, nullif(n / 2, 0), %(begin)s::timestamptz + n * interval '1 second', 1, 1,
        0, 'step ' || n, 'service-1', 'llm', {_ATTRIBUTES.replace("% ", "%% ")}
    FROM generate_series(0, %(long)s - 1) n""",
)


def reading(url: str, workspace: Workspace) -> list[Measurement]:
    """A trace, the list and a search, in seconds."""
    now = datetime.now(UTC)
    fill(url, workspace.pk, now)
    day = (frozenset({workspace.slug}), now - timedelta(days=1), now)
    long_trace = uuid.UUID(hex=psycopg.connect(url).execute("SELECT md5('long')").fetchone()[0]).hex  # type: ignore[index]

    def listed(**filters: object) -> object:
        return traces.find_traces(TraceFilters(*day, **filters))  # type: ignore[arg-type]

    asked = {
        "list of traces, service and model": lambda: listed(facets=(("service", "service-3"), ("model", "model-5"))),
        "list of traces, tool and failed": lambda: listed(facets=(("tool", "tool-30"),), failed=True),
        "list of traces, agent and slow": lambda: listed(facets=(("agent", "agent-7"),), min_duration=38.0),
        "list of traces, text and cost": lambda: listed(text="run 39", min_cost=0.001),
        "list of traces, two that none has": lambda: listed(facets=(("service", "service-1"), ("model", "none"))),
        f"trace of {FULL.long:,} spans": lambda: traces.read_trace(long_trace, None),
        "log search, a frequent word": lambda: logs.find_logs(LogFilters(*day, text="request")),
        "log search, a rare word": lambda: logs.find_logs(LogFilters(*day, text="calling 500000")),
        "log search, two words and errors": lambda: logs.find_logs(
            LogFilters(*day, text="timeout failed", severity=17)
        ),
        "log chart, a frequent word": lambda: logs.histogram(LogFilters(*day, text="request")),
        "log chart, every line": lambda: logs.histogram(LogFilters(*day)),
    }
    found = []
    for (name, action), seconds in zip(asked.items(), median_seconds(*asked.values(), times=5), strict=True):
        bound = MAX_SEARCH_SECONDS if name.startswith("log") else MAX_SECONDS
        found.append(row(name, seconds, bound, "s", "<= 1", added_mib(action)))
    return found


def main() -> None:
    """Measure and print the lines."""
    url = os.environ["DATABASE_URL"]
    workspace = Workspace.objects.create(slug="bench", name="Bench")
    print(json.dumps([*ingest(url, workspace), *reading(url, workspace)]))


if __name__ == "__main__":
    main()
