"""Every page of the table of URLs is tried by people of two workspaces and by visitors: nothing of the one is shown to
the other. Whatever belongs to the one workspace has the word `zebra` in its names."""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from alerts.incidents.routing.alertmanager_file import import_file
from alerts.models import Alert, Channel, Delivery, EscalationPolicy, Rule, Runbook, Schedule, Silence
from alerts.oncall.schedules import add_override, add_rotation
from core.accounts.models import ApiKey, Workspace
from tests.people import People, browser_of, make_people
from tests.portal.api.world import make_world
from usage.models import Budget, DeadLetter, Dimension

SECRET = "zebra"
# The APIs have a table of their own; allauth's pages and Django's admin know nothing of workspaces.
LEFT_OUT = ("api/", "v1/", "otlp/", "admin/", "account/2fa/", "account/3rdparty/", "account/social/", "account/oidc/")
ALLAUTH = re.compile(r"(account|mfa|socialaccount|usersessions|openid)_|None$")
# For everybody, or for who has the link; `metrics` for a Prometheus server, which a token can be asked of.
OPEN = {"login", "logout", "metrics", "incident-act", "slack-interactive", "schedule-feed", "join"}
# Pages of objects that are not one workspace's: to be seen by everybody with a login.
SHARED = {"panel-annotations", "panel-figure", "panel-data", "price-edit", "price-delete", "channel-new", "means-new"}
SHARED |= {"rule-group", "rule-group-delete", "logs-download"}
# What an admin of a workspace sees: to others the page itself is refused.
OF_ADMINS = {"people", "invite", "person", "person-change", "invitation-withdraw", "workspace", "workspace-new"}
OF_THE_PLATFORM = {"price-new", "price-edit", "rule-group", "routing-edit", "routing-export"}
# Nobody has such a link, batch, line or span.
NOT_THERE = {
    "incident-act",
    "join",
    "schedule-feed",
    "receipt-page",
    "log-around",
    "log-content",
    "trace",
    "trace-span",
}
# What viewers may send: of themselves, and what only reads.
OF_ONESELF = {"account", "password_change", "confirm", "explore-forget", "explore-check", "means-new"}


@dataclass(frozen=True)
class Page:
    """A page by its name, its address filled with objects of the secret workspace."""

    name: str
    path: str
    is_of_object: bool


@pytest.fixture
def people(db: None) -> People:
    """The usual ones, in a workspace with a secret name."""
    found = make_people()
    Workspace.objects.filter(pk=found.production.pk).update(slug=SECRET, name="Zebra")
    for name in ("owner", "teammate"):
        User.objects.filter(username=name).update(username=f"{SECRET}-{name}", email=f"{name}@zebra.example.org")
    return replace(
        found,
        production=Workspace.objects.get(slug=SECRET),
        owner=User.objects.get(username=f"{SECRET}-owner"),
        teammate=User.objects.get(username=f"{SECRET}-teammate"),
    )


@pytest.fixture
def pages(people: People) -> list[Page]:
    """Every page, with an object of the workspace where it needs one."""
    places = make_world(people).places
    for model, fields in (
        (Rule, ("name", "title")),
        (Channel, ("name",)),
        (Runbook, ("title", "slug")),
        (Schedule, ("name",)),
        (EscalationPolicy, ("name",)),
        (Budget, ("team",)),
        (DeadLetter, ("error",)),
        (ApiKey, ("name",)),
    ):
        model.objects.filter(workspace=people.production).update(**dict.fromkeys(fields, "zebra-thing"))
    Alert.objects.update(annotations={"summary": "a zebra is late"})
    Delivery.objects.update(channel_name="zebra-thing")
    Silence.objects.update(comment="the zebra rests", created_by=people.owner.username)
    labels = {"workspace": SECRET, "team": "zebras", "model": "zebra-model", "provider": "zebra-provider"}
    Dimension.objects.update(labels=labels)
    route = 'route: {receiver: all, routes: [{matchers: [workspace="zebra"], receiver: zebra-team}]}'
    import_file(f"{route}\nreceivers: [{{name: all}}, {{name: zebra-team}}]", by=None, now=timezone.now())
    schedule, now = Schedule.objects.get(pk=places["schedules"]), timezone.now()
    rotation = add_rotation(schedule, [people.owner], first_day=dt.date(2026, 1, 5), handover=dt.time(9))
    override = add_override(schedule, people.teammate, now, now + dt.timedelta(days=1))
    found = {
        "board_id": "coverage",
        "panel_id": "coverage",
        "budget_id": places["budgets"],
        "label_rule_id": places["label-rules"],
        "receipt_id": places["receipts"],
        "letter_id": places["dead-letters"],
        "key_id": places["keys"],
        "price_id": places["prices"],
        "view_id": places["saved-views"],
        "trace_id": places["traces"],
        "span_id": "5f2d5f2d5f2d5f2d",
        "place": "none",
        "form": "ndjson",
        "alert_id": places["alert-episodes"],
        "group_id": places["rule-groups"],
        "rule_id": places["alerting-rules"],
        "version": 1,
        "kind": "webhook",
        "channel_id": places["channels"],
        "template_id": places["message-templates"],
        "delivery_id": places["deliveries"],
        "incident_id": places["incidents"],
        "silence_id": places["silences"],
        "recurring_id": places["recurring-silences"],
        "schedule_id": schedule.pk,
        "rotation_id": rotation.pk,
        "override_id": override.pk,
        "policy_id": places["escalation-policies"],
        "slug": "zebra-thing",
        "number": 1,
        "user_id": people.teammate.pk,
        "invitation_id": places["invitations"],
        "token": "none",
    }
    special = {"workspace": {"slug": SECRET}, "means-remove": {"channel_id": places["means"]}}
    special["means-test"] = special["means-remove"]
    return [
        Page(name, _filled(route, {**found, **special.get(name, {})}), "<" in route)
        for name, route in _routes(get_resolver().url_patterns)
        if not ALLAUTH.match(name)
    ]


