"""A night, played in a browser: an incident is notified once, escalated, acknowledged from its message,
snoozed, silenced, resolved, written up."""

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from alerts.incidents.collect import flush_due
from alerts.incidents.routing.edits import save_routing
from alerts.models import Delivery, EscalationPolicy, Incident, Schedule
from alerts.notify.channels import create_channel
from alerts.notify.claims import due_channels
from alerts.notify.deliveries import send_channel
from alerts.oncall.escalate import escalate_due
from alerts.oncall.means import add_means
from alerts.oncall.policies import save_policy
from alerts.oncall.schedules import add_override, save_schedule
from alerts.runbooks.edits import create_runbook
from core.accounts.models import Workspace
from tests.alerts.incidents.world import START, World
from tests.servers import HttpServer

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def portal_setting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change settings of the portal for the test."""

    def change(**values: Any) -> None:
        monkeypatch.setattr(settings, "PORTAL", dataclasses.replace(settings.PORTAL, **values))

    return change


def send() -> None:
    """The worker's beat: what is due now is flushed, escalated and sent."""
    now = timezone.now()
    flush_due(now)
    escalate_due(now)
    for channel_id in due_channels(now):
        send_channel(channel_id, timezone.now)


def test_a_night(
    page: Page,
    browser: Browser,
    live_server: LiveServer,
    http_server: HttpServer,
    portal_setting: Callable[..., None],
) -> None:
    portal_setting(outbound_private=True, base_url=live_server.url)
    now = timezone.now()
    Workspace.objects.get_or_create(slug="production", defaults={"name": "Production"})
    mara, jon = (User.objects.create_user(name, f"{name}@example.org") for name in ("mara", "jon"))
    for person in (mara, jon):
        add_means(person, "ntfy", {"topic": person.username, "url": http_server.url})
    schedule = save_schedule(Schedule(), name="support", time_zone="UTC", calendar="")
    add_override(schedule, mara, now - HOUR, now + 9 * HOUR)
    world = World(None)
    team = create_channel("ntfy", "team", {"topic": "team", "url": http_server.url})
    steps = [
        {"delay_seconds": 0, "targets": [f"schedule:{schedule.pk}"]},
        {"delay_seconds": 300, "targets": [f"person:{jon.pk}"]},
    ]
    policy = save_policy(EscalationPolicy(), {"name": "support", "steps": steps})
    receiver = {"name": "a", "portal_configs": [{"channel": team.pk}, {"escalation": policy.pk}]}
    save_routing({"route": {"receiver": "a"}, "receivers": [receiver]}, by=None, now=START)
    author = User.objects.get(username="admin")
    world.rule.runbook = create_runbook("tools", "Tools", "1. Status page?\n2. Deploys", by=author, now=START)
    world.rule.save()

    # Notified once, and escalated: to who is on call, then to the lead.
    world.fire(0, "x", severity="critical")
    Delivery.objects.all().delete()
    Incident.objects.update(flush_at=now, news_at=now, anchor=None, opened_at=now)
    send()
    by_topic = [json.loads(request.body)["topic"] for request in http_server.requests]
    assert sorted(by_topic) == ["mara", "team"]
    incident = Incident.objects.get()
    incident.escalations.update(next_at=now)
    send()
    assert json.loads(http_server.requests[-1].body)["topic"] == "jon"

    # Acknowledged from the message's link, by somebody without a session.
    message = json.loads(http_server.requests[-1].body)
    link = next(action["url"] for action in message["actions"] if action["label"] == "Acknowledge or snooze")
    phone = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    phone.goto(link)
    expect(phone.get_by_role("heading", level=1)).to_be_visible()
    assert Incident.objects.get().acknowledged_at is None
    phone.get_by_role("button", name="Acknowledge").click()
    expect(phone.get_by_text("Acknowledged by jon")).to_be_visible()
    phone.context.close()
    count = len(http_server.requests)
    send()
    assert len(http_server.requests) == count

    # The incident's page: what happened, a step ticked, snoozed, silenced.
    page.goto(f"/incidents/{incident.pk}/")
    expect(page.locator(".banner")).to_contain_text("acknowledged by jon")
    expect(page.get_by_role("region", name="Escalation")).to_contain_text("mara (on call for support)")
    page.get_by_role("checkbox", name="Step 1").click()
    expect(page.get_by_role("checkbox", name="Step 1")).to_have_attribute("aria-checked", "true")
    page.get_by_label("Snooze for").select_option("1h")
    page.get_by_role("button", name="Snooze").click()
    expect(page.locator(".banner")).to_contain_text("snoozed until")
    page.get_by_role("link", name="Silence…").click()
    page.get_by_label("Matchers").fill("name=x")
    page.get_by_label("Why").fill("waiting for the provider")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_text("waiting for the provider")).to_be_visible()

    # Resolved by hand: everybody who was notified hears of it. Written up.
    page.goto(f"/incidents/{incident.pk}/")
    page.get_by_label("How it ended").fill("the provider's status page: fixed at 4")
    page.get_by_role("button", name="Resolve", exact=True).click()
    expect(page.locator(".banner")).to_contain_text("fixed at 4")
    send()
    ended = [json.loads(request.body) for request in http_server.requests[count:]]
    assert sorted(body["topic"] for body in ended) == ["jon", "mara", "team"]
    assert all(body["title"].startswith("Resolved: ") for body in ended)
    with page.expect_download() as download:
        page.get_by_role("link", name="Write-up").click()
    text = download.value.path().read_text()
    for line in (
        "the provider's status page: fixed at 4",
        "[x] Status page?",
        "**Acknowledged** by jon",
        "**Snoozed**",
    ):
        assert line in text, line
    assert re.search(r"\*\*Escalated\*\* step 2 of support: jon", text)
