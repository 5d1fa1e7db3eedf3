"""Messages to a webhook on loopback: at least 100 a second of one core.

Each is claimed, read with its alert, rule and incident, sent over HTTP, and written down with its attempt, as a
worker's thread does it. Counted is the processor time of this process and of its Postgres session together; the server
that answers is a process of its own. The note gives the wall clock of one channel.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from alerts.incidents.collect import collect
from alerts.models import Alert, Delivery, Flip, Rule, RuleGroup, State
from alerts.notify import deliveries
from alerts.notify.channels import create_channel
from bench.bench_alerts import core_seconds
from bench.row import row

MESSAGES, WANTED = 1500, 100


class Taking(BaseHTTPRequestHandler):
    """Takes every request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def serve(port: Connection) -> None:
    """A web server; its port goes into the pipe."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    port.send(server.server_port)
    server.serve_forever()


def fire() -> None:
    """An incident for each of so many rules' alerts, each with a message to send."""
    group = RuleGroup.objects.create(name="bench", interval_seconds=60)
    now = timezone.now()
    rules = Rule.objects.bulk_create(
        Rule(group=group, name=f"Rule {number}", expr="vector(1)", position=number) for number in range(MESSAGES)
    )
    alerts = Alert.objects.bulk_create(
        Alert(
            rule=rule,
            fingerprint=hashlib.md5(rule.name.encode(), usedforsecurity=False).hexdigest(),
            labels={"alertname": rule.name, "severity": "warning", "model": "gpt-5"},
            annotations={"summary": f"{rule.name} is slow", "description": "p99 is 4.2 s"},
            state=State.FIRING,
            value=4.2,
            active_at=now,
            fired_at=now,
        )
        for rule in rules
    )
    flips = Flip.objects.bulk_create(
        Flip(alert=alert, from_state="pending", to_state=State.FIRING, at=now, value=4.2, created_at=now)
        for alert in alerts
    )
    with transaction.atomic():
        collect(flips, now)


def main() -> None:
    """Send them, and print the line."""
    settings.PORTAL = dataclasses.replace(settings.PORTAL, outbound_private=True)
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    Rule.objects.all().delete()
    channel = create_channel("webhook", "loopback", {"url": f"http://127.0.0.1:{ours.recv()}/"})
    fire()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    started, used = time.perf_counter(), core_seconds(pid)
    while deliveries.send_channel(channel.pk, timezone.now):
        pass
    wall = time.perf_counter() - started
    cpu = core_seconds(pid) - used
    server.kill()
    sent = Delivery.objects.filter(state=Delivery.State.SENT).count()
    if sent != MESSAGES:
        raise SystemExit(f"{sent} of {MESSAGES} messages were sent")
    note = f"{MESSAGES / wall:,.0f}/s on one channel's thread, {os.cpu_count()} cores"
    name = f"{MESSAGES:,} messages to a webhook, per second of a core"
    print(json.dumps([row(name, MESSAGES / cpu, WANTED, "1/s", ">= 1", note)]))


if __name__ == "__main__":
    main()
