"""/healthz: this process answers. /readyz: the portal can store records, can evaluate rules, and does so; each with
since when.

Both are answered before anything else of Django looks at the request, so that a probe may come by any host name and
needs neither session nor database.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from alerts.queries import StalledGroup, stalled_groups
from core.pg.breaker import breaker
from portal.models import Heartbeat
from usage.ingest import spool

# The heartbeat task runs every 15 s; a worker that is busy or restarted misses a few.
HEARTBEAT_GAP = timedelta(seconds=60)
SPOOL_ROOM = 1024 * 1024
# Postgres must answer within this time, so that a probe is answered within 2 s also while Postgres hangs.
PROBE_SECONDS = 1.5
MAX_NAMED = 10
STARTED = timezone.now()


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: whether it holds, since when it is so, and what to know about it."""

    name: str
    ok: bool
    since: datetime
    detail: str


class Memory:
    """When each check last changed, as this process saw it."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[bool, datetime]] = {}

    def check(self, name: str, ok: bool, detail: str, now: datetime) -> Check:
        """The check with the time of its last change."""
        known, since = self._states.get(name, (ok, STARTED))
        if known != ok:
            since = now
        self._states[name] = (ok, since)
        return Check(name, ok, since, detail)


def beat(name: str, now: datetime) -> None:
    """Note a sign of life of `name`; after a gap its `since` begins anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO portal_heartbeat AS old (name, seen_at, since) VALUES (%(name)s, %(now)s, %(now)s)
            ON CONFLICT (name) DO UPDATE SET
                since = CASE WHEN excluded.seen_at - old.seen_at > make_interval(secs => %(gap)s) THEN excluded.seen_at
                    ELSE old.since END,
                seen_at = greatest(old.seen_at, excluded.seen_at)
            """,
            {"name": name, "now": now, "gap": HEARTBEAT_GAP.total_seconds()},
        )


def spool_room() -> int:
    """Bytes that the spool can still take, by its limit and by the disk; 0 if it cannot be written."""
    try:
        folder = spool.folder()
        used = spool.used_bytes()
        free = shutil.disk_usage(folder).free
    except OSError:
        return 0
    return max(min(settings.PORTAL.spool_max_bytes - used, free), 0) if os.access(folder, os.W_OK) else 0


def readiness(memory: Memory, now: datetime) -> list[Check]:
    """Look at database, storing, the worker and the rules' evaluation."""
    seen: Heartbeat | None = None
    stalled: list[StalledGroup] = []
    try:
        breaker.doubt(PROBE_SECONDS)
        stalled = stalled_groups(now)
        seen = Heartbeat.objects.filter(name="worker").first()
        database, detail = True, "answers"
    except (Error, psycopg.Error) as error:
        database, detail = False, (str(error).strip() or type(error).__name__).splitlines()[0]
    room = spool_room()
    alive = seen is not None and now - seen.seen_at <= HEARTBEAT_GAP
    stored = "in Postgres" if database else f"in the spool, {room} bytes left"
    last = (
        f"last heartbeat {seen.seen_at.isoformat(sep=' ', timespec='seconds')}"
        if seen
        else "no heartbeat of beat and worker"
    )
    return [
        memory.check("database", database, detail, now),
        memory.check("store", database or room >= SPOOL_ROOM, stored, now),
        Check("evaluate", True, seen.since, last)
        if seen and alive
        else Check("evaluate", False, seen.seen_at if seen else STARTED, last),
        Check("rules", False, stalled[0].since, "; ".join(map(stalled_text, stalled[:MAX_NAMED])))
        if stalled
        else memory.check("rules", database, "every group is evaluated" if database else detail, now),
    ]


def stalled_text(group: StalledGroup) -> str:
    """What is wrong with a group."""
    return f"rules of group {group.name} are not evaluated since {group.since.isoformat(sep=' ', timespec='seconds')}"


class HealthMiddleware:
    """Answers /healthz and /readyz. `/readyz?check=store` asks for one check only: what a load balancer before ingest
    needs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.memory = Memory()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/healthz":
            return JsonResponse({"status": "ok"})
        if request.path == "/readyz":
            return self.ready(request.GET.get("check", ""))
        return self.get_response(request)

    def ready(self, only: str) -> HttpResponse:
        """200 when every check that was asked for holds, else 503."""
        checks = readiness(self.memory, timezone.now())
        asked = [check for check in checks if check.name == only] if only else checks
        if not asked:
            return JsonResponse({"error": f"no such check: {only}"}, status=400)
        ok = all(check.ok for check in asked)
        details = {c.name: {"ok": c.ok, "since": c.since.isoformat(), "detail": c.detail} for c in asked}
        return JsonResponse({"status": "ok" if ok else "unavailable", "checks": details}, status=200 if ok else 503)
