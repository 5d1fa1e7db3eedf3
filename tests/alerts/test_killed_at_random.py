"""Web processes, beats, workers, sessions of Postgres and Postgres itself are killed at random points, slot after slot:
the groups and the messages are those of an undisturbed run.

`SLOTS=200 pytest tests/alerts/test_killed_at_random.py` runs the long one.
"""

import datetime as dt
import json
import mmap
import os
import random
import signal
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from django.db import connection, connections

from alerts.evaluation.series import portal_source
from alerts.evaluation.tick import tick
from alerts.incidents.collect import flush_due
from alerts.incidents.routing.edits import save_routing
from alerts.models import Delivery, Incident, Member, RuleGroup
from alerts.notify.channels import create_channel
from alerts.notify.claims import due_channels
from alerts.notify.deliveries import send_channel
from alerts.oncall.escalate import escalate_due
from alerts.oncall.models import EscalationPolicy
from alerts.oncall.policies import save_policy
from core.accounts.keys import Caller
from core.accounts.models import Workspace
from tests.alerts.scripted_rules import DELAY, make_rule, minute
from tests.alerts.test_concurrency import queue
from tests.own_postgres import OwnPostgres, own_postgres
from tests.servers import HttpServer, wait_until
from usage.ingest import spool
from usage.ingest.pipeline import drain, ingest

__all__ = ["queue"]
SLOTS = int(os.environ.get("SLOTS", "10"))
HOSTS = [f"host{number}" for number in range(5)]
VICTIMS = ("web", "beat", "worker", "session", "postgres")
# Of a slot's work and of a request, the statement at which a process dies at the latest.
STATEMENTS = {"web": 12, "worker": 90}
EVENTS = uuid.UUID("3f0c6f0e-8f4e-4e39-9f34-6f1f0b0a2f11")


def script(slots: int) -> list[dict[str, int]]:
    """Slot by slot the load of each of the hosts, which goes over the threshold and back."""
    chance = random.Random(7)
    load = {host: chance.choice([0, 9]) for host in HOSTS}
    found = []
    for _ in range(slots):
        load = {host: chance.choice([0, 9]) if chance.random() < 0.5 else value for host, value in load.items()}
        found.append(load)
    return found


def request(caller: Caller, slot: int, load: dict[str, int]) -> None:
    """What a web process does in a slot: it takes the hosts' loads. A client that got no answer sends them again."""
    records = [
        {
            "kind": "gauge",
            "metric": "gateway_active_connections",
            "labels": {"gateway_id": host},
            "value": value,
            "at": minute(slot).timestamp(),
            "event_id": str(uuid.uuid5(EVENTS, f"{slot}/{host}")),
        }
        for host, value in load.items()
    ]
    ingest(json.dumps(records).encode(), caller, minute(slot).timestamp() + 1)


def evaluate(slot: int) -> None:
    """What a worker does when a slot is due."""
    drain()
    tick(minute(slot) + DELAY, portal_source(None))


def notify(slot: int, until: int = 4) -> None:
    """What workers do in so many quarters of the minute until the next one."""
    for now in (minute(slot) + number * DELAY for number in range(1, until + 1)):
        flush_due(now)
        escalate_due(now)
        send_all(now)


def work(slot: int) -> None:
    """All that workers do in a slot. Where its evaluation was lost and nobody died of that, another tick comes soon:
    before messages wait no longer for it (LATE)."""
    evaluate(slot)
    evaluated = RuleGroup.objects.filter(evaluated_until=minute(slot)).exists()
    notify(slot, 4 if evaluated else 2)


def send_all(now: dt.datetime) -> None:
    """Send what is due."""
    for channel in due_channels(now):
        send_channel(channel, lambda: now)


class KilledAt:
    """At a statement it kills its own process, the session of Postgres that it talks to, or Postgres."""

    def __init__(self, statement: int, victim: str, postgres: OwnPostgres) -> None:
        self.left = statement
        self.done = mmap.mmap(-1, 1)  # shared with the process that dies
        self.victim = victim
        self.postgres = postgres

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            self.done[0] = 1
            if self.victim == "postgres":
                self.postgres.kill()
            elif self.victim == "session":
                pid = context["connection"].connection.info.backend_pid
                with connections.create_connection("default").cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)


