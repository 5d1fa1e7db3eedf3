"""200 rules in one tick, reads from Postgres and all writes in: at most 1 s of one core.

The rules are copies of the defaults: over a day of calls of 60 models and a quarter of an hour of alerts. Once
the copies differ in their threshold only, as teams tune them; once each has a selector of its own, so that nothing can
be shared. The baseline is one second. Counted is the processor time of the tick's process and of its Postgres session
together, which take turns; the note gives the wall clock.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import re
import statistics
import time
import uuid
from itertools import cycle, islice
from pathlib import Path

from django.db import connection
from django.utils import timezone

from alerts.evaluation.series import portal_source
from alerts.evaluation.tick import tick
from alerts.models import Alert, Rule, RuleGroup
from alerts.rules.defaults import GROUPS
from bench.row import Measurement, row
from core.accounts import keys
from core.accounts.models import Workspace
from usage.ingest import pipeline
from usage.store import downsampling

RULES, MODELS, TICKS = 200, 60, 5
CALLS_APART = 120
BATCH = 5000
METRIC = re.compile(r"(\b\w+_(?:total|bucket|usd|limit)\b)(\{)?")


def calls(draw: random.Random, now: float) -> list[dict[str, object]]:
    """A day of calls, one per model every two minutes; one in twenty has no token counts or fails."""
    records: list[dict[str, object]] = []
    for seconds in range(CALLS_APART, 86_000, CALLS_APART):
        for number in range(MODELS):
            fails, unrecorded = draw.random() < 0.05, draw.random() < 0.05
            records.append(
                {
                    "kind": "llm_call",
                    "event_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
                    "at": round(now - seconds + draw.random() * CALLS_APART, 3),
                    "component": ("workflow", "task", "agent")[number % 3],
                    "provider": f"provider{number % 5}",
                    "model": f"model{number}",
                    "team": f"team{number % 4}",
                    "outcome": "error" if fails else "success",
                    "error_type": "server_error" if fails else None,
                    "prompt_tokens": None if unrecorded or fails else draw.randrange(10, 4000),
                    "completion_tokens": None if unrecorded or fails else draw.randrange(1, 900),
                    "cost_usd": 0.01,
                    "duration_seconds": round(draw.lognormvariate(0, 1), 4),
                }
            )
    return [{name: value for name, value in record.items() if value is not None} for record in records]


def store_calls() -> int:
    """Put the day's calls where the portal has them; how many."""
    workspace = Workspace.objects.create(slug="bench", name="Bench")
    key, _ = keys.create_key("bench", workspace, ["ingest"], rate=0)
    caller = keys.Caller(key.pk, workspace.pk, workspace.slug, frozenset(["ingest"]))
    now = time.time()
    records = calls(random.Random(1), now)
    for start in range(0, len(records), BATCH):
        answer = pipeline.ingest(json.dumps(records[start : start + BATCH]).encode(), caller, time.time())
        if answer.spooled or answer.rejected:
            raise SystemExit(f"a batch was not stored: {answer}")
    while downsampling.downsample(timezone.now()):
        pass
    return len(records)


def own_selector(expr: str, copy: int) -> str:
    """The expression, each of its selectors with a matcher that no other copy has and every series passes."""
    return METRIC.sub(lambda found: f'{found[1]}{{copy!="{copy}"' + (", " if found[2] else "}"), expr)


def make_rules(own_selectors: bool) -> None:
    """Copies of the default rules, each in its group, with selectors of their own or without."""
    Alert.objects.all().delete()
    Rule.objects.all().delete()
    RuleGroup.objects.all().delete()
    rows = {group.name: RuleGroup.objects.create(name=group.name, interval_seconds=60) for group in GROUPS}
    defaults = [(rows[group.name], position, rule) for group in GROUPS for position, rule in enumerate(group.rules)]
    for number, (group, position, rule) in enumerate(islice(cycle(defaults), RULES)):
        copy = number // len(defaults)
        Rule.objects.create(
            group=group,
            position=position,
            name=f"{rule.name} {copy}",
            expr=own_selector(rule.expr, copy) if own_selectors else rule.expr,
            threshold=rule.threshold * (1 + copy / 10),
            severity=rule.severity,
            annotations=rule.annotations,
        )


def core_seconds(backend: int) -> float:
    """Processor time so far, of this process and of the Postgres session with that process id."""
    fields = Path(f"/proc/{backend}/stat").read_text().rsplit(")", 1)[1].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(name: str, own_selectors: bool) -> Measurement:
    """Core seconds of the median of some ticks, a minute apart, the first of which raises the alerts."""
    make_rules(own_selectors)
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = int(cursor.fetchone()[0])
    seconds, wall = [], []
    for number in range(TICKS):
        at = now - dt.timedelta(minutes=TICKS - number)
        started, clock = core_seconds(backend), time.perf_counter()
        tick(at, portal_source(None))
        seconds.append(core_seconds(backend) - started)
        wall.append(time.perf_counter() - clock)
    broken = Rule.objects.exclude(health="ok").first()
    if broken is not None:
        raise SystemExit(f"{broken.name} was not evaluated: {broken.last_error}")
    note = (
        f"{Alert.objects.count()} alerts, median of {TICKS} ticks, the slowest {max(seconds):.2f}, {max(wall):.2f} s by"
        " the clock"
    )
    return row(name, statistics.median(seconds), 1.0, "s", "<= 1", note)


def main() -> None:
    """Measure and print the lines."""
    store_calls()
    print(
        json.dumps(
            [
                measure(f"{RULES} rules in one tick, thresholds differ", own_selectors=False),
                measure(f"{RULES} rules in one tick, selectors differ", own_selectors=True),
            ]
        )
    )


if __name__ == "__main__":
    main()
