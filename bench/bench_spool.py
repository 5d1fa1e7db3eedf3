"""Requests of one record from 16 threads of a process: made durable in the spool while Postgres is away, against stored
in Postgres. The two take turns, and the medians are compared."""

from __future__ import annotations

import json
import logging
import statistics
import threading
import time
from collections.abc import Callable

from django.db import connection

from bench.row import row
from core.accounts import keys
from core.accounts.models import Workspace
from core.pg.breaker import breaker
from usage.ingest import pipeline, spool

THREADS, REQUESTS, ROUNDS = 16, 60, 5
BODY = json.dumps({"kind": "llm_call", "provider": "openai", "model": "gpt-4o", "prompt_tokens": 1}).encode()


def rate(caller: keys.Caller) -> float:
    """Requests per second of all threads."""

    def send() -> None:
        for _ in range(REQUESTS):
            pipeline.ingest(BODY, caller, time.time())
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(THREADS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return THREADS * REQUESTS / (time.perf_counter() - begin)


def while_away(work: Callable[[], float]) -> float:
    """What `work` says while the breaker is open."""
    breaker.reason = "the benchmark says so"
    found = work()
    breaker.reason = ""
    for path in spool.files():
        path.unlink()
    return found


def main() -> None:
    """Measure and print the line."""
    logging.getLogger("usage.ingest.pipeline").setLevel(logging.CRITICAL)
    workspace = Workspace.objects.create(slug="bench", name="Bench")
    key, _ = keys.create_key("bench", workspace, ["ingest"], rate=0)
    caller = keys.Caller(key.pk, workspace.pk, workspace.slug, frozenset({"ingest"}))
    rate(caller)
    rounds = [(while_away(lambda: rate(caller)), rate(caller)) for _ in range(ROUNDS)]
    spooled, stored = (statistics.median(values) for values in zip(*rounds, strict=True))
    note = f"{THREADS} threads of one process, {ROUNDS} rounds"
    name = "requests of one record, spooled / stored"
    print(json.dumps([row(name, spooled, stored, "requests/s", ">= 1", note)]))


if __name__ == "__main__":
    main()