def in_a_process(job: Callable[[], None], killed: KilledAt | None = None) -> bool:
    """Run the job in a forked process; whether it came to its end."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            if killed is None:
                job()
            else:
                with connection.execute_wrapper(killed):
                    job()
        except BaseException:  # its end is what is looked at
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


def disturb(job: Callable[[], None], most: int, victim: str, chance: random.Random, postgres: OwnPostgres) -> bool:
    """Run a job in which somebody is killed at a random point; whether that was before its end."""
    killed = KilledAt(chance.randrange(1, most), victim, postgres)
    ended = in_a_process(job, killed)
    if victim == "postgres" and killed.done[0]:
        postgres.restart()
        return True
    # Postgres hears of the death a moment later. Until then a row that the dead had locked is passed over, which in
    # the test's time, that runs ahead, would be half a minute.
    wait_until(lambda: not other_sessions(), what="the end of the dead one's session")
    return not ended


def other_sessions() -> int:
    """How many there are of others in the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def build(url: str) -> Caller:
    """A rule over the hosts, a tree with groups by host and of all, and a policy that escalates; who sends records."""
    RuleGroup.objects.update(evaluated_until=minute(100_000))
    make_rule("gateway_active_connections > $threshold", name="Load", for_seconds=0)
    channels = [create_channel("webhook", name, {"url": f"{url}/{name}"}) for name in ("a", "b", "pager")]
    policy = save_policy(
        EscalationPolicy(),
        {"name": "ops", "steps": [{"delay_seconds": 120, "severities": [], "targets": [f"channel:{channels[2].pk}"]}]},
    )
    tree = {
        "receiver": "a",
        "group_by": ["alertname"],
        "group_wait": "30s",
        "group_interval": "2m",
        "repeat_interval": "7m",
        "routes": [
            {
                "matchers": ["gateway_id!="],
                "receiver": "b",
                "group_by": ["gateway_id"],
                "group_wait": "0s",
                "continue": True,
            },
            {"matchers": ["gateway_id!="], "receiver": "a"},
        ],
    }
    receivers = [
        {"name": "a", "portal_configs": [{"channel": channels[0].pk}]},
        {"name": "b", "portal_configs": [{"channel": channels[1].pk}, {"escalation": policy.pk}]},
    ]
    save_routing({"route": tree, "receivers": receivers}, by=None, now=minute(-5))
    workspace = Workspace.objects.create(slug="load", name="Load")
    return Caller(1, workspace.pk, workspace.slug, frozenset({"ingest"}))


def groups_and_messages(server: HttpServer) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Incidents with their members, messages, and what the receiver has: once per key, as it deduplicates."""
    hosts = {member.alert_id: member.alert.labels["gateway_id"] for member in Member.objects.select_related("alert")}
    rows = list(Incident.objects.prefetch_related("members").order_by("opened_at", "key", "receiver"))
    number = {one.pk: place for place, one in enumerate(rows)}
    incidents = [
        (one.opened_at, one.closed_at, one.key, one.receiver, one.notifications,
         sorted(hosts[member.alert_id] for member in one.members.all()))
        for one in rows
    ]  # fmt: skip
    messages = sorted(
        (number[one.incident_id or 0], one.number, one.channel_name, one.created_at.isoformat(), one.why, one.state,
         sorted(hosts[pk] for pk in one.firing), sorted(hosts[pk] for pk in one.resolved))
        for one in Delivery.objects.all()
    )  # fmt: skip
    received: dict[str, Any] = {}
    for request in server.requests:
        body = json.loads(request.body)
        _, incident, count = request.headers["idempotency-key"].split("-")
        key = f"{request.path} {number[int(incident)]}-{count}"
        heard = (body["status"], sorted((alert["labels"]["gateway_id"], alert["status"]) for alert in body["alerts"]))
        assert received.setdefault(key, heard) == heard, "a repeated message says something else"
    return incidents, messages, received


def play(postgres: OwnPostgres, server: HttpServer, chance: random.Random | None) -> Counter[str]:
    """Play all slots, disturbed by chance; how often each victim died before its work was done."""
    caller, deaths = build(server.url), Counter[str]()
    for slot, load in enumerate(script(SLOTS)):
        victim = chance.choice(VICTIMS) if chance else ""

        def taking(slot: int = slot, load: dict[str, int] = load) -> None:
            request(caller, slot, load)

        def working(slot: int = slot) -> None:
            work(slot)

        in_web = chance is not None and (victim == "web" or (victim != "worker" and chance.random() < 0.3))
        if chance and in_web and victim != "beat":
            deaths[victim] += disturb(taking, STATEMENTS["web"], victim, chance, postgres)
        assert in_a_process(taking)
        if chance and victim == "beat":
            # The task that evaluates was not sent yet: for no longer than messages wait for it (LATE).
            deaths[victim] += in_a_process(lambda slot=slot: notify(slot, 2))  # type: ignore[misc]
        elif chance and not in_web:
            deaths[victim] += disturb(working, STATEMENTS["worker"], victim, chance, postgres)
        assert in_a_process(working)
    # What a dead worker had claimed is taken up again.
    for slot in (SLOTS + 2, SLOTS + 4):
        assert in_a_process(lambda slot=slot: send_all(minute(slot)))  # type: ignore[misc]
    assert RuleGroup.objects.filter(evaluated_until=minute(SLOTS - 1)).exists()
    assert spool.files() == []
    return deaths


@pytest.mark.long
@pytest.mark.usefixtures("tables", "queue")
def test_killed_at_random_points_groups_and_messages_are_those_of_an_undisturbed_run(
    queue: Celery, http_server: HttpServer, portal_setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    portal_setting(outbound_private=True)
    # Each slot sends what is due.
    for module in ("alerts.incidents.collect", "alerts.oncall.escalate"):
        monkeypatch.setattr(f"{module}.wake_channels", lambda _: None)
    found, deaths = [], Counter[str]()
    for chance in (None, random.Random(SLOTS)):
        http_server.requests.clear()
        with own_postgres() as postgres:
            deaths = play(postgres, http_server, chance)
            found.append(groups_and_messages(http_server))
    assert sum(deaths.values()) >= SLOTS / 3, deaths
    assert len(found[0][1]) > SLOTS
    assert found[1][0] == found[0][0]
    assert found[1][1] == found[0][1]
    assert found[1][2] == found[0][2]
