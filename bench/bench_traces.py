"""The pages of traces and logs as a browser asks for them, over a day of a million spans and a
million lines, and over a tenth of that.

Each page is asked for through Django's test client: address, login, queries, template. The
list has two filters, of every kind in turn.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

import psycopg
from django.contrib.auth.models import User
from django.test import Client

from bench.bench_telemetry import FULL, MAX_SEARCH_SECONDS, MAX_SECONDS, Size, fill
from bench.row import Measurement, median_seconds, row
from core.accounts.models import Workspace

TENTH = Size(FULL.traces // 10, FULL.lines // 10, FULL.long // 10)
FILTERS = {
    "service and model": ("service=service-3", "model=model-5"),
    "tool and failed": ("tool=tool-30", "status=error"),
    "agent and slow": ("agent=agent-7", "duration>=38"),
    "text and cost": ("run 39", "cost>=0.001"),
    "tokens and team": ("tokens>=9000", "team=team-2"),
    "two that none has": ("service=service-1", "model=none"),
}
SEARCHES = {
    "a frequent word": ("request",),
    "a rare word": ("calling 500000",),
    "two words and errors": ("timeout failed", "severity=error"),
    "a service without text": ("service=service-7",),
}


def asked(client: Client, workspace: str, path: str, filters: tuple[str, ...] = ()) -> Callable[[], None]:
    """A request for a page over 24 hours."""
    query = urlencode([("range", "24h"), ("workspace", workspace), *(("q", one) for one in filters)])
    part = path + ("&" if "?" in path else "?") + query

    def ask() -> None:
        answer = client.get(part)
        if answer.status_code != 200:
            raise SystemExit(f"{part}: {answer.status_code}")

    return ask


def pages(client: Client, workspace: str, long_trace: str) -> dict[str, tuple[float, Callable[[], None]]]:
    """What is measured: its bound in seconds, and the request."""
    found = {"page of the longest trace": (MAX_SECONDS, asked(client, workspace, f"/traces/{long_trace}/"))}
    for name, filters in FILTERS.items():
        found[f"page of traces, {name}"] = (MAX_SECONDS, asked(client, workspace, "/traces/", filters))
    for name, part in (("its facets", "/traces/?part=facets"), ("its chart", "/traces/figure")):
        found[f"page of traces, {name}"] = (
            MAX_SECONDS,
            asked(client, workspace, part, FILTERS["service and model"]),
        )
    for name, filters in SEARCHES.items():
        found[f"page of logs, {name}"] = (MAX_SEARCH_SECONDS, asked(client, workspace, "/logs/", filters))
    return found


def main() -> None:
    """Measure and print the lines."""
    url, now = os.environ["DATABASE_URL"], datetime.now(UTC)
    for slug, size in (("full", FULL), ("tenth", TENTH)):
        fill(url, Workspace.objects.create(slug=slug, name=slug).pk, now, size)
    with psycopg.connect(url) as connection:
        [long_trace] = connection.execute("SELECT replace(md5('long')::uuid::text, '-', '')").fetchone() or ("",)
    client = Client(headers={"Host": "localhost"})
    client.force_login(User.objects.create_superuser("bench"))
    full, tenth = (pages(client, slug, long_trace) for slug in ("full", "tenth"))
    actions = [action for one in (full, tenth) for _, action in one.values()]
    seconds = median_seconds(*actions, times=5)
    found: list[Measurement] = []
    for place, (name, (bound, _)) in enumerate(full.items()):
        note = f"{seconds[place + len(full)]:.3f} s over a tenth"
        found.append(row(name, seconds[place], bound, "s", "<= 1", note))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
