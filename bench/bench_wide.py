"""Each page and panel with 10,000 label sets in use, beside the same with 100: Django's client asks in one process, so
a time is the web server's and Postgres's work together."""

from __future__ import annotations

import json
from collections.abc import Callable

from django.contrib.auth.models import User
from django.test import Client

from alerts.models import Alert, Rule, State
from bench.row import Measurement, median_seconds, row
from bench.wide_world import NARROW, RULE, WIDE, WORKSPACE, World, fill
from core.accounts.models import Workspace
from usage.boards.declarations import BOARDS

RANGES = ("24h", "7d", "30d")
PAGE_SECONDS, PAGE_BYTES = 0.1, 150_000
PANEL_SECONDS, PANEL_BYTES = 0.15, 200_000
TIMES = 3


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


def measured(client: Client, world: World) -> dict[str, tuple[bool, float, int]]:
    """Of each answer over a world whether it is a panel, its seconds and its bytes."""
    fill(world)
    found = {}
    for name, (path, is_panel) in paths().items():
        sizes: list[int] = []
        [seconds] = median_seconds(ask(client, path, sizes), times=TIMES)
        found[name] = (is_panel, seconds, sizes[-1])
    return found


def ask(client: Client, path: str, sizes: list[int]) -> Callable[[], None]:
    """A request that notes the size of its answer."""

    def action() -> None:
        answer = client.get(path)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code}")
        sizes.append(len(answer.content))

    return action


def lines(narrow: dict[str, tuple[bool, float, int]], wide: dict[str, tuple[bool, float, int]]) -> list[Measurement]:
    """A line for each time and for each size that is over its bound."""
    found = []
    for path, before in narrow.items():
        is_panel, seconds, size = wide[path]
        bound, most = (PANEL_SECONDS, PANEL_BYTES) if is_panel else (PAGE_SECONDS, PAGE_BYTES)
        note = f"{before[1]:.3f} s with 100 label sets; {size / 1000:,.0f} KB"
        found.append(row(f"10,000 label sets: {path}", seconds, bound, "s", "<= 1", note))
        if size > most:
            found.append(row(f"10,000 label sets: {path}, size", size, most, "bytes", "<= 1"))
    return found


def main() -> None:
    """Measure and print the lines."""
    Workspace.objects.create(slug=WORKSPACE, name="Wide")
    client = Client(headers={"Host": "localhost"})
    client.force_login(User.objects.create_superuser("bench"))
    print(json.dumps(lines(measured(client, NARROW), measured(client, WIDE))))


if __name__ == "__main__":
    main()