def _routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if route.startswith(LEFT_OUT):
            continue
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        else:
            yield str(pattern.name), route


def _filled(route: str, places: dict[str, Any]) -> str:
    return "/" + re.sub(r"<\w+:(\w+)>", lambda part: str(places[part[1]]), route)


def ask(client: Client, page: Page, method: str) -> tuple[int, str]:
    """The status and the body, or where it leads; nothing of it is kept."""
    with transaction.atomic():
        answer = getattr(client, method)(page.path)
        transaction.set_rollback(True)
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return answer.status_code, f"{body.decode()} {answer.headers.get('Location', '')}"


def allowed(page: Page) -> set[int]:
    """How a stranger to the object may be answered."""
    if page.name in OF_ADMINS:
        return {403, 404, 405}
    return {404, 405}


def test_a_member_of_another_workspace_sees_and_changes_nothing_of_it(people: People, pages: list[Page]) -> None:
    outsider, wrong = browser_of(people.outsider), []
    for page in pages:
        for method in ("get", "post") if page.is_of_object else ("get",):
            status, text = ask(outsider, page, method)
            if page.is_of_object and page.name not in OPEN | SHARED and status not in allowed(page):
                wrong.append((page.name, method, status))
            if status >= 500 or (SECRET in text.replace(page.path, "").lower() and page.name != "metrics"):
                wrong.append((page.name, method, f"{status}, names it"))
    assert wrong == []


def test_a_member_sees_it(people: People, pages: list[Page]) -> None:
    """The words that the others must not see are there."""
    naming = {"overview", "rules", "rule", "channels", "channel", "runbooks", "runbook", "silences", "alerts", "alert"}
    naming |= {"incidents", "incident", "on-call", "schedule", "notifications", "keys", "palette", "cost"}
    teammate = browser_of(people.teammate)
    shown = {page.name for page in pages if page.name in naming and SECRET in ask(teammate, page, "get")[1]}
    assert shown == naming


def test_a_viewer_changes_nothing(people: People, pages: list[Page]) -> None:
    teammate, wrong = browser_of(people.teammate), []
    for page in pages:
        if page.name in OPEN | OF_ONESELF:
            continue
        status, _ = ask(teammate, page, "post")
        if status not in (403, 404, 405):
            wrong.append((page.name, status))
    assert wrong == []


def test_a_visitor_is_sent_to_log_in(people: People, pages: list[Page]) -> None:
    visitor, wrong = Client(), []
    for page in pages:
        for method in ("get", "post"):
            status, text = ask(visitor, page, method)
            is_sent = status == 302 and "/login/?next=" in text
            if not (is_sent or status == 405 or page.name in OPEN) or (
                SECRET in text and page.name != "metrics" and not is_sent
            ):
                wrong.append((page.name, method, status))
    assert wrong == []


def test_an_operator_of_the_workspace_may_open_all_of_it(people: People, pages: list[Page]) -> None:
    """So that what is refused to others is refused for who they are."""
    owner = browser_of(people.owner)
    answers = {page.name: ask(owner, page, "get")[0] for page in pages}
    refused = {name for name, status in answers.items() if status in (403, 404)}
    assert refused - OF_THE_PLATFORM - OF_ADMINS == NOT_THERE
