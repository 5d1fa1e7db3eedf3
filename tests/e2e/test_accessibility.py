"""axe-core over every page, in both themes: what WCAG 2.2 AA asks of markup, names, roles and contrast."""

from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page

from alerts.incidents.routing.edits import save_routing
from alerts.incidents.silences import set_silence
from alerts.models import Alert, Channel, Escalation, EscalationPolicy, Incident, Member, Schedule
from alerts.notify.links import token_of
from alerts.oncall.policies import save_policy
from alerts.oncall.schedules import add_override, add_rotation, save_schedule
from alerts.routing.matchers import parse_matchers
from core.accounts.invitations import invite
from core.accounts.models import Workspace
from telemetry.samples import demo_traces
from tests.e2e.test_pages import open_page, world
from tests.records import scalar, settle_all

__all__ = ["world"]
OPTIONS = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
QUERY = "sum by (model) (rate(llm_tokens_total[5m]))"
PATHS = (
    "/",
    "/coverage/",
    "/providers/",
    "/tools/",
    "/cost/",
    "/alerts/",
    "/alerts/{alert}/",
    "/rules/",
    "/rules/{rule}/",
    "/rules/new/",
    "/incidents/",
    "/incidents/{incident}/",
    "/notifications/",
    "/notifications/?labels=alertname=Test, team=a",
    "/notifications/edit/",
    "/on-call/",
    "/on-call/schedules/{schedule}/",
    "/on-call/schedules/new/",
    "/on-call/policies/new/",
    "/on-call/me/",
    "/on-call/me/new/ntfy/",
    "/act/{token}/",
    "/silences/",
    "/silences/new/?matchers=alertname=~High.*",
    "/silences/recurring/new/",
    "/channels/",
    "/channels/new/slack/",
    "/runbooks/",
    "/runbooks/usage-not-recorded/",
    "/runbooks/usage-not-recorded/edit/",
    "/explore/",
    f"/explore/?q={QUERY}&q=sum(llm_provider_request_seconds_sum)&q=rate(x[5m]) by (y)",
    f"/explore/?q={QUERY}&tab=table",
    f"/explore/?q={QUERY}&tab=meaning",
    f"/explore/?q={QUERY}&tab=history",
    "/send-data/",
    "/traces/",
    "/traces/{trace}/",
    "/traces/{trace}/records/",
    "/traces/{trace}/cost/",
    "/traces/compare/?id={trace}&id={trace}",
    "/traces/?q=model=gpt-4o&q=duration>5",
    "/traces/00000000000000000000000000000001/",
    "/logs/",
    "/logs/?q=severity=error",
    "/ingestion/",
    "/keys/",
    "/keys/new/",
    "/prices/",
    "/audit/",
    "/account/",
    "/account/2fa/",
    "/account/sessions/",
    "/people/",
    "/people/invite/",
    "/people/{person}/",
    "/people/workspaces/new/",
    "/settings/",
    "/password/",
    "/nowhere/",
)


ROUTING = {
    "route": {"receiver": "a", "group_by": ["alertname"], "routes": [{"matchers": ["team=a"], "continue": True}]},
    "receivers": [{"name": "a"}],
}


def faults(page: Page) -> list[str]:
    """Each rule of axe that the page breaks, with the elements that do."""
    found: list[dict[str, Any]] = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node['any'][0]['message'][:120] if node['any'] else ''}"
        for one in found
        for node in one["nodes"]
    ]


def test_no_page_breaks_a_rule_of_axe_in_either_theme(
    page: Page, complaints: list[str], world: Alert, subtests: pytest.Subtests
) -> None:
    now = timezone.now()
    demo_traces.backfill(now - timedelta(minutes=3), now, now)
    settle_all()
    trace = scalar("SELECT trace_id FROM telemetry_trace ORDER BY spans DESC, trace_id LIMIT 1").hex
    admin = User.objects.get(is_superuser=True)
    incident = Incident.objects.create(digest="d", key="{}", opened_at=now, group_labels={"alertname": "Test"})
    Member.objects.create(incident=incident, alert=world)
    schedule = save_schedule(Schedule(), name="support", time_zone="UTC", calendar="")
    add_override(schedule, admin, now - timedelta(hours=1), now + timedelta(hours=1))
    add_rotation(schedule, [admin], first_day=now.date(), handover=now.time())
    steps = [{"targets": [f"schedule:{schedule.pk}"]}, {"targets": [f"person:{admin.pk}"], "delay_seconds": 60}]
    policy = save_policy(EscalationPolicy(), {"name": "support", "steps": steps})
    Escalation.objects.create(incident=incident, policy=policy, policy_name="support", steps=policy.steps, next_at=now)
    save_routing(ROUTING, by=None, now=now)
    set_silence(parse_matchers("a=b"), now, now + timedelta(hours=1), created_by="ada", comment="work", now=now)
    for path in PATHS:
        with subtests.test(path):
            page.emulate_media(color_scheme="light")
            page.set_viewport_size({"width": 1440, "height": 960})
            filled = {
                "alert": world.pk,
                "rule": world.rule_id,
                "trace": trace,
                "person": admin.pk,
                "incident": incident.pk,
                "schedule": schedule.pk,
                "token": token_of(incident.pk, Channel.objects.get().pk),
            }
            open_page(page, path.format(**filled))
            assert faults(page) == []
            page.emulate_media(color_scheme="dark")
            page.set_viewport_size({"width": 390, "height": 844})
            assert faults(page) == []
    complaints.clear()  # one of the pages does not exist


def test_the_pages_before_one_is_signed_in_break_no_rule_of_axe_either(
    page: Page, context: BrowserContext, subtests: pytest.Subtests
) -> None:
    admin = User.objects.get(is_superuser=True)
    workspace = Workspace.objects.create(slug="new", name="New")
    _, token = invite(workspace, "viewer", "ada@example.org", by=admin, now=timezone.now())
    context.clear_cookies()
    for path in ("/login/", f"/join/{token}/"):
        with subtests.test(path.split("/")[1]):
            page.emulate_media(color_scheme="light")
            page.set_viewport_size({"width": 1440, "height": 960})
            page.goto(path)
            assert page.locator("form").count() > 0
            assert faults(page) == []
            page.emulate_media(color_scheme="dark")
            page.set_viewport_size({"width": 390, "height": 844})
            assert faults(page) == []
