"""One record per request, from 16 connections that stay open: requests a second, each answered after its commit.

The baseline is what is wanted on two cores with nothing else to do: 2,000 a second. The note gives what the same
connections reach with Postgres alone, an INSERT of the same row and a commit each, and what a request costs of a core
in the web processes and in Postgres together, which other work on the machine changes least.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
from django.db import connection

from bench.bench_ingest import COMPONENTS, MODELS, TEAMS, baseline_table, free_port, wait_for
from bench.row import row
from core.accounts import keys
from core.accounts.models import Workspace

CONNECTIONS, PROCESSES, SECONDS, WANTED = 16, 2, 10.0, 2000
INSERT = """
INSERT INTO bench_record (id, event_id, at, received_at, receipt, workspace_id, key_id, dimension_id, trace_id, span_id,
    price_source)
VALUES (%s, %s, now(), now(), %s, 1, 1, 1, '', '', '')
"""


def bodies(draw: random.Random) -> Iterator[bytes]:
    """Records, one after another without an end, as JSON."""
    while True:
        provider, model = draw.choice(MODELS)
        record = {
            "kind": "llm_call",
            "event_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
            "at": time.time(),
            "component": draw.choice(COMPONENTS),
            "team": draw.choice(TEAMS),
            "provider": provider,
            "model": model,
            "prompt_tokens": draw.randrange(10, 8000),
            "completion_tokens": draw.randrange(1, 900),
            "duration_seconds": round(draw.lognormvariate(0, 1), 4),
        }
        yield json.dumps(record).encode()


def send(port: int, key: str, seed: int, until: float) -> int:
    """Send on one connection until then; how many records were accepted."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    peer = http.client.HTTPConnection("127.0.0.1", port)
    done = 0
    for body in bodies(random.Random(seed)):
        if time.time() >= until:
            break
        done += 1
        peer.request("POST", "/api/v1/usage", body, headers)
        answer = json.loads(peer.getresponse().read())
        if answer.get("accepted") != 1 or answer.get("spooled"):
            raise RuntimeError(f"a record was not stored: {answer}")
    peer.close()
    return done


def insert(url: str, seed: int, until: float) -> int:
    """Insert a row and commit, on one connection until then; how many."""
    done, draw = 0, random.Random(seed)
    with psycopg.connect(url, autocommit=True) as session:
        while time.time() < until:
            event = uuid.UUID(int=draw.getrandbits(128), version=4)
            session.execute(INSERT, [draw.getrandbits(62), event, event], prepare=True)
            done += 1
    return done


def client(work: Callable[..., int], arguments: tuple[object, ...], seed: int, until: float, found: object) -> None:
    """A process with its share of the connections; puts into `found` how many were done on them."""
    counts: list[int] = []
    places = range(seed, seed + CONNECTIONS // PROCESSES)
    threads = [
        threading.Thread(target=lambda place=place: counts.append(work(*arguments, place, until))) for place in places
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) == len(places):
        found.put(sum(counts))  # type: ignore[attr-defined]


def rate(work: Callable[..., int], *arguments: object, seed: int) -> float:
    """How many a second all connections get done."""
    fork = multiprocessing.get_context("fork")
    found = fork.Queue()
    until = time.time() + SECONDS
    seeds = [seed + number * CONNECTIONS for number in range(PROCESSES)]
    children = [fork.Process(target=client, args=(work, arguments, one, until, found)) for one in seeds]
    for child in children:
        child.start()
    counts = [found.get(timeout=SECONDS + 60) for _ in children]
    for child in children:
        child.join()
    return float(sum(counts) / SECONDS)


def core_seconds(web: psutil.Process, postgres: psutil.Process) -> float:
    """What the web server and Postgres have used of a core so far."""
    times = [one.cpu_times() for leader in (web, postgres) for one in (leader, *leader.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def main() -> None:
    """Measure and print the line."""
    url = os.environ["DATABASE_URL"]
    workspace = Workspace.objects.create(slug="bench", name="Bench")
    _, key = keys.create_key("bench", workspace, ["ingest"], rate=0)
    baseline_table(url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        postgres = psutil.Process(cursor.fetchone()[0]).parent()
    port = free_port()
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "manage.py", "up", "--only", "web", "--port", str(port)]
    web = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        rate(send, port, key, seed=0)  # warms up
        if postgres is None:
            raise SystemExit("Postgres has no leader")
        used = core_seconds(psutil.Process(web.pid), postgres)
        value = rate(send, port, key, seed=1000)
        used = core_seconds(psutil.Process(web.pid), postgres) - used
        alone = rate(insert, url, seed=2000)
    finally:
        web.terminate()
        web.wait()
    cost = 1000 * used / (value * SECONDS)
    note = f"Postgres alone: {alone:,.0f} commits/s; {cost:.1f} ms of a core each, {os.cpu_count()} cores"
    name = f"one record per request, {CONNECTIONS} connections"
    print(json.dumps([row(name, value, WANTED, "requests/s", ">= 1", note)]))


if __name__ == "__main__":
    main()
