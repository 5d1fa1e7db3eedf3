"""Ingest over HTTP, everything in, against raw binary COPY of the same rows: two client processes, batches of 500.

The baseline copies what the portal stored, read back as binary, into a table with the same partitions and indexes, in
the same batches, a commit each: the same rows with the same durability, and nothing else. The two take turns, round by
round, so that a machine that is slow for a while is slow for both; the medians are compared.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg

from bench.row import row
from bench.twin import make_twin
from core.accounts import keys
from core.accounts.models import Workspace
from usage.store import partitions

BATCH, CLIENTS = 500, 2
ROUNDS, BATCHES = 7, 40  # batches per round and client
MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
]
TEAMS, COMPONENTS = ("search", "support", "billing"), ("workflow", "agent")


def body(draw: random.Random, now: float) -> bytes:
    """A batch of the calls of 15 seconds, as an application would send it."""
    records = []
    for _ in range(BATCH):
        provider, model = draw.choice(MODELS)
        records.append(
            {
                "kind": "llm_call",
                "event_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
                "at": round(now - draw.random() * 15, 3),
                "component": draw.choice(COMPONENTS),
                "team": draw.choice(TEAMS),
                "provider": provider,
                "model": model,
                "operation": "chat",
                "prompt_tokens": draw.randrange(10, 8000),
                "completion_tokens": draw.randrange(1, 900),
                "duration_seconds": round(draw.lognormvariate(0, 1), 4),
                "trace_id": f"{draw.getrandbits(128):032x}",
            }
        )
    return json.dumps(records).encode()


def send(port: int, key: str, bodies: list[bytes], start: float) -> None:
    """A client: one batch after another, from a common start on; a connection each, so that the kernel spreads them
    over the web processes (two connections kept open are in one process as often as not)."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    time.sleep(max(0.0, start - time.time()))
    for one in bodies:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/api/v1/usage", one, headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        if answer.get("accepted") != BATCH or answer.get("spooled"):
            raise SystemExit(f"a batch was not stored: {answer}")


def copy_batches(table: str, url: str, batches: list[bytes], start: float) -> None:
    """A baseline client: binary COPY of the batches, a commit each."""
    with psycopg.connect(url) as connection:
        time.sleep(max(0.0, start - time.time()))
        for one in batches:
            with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as sink:
                sink.write(one)
            connection.commit()


def together(target: Callable[..., None], arguments: list[tuple[object, ...]]) -> float:
    """Seconds from the common start until the last of the processes is done."""
    start = time.time() + 2
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=target, args=(*one, start)) for one in arguments]
    for child in children:
        child.start()
    for child in children:
        child.join()
        if child.exitcode:
            raise SystemExit("a client failed")
    return time.time() - start


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(url: str) -> None:
    """Return once the server answers."""
    for _ in range(1_200):
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310  # a loopback address of our own
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit("the portal did not start")


def newest_batches(url: str) -> list[bytes]:
    """The rows that a round stored as binary COPY data, in batches."""
    parts = []
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TEMP TABLE newest AS SELECT * FROM usage_record WHERE received_at > ("
            "SELECT coalesce(max(received_at), '-infinity') FROM bench_record)"
        )
        for number in range(BATCHES * CLIENTS):
            query = f"COPY (SELECT * FROM newest OFFSET {number * BATCH} LIMIT {BATCH}) TO STDOUT (FORMAT BINARY)"
            with connection.cursor().copy(query) as source:
                parts.append(b"".join(bytes(part) for part in source))
    return parts


def main() -> None:
    """Measure and print the lines."""
    url = os.environ["DATABASE_URL"]
    workspace = Workspace.objects.create(slug="bench", name="Bench")
    _, key = keys.create_key("bench", workspace, ["ingest"], rate=0)
    make_twin(url, "bench_record", partitions.RECORDS, "at")
    port = free_port()
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "manage.py", "up", "--only", "web", "--port", str(port)]
    web = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    draw = random.Random(1)
    ours, theirs = [], []
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        for turn in range(ROUNDS + 1):
            bodies = [[body(draw, time.time()) for _ in range(BATCHES)] for _ in range(CLIENTS)]
            seconds = together(send, [(port, key, part) for part in bodies])
            batches = newest_batches(url)
            baseline = together(
                copy_batches, [("bench_record", url, batches[client::CLIENTS]) for client in range(CLIENTS)]
            )
            if turn:  # the first one warms both up
                ours.append(seconds)
                theirs.append(baseline)
    finally:
        web.terminate()
        web.wait()
    rows = BATCH * BATCHES * CLIENTS
    value, reference = rows / statistics.median(ours), rows / statistics.median(theirs)
    ratios = sorted(one / other for one, other in zip(theirs, ours, strict=True))
    note = (
        f"{ROUNDS} rounds of {rows:,} rows, ratios {ratios[0]:.2f} to {ratios[-1]:.2f};"
        f" {1000 * statistics.median(ours) / BATCHES:.1f} ms per batch and client"
    )
    print(json.dumps([row("ingest over HTTP / binary COPY", value, reference, "rows/s", ">= 0.3", note)]))


if __name__ == "__main__":
    main()
