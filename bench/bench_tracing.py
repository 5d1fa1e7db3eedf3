"""What it costs that the portal traces itself: the CPU time of web server and Postgres for batches over
HTTP, with a tenth of them traced and none.

Two web servers on one Postgres take turns. While tracing is off nothing of the SDK is loaded
(tests/portal/tracing), so that its cost is none.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
from django.conf import settings
from django.db import connection

from bench.bench_ingest import BATCHES, CLIENTS, body, free_port, send, together, wait_for
from bench.row import row
from core.accounts import keys
from core.accounts.models import Workspace

ROUNDS = 7
ROOT = Path(__file__).resolve().parent.parent


class Receiver(BaseHTTPRequestHandler):
    """A receiver of OTLP that looks at nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take a request."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def receive(port: int) -> None:
    """Run the receiver."""
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()


def start(port: int, name: str, **environment: str) -> subprocess.Popen[bytes]:
    """A web server with a data folder of its own."""
    command = [sys.executable, "manage.py", "up", "--only", "web", "--port", str(port)]
    own = {"PORTAL_DATA_DIR": f"{os.environ['PORTAL_DATA_DIR']}-{name}", "PORTAL_SECRET_KEY": settings.SECRET_KEY}
    given = {**os.environ, **own, **environment}
    return subprocess.Popen(command, cwd=ROOT, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cpu_seconds(*pids: int) -> float:
    """The CPU time of servers' processes so far, those that have ended included."""
    family = [one for pid in pids for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    found = [process.cpu_times() for process in family]
    return sum(one.user + one.system + one.children_user + one.children_system for one in found)


def postmaster() -> int:
    """The process of Postgres that has all others."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return psutil.Process(cursor.fetchone()[0]).ppid()


def main() -> None:
    """Measure and print the line."""
    _, key = keys.create_key("bench", Workspace.objects.create(slug="bench", name="Bench"), ["ingest"], rate=0)
    plain_port, traced_port, sink = free_port(), free_port(), free_port()
    postgres = postmaster()
    connection.close()  # each process makes its own
    receiver = multiprocessing.get_context("fork").Process(target=receive, args=(sink,), daemon=True)
    receiver.start()
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink}"}
    servers = [(start(plain_port, "plain"), plain_port), (start(traced_port, "traced", **traced), traced_port)]
    draw = random.Random(1)
    found: list[list[float]] = [[], []]
    try:
        for _, port in servers:
            wait_for(f"http://127.0.0.1:{port}/healthz")
        for turn in range(ROUNDS + 1):
            # Each begins every other round: what the first leaves to do (a checkpoint) the second would pay for.
            for place in (0, 1) if turn % 2 else (1, 0):
                server, port = servers[place]
                bodies = [[body(draw, time.time()) for _ in range(BATCHES)] for _ in range(CLIENTS)]
                before = cpu_seconds(server.pid, postgres)
                together(send, [(port, key, part) for part in bodies])
                if turn:  # the first one warms both up
                    found[place].append(1000 * (cpu_seconds(server.pid, postgres) - before) / (BATCHES * CLIENTS))
    finally:
        for server, _ in servers:
            server.terminate()
            server.wait()
        receiver.terminate()
    plain, own = (statistics.median(one) for one in found)
    note = f"{ROUNDS} rounds of {BATCHES * CLIENTS} batches of 500 each"
    print(json.dumps([row("CPU per batch, a tenth traced / nothing traced", own, plain, "ms", "<= 1.03", note)]))


if __name__ == "__main__":
    main()
