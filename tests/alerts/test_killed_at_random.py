"""Workers and Postgres sessions that are killed at random points, slot after slot: the groups and the messages are
those of an undisturbed run.

`SLOTS=200 pytest tests/alerts/test_killed_at_random.py` runs the long one.
"""

import datetime as dt
import json
import os
import random
import signal
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

import promql
from alerts.evaluation.tick import tick
from alerts.incidents.collect import flush_due
from alerts.incidents.edits import save_routing
from alerts.models import Delivery, Incident, Member, RuleGroup
from alerts.notify.channels import create_channel
from alerts.notify.claims import due_channels
from alerts.notify.deliveries import send_channel
from alerts.oncall.escalate import escalate_due
from alerts.oncall.models import EscalationPolicy
from alerts.oncall.policies import save_policy
from tests.alerts.scripted_rules import DELAY, gauge, make_rule, minute
from tests.alerts.test_concurrency import committed, queue
from tests.servers import HttpServer

__all__ = ["committed", "queue"]
SLOTS = int(os.environ.get("SLOTS", "10"))
HOSTS = [f"host{number}" for number in range(5)]
# Of the slots' work, the statement at which a process dies at the latest.
STATEMENTS = 60


def script(slots: int) -> promql.Source:
    """Five hosts whose load goes over the threshold and back."""
    chance = random.Random(7)
    series: dict[str, list[float | None]] = {}
    for host in HOSTS:
        value: float = chance.choice([0, 9])
        values: list[float | None] = []
        for _ in range(slots):
            value = chance.choice([0, 9]) if chance.random() < 0.5 else value
            values.append(value)
        series[host] = values
    return gauge(series)


def work(source: promql.Source, slot: int) -> None:
    """What a beat and a worker do in a slot. Where its evaluation was lost it comes again, and messages wait for it, as
    what they say would be of the slot before."""
    now = minute(slot) + DELAY
    tick(now, source)
    if not RuleGroup.objects.filter(evaluated_until=minute(slot)).exists():
        raise SystemExit
    flush_due(now)
    escalate_due(now)
    send_all(now)


def send_all(now: dt.datetime) -> None:
    """Send what is due."""
    for channel in due_channels(now):
        send_channel(channel, lambda: now)


class KilledAt:
    """Kills its own process at a statement, or the session of Postgres that it talks to."""

    def __init__(self, statement: int, *, postgres: bool) -> None:
        self.left = statement
        self.postgres = postgres

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.left -= 1
        if self.left == 0 and self.postgres:
            pid = context["connection"].connection.info.backend_pid
            with connections.create_connection("default").cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        if self.left == 0 and not self.postgres:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)


def in_a_process(job: Callable[[], None], killed: KilledAt | None) -> bool:
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


def build(url: str) -> None:
    """A rule over the hosts, a tree with groups by host and of all, and a policy that escalates."""
    make_rule(name="Load", for_seconds=0)
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
            {"matchers": ["host!="], "receiver": "b", "group_by": ["host"], "group_wait": "0s", "continue": True},
            {"matchers": ["host!="], "receiver": "a"},
        ],
    }
    receivers = [
        {"name": "a", "portal_configs": [{"channel": channels[0].pk}]},
        {"name": "b", "portal_configs": [{"channel": channels[1].pk}, {"escalation": policy.pk}]},
    ]
    save_routing({"route": tree, "receivers": receivers}, by=None, now=minute(-5))


def groups_and_messages(server: HttpServer) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Incidents with their members, messages, and what the receiver has: once per key, as it deduplicates."""
    hosts = {member.alert_id: member.alert.labels["host"] for member in Member.objects.select_related("alert")}
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
        heard = (body["status"], sorted((alert["labels"]["host"], alert["status"]) for alert in body["alerts"]))
        assert received.setdefault(key, heard) == heard, "a repeated message says something else"
    return incidents, messages, received


def forget(server: HttpServer) -> None:
    """Empty what a run has left."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE alerts_incident, alerts_alert, alerts_rule, alerts_rulegroup, alerts_channel,"
            " alerts_routingversion, alerts_escalationpolicy CASCADE"
        )
    server.requests.clear()


def test_killed_at_random_points_groups_and_messages_are_those_of_an_undisturbed_run(
    committed: None, http_server: HttpServer, portal_setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    portal_setting(outbound_private=True)
    # Each slot sends what is due.
    for module in ("alerts.incidents.collect", "alerts.oncall.escalate"):
        monkeypatch.setattr(f"{module}.wake_channels", lambda _: None)
    source, chance, deaths = script(SLOTS), random.Random(SLOTS), 0
    found = []
    for disturbed in (False, True):
        forget(http_server)
        build(http_server.url)
        for slot in range(SLOTS):
            if disturbed:
                killed = KilledAt(chance.randrange(1, STATEMENTS), postgres=chance.random() < 0.4)
                deaths += not in_a_process(lambda slot=slot: work(source, slot), killed)  # type: ignore[misc]
            assert in_a_process(lambda slot=slot: work(source, slot), None)  # type: ignore[misc]
        # What a dead worker had claimed is taken up again.
        for slot in (SLOTS + 2, SLOTS + 4):
            assert in_a_process(lambda slot=slot: send_all(minute(slot)), None)  # type: ignore[misc]
        found.append(groups_and_messages(http_server))
    assert RuleGroup.objects.filter(evaluated_until=minute(SLOTS - 1)).exists()
    assert deaths >= SLOTS / 3
    assert len(found[0][1]) > SLOTS
    assert found[1][0] == found[0][0]
    assert found[1][1] == found[0][1]
    assert found[1][2] == found[0][2]
