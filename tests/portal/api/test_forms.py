"""Two operators do not overwrite each other in the pages' forms."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import Channel, Rule, Runbook, Schedule
from alerts.rules.edits import RuleEdit, update_rule
from alerts.runbooks.edits import save_version
from tests.people import People, browser_of
from tests.portal.api.world import World
from usage.models import Budget, Price

RULE_FORM = {"expr": "up > $threshold", "threshold": "7", "severity": "warning", "for_seconds": "1m"}


FORMS = {
    "rule": ("/rules/{alerting-rules}/", RULE_FORM),
    "channel": ("/channels/{channels}/edit/", {"name": "hook"}),
    "runbook": ("/runbooks/{runbooks}/edit/", {"text": "Mine"}),
    "price": (
        "/prices/{prices}/",
        {"provider": "p", "model": "m", "input_usd": "5", "output_usd": "6", "valid_from": "2026-01-01 00:00"},
    ),
    "schedule": ("/on-call/schedules/{schedules}/edit/", {"name": "support", "time_zone": "Asia/Tokyo"}),
    "budget": ("/cost/budgets/{budgets}/", {"team": "payments", "limit_usd": "77", "period": "day"}),
}


def meanwhile(kind: str, world: World) -> None:
    """What the other operator does."""
    if kind == "rule":
        rule = Rule.objects.get(pk=world.places["alerting-rules"])
        update_rule(rule, RuleEdit(title="Meanwhile"), by=None, now=timezone.now())
    elif kind == "channel":
        channel = Channel.objects.get(pk=world.places["channels"])
        channel.send_resolved = False
        channel.save()
    elif kind == "runbook":
        runbook = Runbook.objects.get(slug=world.places["runbooks"])
        save_version(runbook, "Meanwhile", by=None, now=timezone.now())
    elif kind == "price":
        Price.objects.filter(pk=world.places["prices"]).update(output_usd=9)
    elif kind == "schedule":
        Schedule.objects.filter(pk=world.places["schedules"]).update(time_zone="Europe/Berlin")
    else:
        Budget.objects.filter(pk=world.places["budgets"]).update(limit_usd=9)


def edition_in(client: Client, path: str) -> str:
    found = re.search(r'name="edition" value="(\w+)"', client.get(path).content.decode())
    assert found, path
    return found[1]


@pytest.mark.parametrize("kind", FORMS)
def test_the_second_who_saves_a_form_is_asked_and_may_replace_it(kind: str, people: People, world: World) -> None:
    address, form = FORMS[kind]
    path = re.sub(r"\{([\w-]+)\}", lambda name: str(world.places[name[1]]), address)
    client = browser_of(people.admin)
    edition = edition_in(client, path)
    meanwhile(kind, world)
    late = client.post(path, {**form, "edition": edition})
    assert late.status_code in (200, 422)
    assert "Somebody else changed this" in late.content.decode()
    again = re.search(r'name="edition" value="(\w+)"', late.content.decode())
    assert again
    assert again[1] != edition
    assert client.post(path, {**form, "edition": again[1]}).status_code == 302
