"""Each page and panel with 10,000 label sets in use, beside the same with 100: Django's client asks in one process. A
time is what this process and its session of Postgres took of a processor, which other work on the machine hardly
changes; the first look, of which the process remembers nothing, is measured apart from those that follow."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import psutil
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from alerts.models import Alert, Rule, State
from bench.row import Measurement, row
from bench.wide_world import NARROW, RULE, WIDE, WORKSPACE, World, fill
from core.accounts.models import Workspace
from usage.boards.declarations import BOARDS

RANGES = ("24h", "7d", "30d")
PAGE_SECONDS, PAGE_BYTES = 0.1, 150_000
PANEL_SECONDS, PANEL_BYTES = 0.15, 200_000
TIMES = 5
MEMORY = 200 * 2**20


@dataclass(frozen=True)
class Looked:
    """An answer: whether of a panel, the seconds of the first look and the mean of those after it, and its bytes."""

    is_panel: bool
    first: float
    later: float
    size: int


def paths() -> dict[str, tuple[str, bool]]:
    """What is asked for, by its name: the address, and whether it is a panel."""
    rule, alert = Rule.objects.get(name=RULE).pk, Alert.objects.filter(state=State.FIRING)[0].pk
    ranged = ["/", "/coverage/", "/providers/", "/tools/", "/cost/"]
    panels = [f"/panels/{board.id}/{panel.id}.json" for board in BOARDS.values() for panel in board.panels]
    found = {f"{page}?range={name}": False for page in ranged for name in RANGES}
    found |= dict.fromkeys(
        ["/alerts/", "/alerts/<alert>/", "/rules/", "/rules/<rule>/", "/rules/<rule>/alerts/"], False
    )
    found |= dict.fromkeys(["/ingestion/", "/prices/", "/explore/"], False)
    found |= {f"{panel}?range={name}": True for panel in panels for name in RANGES}
    return {
        name: (name.replace("<alert>", str(alert)).replace("<rule>", str(rule)), is_panel)
        for name, is_panel in found.items()
    }


def measured(client: Client, world: World) -> dict[str, Looked]:
    """Each answer over a world."""
    fill(world)
    found = {}
    for name, (path, is_panel) in paths().items():
        first, size = ask(client, path)
        found[name] = Looked(is_panel, first, sum(ask(client, path)[0] for _ in range(TIMES)) / TIMES, size)
    return found


def ask(client: Client, path: str) -> tuple[float, int]:
    """What an answer takes of a processor (seconds), and its bytes."""
    before = taken()
    answer = client.get(path)
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status_code}")
    return taken() - before, len(answer.content)


def taken() -> float:
    """Seconds of a processor that this process and its session of Postgres have taken."""
    connection.ensure_connection()
    session = psutil.Process(connection.connection.info.backend_pid).cpu_times()
    return time.process_time() + session.user + session.system


def lines(narrow: dict[str, Looked], wide: dict[str, Looked]) -> list[Measurement]:
    """A line for each time, for each size that is over its bound, and for this process's memory."""
    found = []
    for path, before in narrow.items():
        now = wide[path]
        bound, most = (PANEL_SECONDS, PANEL_BYTES) if now.is_panel else (PAGE_SECONDS, PAGE_BYTES)
        note = f"{before.later:.3f} s with 100; the first look {now.first:.2f} s; {now.size / 1000:,.0f} KB"
        found.append(row(f"10,000 label sets: {path}", now.later, bound, "s of a core", "<= 1", note))
        if now.size > most:
            found.append(row(f"10,000 label sets: {path}, size", now.size, most, "bytes", "<= 1"))
    memory = psutil.Process().memory_info().rss
    return [*found, row("10,000 label sets: the process after all pages", memory, MEMORY, "bytes", "<= 1")]


def main() -> None:
    """Measure and print the lines."""
    Workspace.objects.create(slug=WORKSPACE, name="Wide")
    client = Client(headers={"Host": "localhost"})
    client.force_login(User.objects.create_superuser("bench"))
    print(json.dumps(lines(measured(client, NARROW), measured(client, WIDE))))


if __name__ == "__main__":
    main()
