"""Every action of every page leaves a line in the audit log: the table of URLs is walked,
and one that is not known here fails."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from alerts.models import (
    Alert,
    Channel,
    Delivery,
    EscalationPolicy,
    Flip,
    Incident,
    Member,
    MessageTemplate,
    RecurringSilence,
    Rule,
    RuleGroup,
    Runbook,
    Schedule,
    Silence,
)
from alerts.notify import channels
from alerts.notify.links import token_of
from alerts.notify.template_edits import create_template
from alerts.oncall.means import add_means
from alerts.oncall.policies import save_policy
from alerts.oncall.schedules import add_override, add_rotation, save_schedule
from alerts.rules.defaults import ensure_defaults
from alerts.rules.edits import set_enabled
from alerts.runbooks.edits import save_version
from core.accounts.invitations import invite
from core.accounts.keys import create_key
from core.accounts.models import Invitation, Workspace
from core.audit.models import AuditLine
from telemetry.models import SavedView
from tests.people import browser_of, make_people
from usage.models import Budget, DeadLetter, LabelRule, Price

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("spool_folder")]

# What a POST to these does changes nothing that others could ask about.
NO_CHANGE = {
    "explore-forget": "one's own history of queries",
}
LEFT_OUT = ("api/", "v1/", "otlp/", "admin/")
# allauth's pages; what they change reaches its adapter, see tests/portal/people.
ALLAUTH = "account/"
Action = tuple[str, dict[str, Any]]


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> dict[str, str]:
    """Every page's address by its name, with what varies filled with something that does not exist."""
    found = {}
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        is_allauth = isinstance(pattern, URLResolver) and route == ALLAUTH
        if is_allauth or route.lstrip("^").startswith(LEFT_OUT):
            continue
        if isinstance(pattern, URLResolver):
            found |= routes(pattern.url_patterns, route)
        else:
            filled = re.sub(r"<(\w+):\w+>", lambda varies: FILLED[varies[1]], route)
            found[str(pattern.name)] = f"/{filled}"
    return found


FILLED = {
    "int": "987654",
    "slug": "none",
    "str": "none",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "path": "none",
}


def channel() -> Channel:
    return channels.create_channel("slack", "#ops", {"url": "https://hooks.slack.com/services/T/B/x"})


def message_template() -> MessageTemplate:
    return create_template("slack", "{{ .Title }}", "", workspace=None)


def rule() -> Rule:
    return Rule.objects.select_related("group").get(name="HighProviderCost")


def alert(**fields: Any) -> Alert:
    now = timezone.now()
    return Alert.objects.create(
        rule=rule(), fingerprint="f", labels={}, state="firing", value=1, active_at=now, fired_at=now, **fields
    )


def failed_delivery() -> Delivery:
    now, one, to = timezone.now(), alert(), channel()
    flip = Flip.objects.create(alert=one, from_state="pending", to_state="firing", at=now, created_at=now)
    return Delivery.objects.create(
        alert=one, flip=flip, channel=to, channel_name=to.name, state="failed", created_at=now, next_attempt_at=now
    )


def rule_form(**fields: Any) -> dict[str, Any]:
    return {"expr": "up > $threshold", "threshold": "7", "severity": "warning", "for_seconds": "1m", **fields}


def changed_rule() -> Rule:
    one = rule()
    set_enabled(one, False, by=None, now=timezone.now())
    return one


def edited_runbook() -> Runbook:
    one = Runbook.objects.get(slug="budget")
    save_version(one, "other", by=None, now=timezone.now())
    return one


def price() -> Price:
    return Price.objects.create(provider="p", model="m", input_usd=1, output_usd=1)


def label_rule() -> LabelRule:
    return LabelRule.objects.create(kind="llm_call", label="model", action=LabelRule.CHARACTERS, keep=9)


def label_rule_form(keep: str = "9") -> dict[str, str]:
    return {"kind": "llm_call", "label": "model", "regex": ".*", "action": "characters", "keep": keep, "separator": "-"}


def letter() -> DeadLetter:
    return DeadLetter.objects.create(
        receipt="00000000-0000-4000-8000-000000000001", received_at=timezone.now(), records=1, body=b"x", error="e"
    )


def silence() -> Silence:
    now = timezone.now()
    ends = now + dt.timedelta(hours=1)
    return Silence.objects.create(
        matchers=[["a", "=", "b"]], starts_at=now, ends_at=ends, created_by="ada", comment="c"
    )


def recurring_silence() -> RecurringSilence:
    nights = {"weekdays": [0], "begins": dt.time(2), "ends": dt.time(3)}
    return RecurringSilence.objects.create(matchers=[["a", "=", "b"]], created_by="ada", comment="c", **nights)


WEEKLY = {"matchers": "a=b", "weekdays": ["0"], "begins": "02:00", "ends": "03:00", "time_zone": "UTC", "comment": "c"}


def incident(digest: str = "d", **fields: Any) -> Incident:
    found = Incident.objects.create(digest=digest, key="{}", opened_at=timezone.now(), **fields)
    Member.objects.create(incident=found, alert=Alert.objects.first() or alert())
    return found


def merged_incident() -> Incident:
    return incident(closed_at=timezone.now(), merged_into=incident("other"))


def first_step() -> str:
    """Of the runbook of the rule that `alert` is of."""
    runbook = rule().runbook
    assert runbook is not None
    save_version(runbook, "1. Look at the status page", by=None, now=timezone.now())
    return "Look at the status page"


def schedule() -> Schedule:
    return save_schedule(Schedule(), name="ops", time_zone="UTC", calendar="")


def rotation_remove(one: Schedule) -> Action:
    rotation = add_rotation(one, [person()], first_day=dt.date(2026, 1, 5), handover=dt.time(9))
    return f"/on-call/schedules/{one.pk}/rotations/{rotation.pk}/remove", {}


def override_remove(one: Schedule) -> Action:
    now = timezone.now()
    override = add_override(one, person(), now, now + dt.timedelta(hours=1))
    return f"/on-call/schedules/{one.pk}/overrides/{override.pk}/remove", {}


def policy() -> EscalationPolicy:
    steps = [{"delay_seconds": 0, "severities": [], "targets": [f"person:{person().pk}"]}]
    return save_policy(EscalationPolicy(), {"name": "ops", "steps": steps})


def policy_form(**fields: Any) -> dict[str, Any]:
    targets = {"targets_1": [f"person:{person().pk}"], "delay_1": "5m"}
    return {**targets, "repeats": "1", "repeat_seconds": "10m", **fields}


def own_means() -> Channel:
    return add_means(User.objects.get(username="admin"), "ntfy", {"topic": "admin"})


def person() -> User:
    return User.objects.get(username="teammate")


def invitation(workspace: Workspace) -> tuple[Invitation, str]:
    return invite(workspace, "viewer", "", by=User.objects.get(username="admin"), now=timezone.now())


ACTIONS: dict[str, Callable[[Workspace], Action]] = {
    "account": lambda _: ("/account/", {"time_zone": "Asia/Tokyo", "theme": "dark", "density": "compact"}),
    "alert-acknowledge": lambda _: (f"/alerts/{alert().pk}/acknowledge", {}),
    "alert-give-back": lambda _: (f"/alerts/{alert(acknowledged_at=timezone.now()).pk}/give-back", {}),
    "budget-add": lambda _: ("/cost/budgets/", {"team": "t", "limit_usd": "5", "period": "day"}),
    "budget-save": lambda _: (
        f"/cost/budgets/{Budget.objects.create(team='t', limit_usd=1).pk}/",
        {"team": "t", "limit_usd": "5", "period": "day"},
    ),
    "budget-delete": lambda _: (f"/cost/budgets/{Budget.objects.create(team='t', limit_usd=1).pk}/delete/", {}),
    "saved-view-add": lambda _: ("/saved-views/", {"page": "logs", "name": "errors", "query": "q=error"}),
    "saved-view-delete": lambda _: (
        f"/saved-views/{SavedView.objects.create(page='logs', name='errors').pk}/delete",
        {},
    ),
    "channel-new": lambda _: (
        "/channels/new/slack/",
        {"name": "new", "config_url": "https://hooks.slack.com/services/T/B/y"},
    ),
    "channel-edit": lambda _: (f"/channels/{channel().pk}/edit/", {"name": "other"}),
    "channel-delete": lambda _: (f"/channels/{channel().pk}/delete/", {}),
    "channel-test": lambda _: (f"/channels/{channel().pk}/test", {}),
    "message-template-new": lambda _: ("/channels/messages/new/", {"title": "{{ .Title }}"}),
    "message-template": lambda _: (f"/channels/messages/{message_template().pk}/", {"title": "{{ .Severity }}"}),
    "message-template-delete": lambda _: (f"/channels/messages/{message_template().pk}/delete", {}),
    "delivery-retry": lambda _: (f"/deliveries/{failed_delivery().pk}/retry", {}),
    "dead-letter-discard": lambda _: (f"/ingestion/dead-letters/{letter().pk}/discard/", {}),
    "send-data": lambda workspace: ("/send-data/?client=curl", {"workspace": workspace.slug}),
    "incident-acknowledge": lambda _: (f"/incidents/{incident().pk}/acknowledge", {}),
    "incident-give-back": lambda _: (f"/incidents/{incident(acknowledged_at=timezone.now()).pk}/give-back", {}),
    "incident-snooze": lambda _: (f"/incidents/{incident().pk}/snooze", {"for": "1h"}),
    "incident-comment": lambda _: (f"/incidents/{incident().pk}/comment", {"text": "503s from the provider"}),
    "schedule-new": lambda _: ("/on-call/schedules/new/", {"name": "ops", "time_zone": "UTC"}),
    "schedule-edit": lambda _: (f"/on-call/schedules/{schedule().pk}/edit/", {"name": "other", "time_zone": "UTC"}),
    "schedule-delete": lambda _: (f"/on-call/schedules/{schedule().pk}/delete", {}),
    "schedule-feed-renew": lambda _: (f"/on-call/schedules/{schedule().pk}/calendar/renew", {}),
    "rotation-add": lambda _: (
        f"/on-call/schedules/{schedule().pk}/rotations",
        {"people": "owner, teammate", "first_day": "2026-01-05", "handover": "09:00", "shift_days": "7"},
    ),
    "rotation-remove": lambda _: rotation_remove(schedule()),
    "override-add": lambda _: (
        f"/on-call/schedules/{schedule().pk}/overrides",
        {"person": person().pk, "starts_at": "2026-01-05T09:00", "ends_at": "2026-01-06T09:00"},
    ),
    "override-remove": lambda _: override_remove(schedule()),
    "policy-new": lambda _: ("/on-call/policies/new/", policy_form(name="new")),
    "policy": lambda _: (f"/on-call/policies/{policy().pk}/", policy_form(name="other")),
    "policy-delete": lambda _: (f"/on-call/policies/{policy().pk}/delete", {}),
    "means-new": lambda _: ("/on-call/me/new/ntfy/", {"config_topic": "admin"}),
    "means-remove": lambda _: (f"/on-call/me/{own_means().pk}/remove", {}),
    "means-test": lambda _: (f"/on-call/me/{own_means().pk}/test", {}),
    "incident-resolve": lambda _: (f"/incidents/{incident().pk}/resolve", {"outcome": "it was the provider"}),
    "incident-merge": lambda _: (f"/incidents/{incident().pk}/merge", {"into": incident("other").pk}),
    "incident-separate": lambda _: (f"/incidents/{merged_incident().pk}/separate", {}),
    "incident-owner": lambda _: (f"/incidents/{incident().pk}/owner", {"owner": person().pk}),
    "incident-severity": lambda _: (f"/incidents/{incident().pk}/severity", {"severity": "critical"}),
    "incident-tick": lambda _: (f"/incidents/{incident().pk}/tick", {"step": first_step(), "done": "1"}),
    "incident-act": lambda _: (f"/act/{token_of(incident().pk, channel().pk)}/", {"do": "acknowledge"}),
    "routing-edit": lambda _: ("/notifications/edit/", {"text": "{route: {receiver: a}, receivers: [{name: a}]}"}),
    "routing-remove": lambda _: ("/notifications/remove", {}),
    "silence-new": lambda _: ("/silences/new/", {"matchers": "a=b", "hours": "2", "comment": "c"}),
    "recurring-silence-new": lambda _: ("/silences/recurring/new/", WEEKLY),
    "recurring-silence-remove": lambda _: (f"/silences/recurring/{recurring_silence().pk}/remove", {}),
    "silence-expire": lambda _: (f"/silences/{silence().pk}/expire", {}),
    "silence-extend": lambda _: (f"/silences/{silence().pk}/extend", {}),
    "invite": lambda workspace: ("/people/invite/", {"workspace": workspace.pk, "role": "viewer"}),
    "invitation-withdraw": lambda workspace: (f"/people/invitations/{invitation(workspace)[0].pk}/withdraw", {}),
    "join": lambda workspace: (f"/join/{invitation(workspace)[1]}/", {}),
    "person-change": lambda _: (f"/people/{person().pk}/change", {"do": "deactivate"}),
    "workspace-new": lambda _: ("/people/workspaces/new/", {"slug": "more", "name": "More", "time_zone": "UTC"}),
    "workspace": lambda _: ("/people/workspaces/production/", {"name": "Other", "time_zone": "UTC"}),
    "key-new": lambda workspace: (
        "/keys/new/",
        {"name": "k", "workspace": workspace.pk, "scopes": ["ingest"], "lifetime": ""},
    ),
    "key-revoke": lambda workspace: (f"/keys/{create_key('k', workspace)[0].pk}/revoke/", {}),
    "price-new": lambda _: (
        "/prices/new/",
        {"provider": "p", "model": "m", "input_usd": "1", "output_usd": "1", "valid_from": "2026-01-01 00:00"},
    ),
    "price-edit": lambda _: (
        f"/prices/{price().pk}/",
        {"provider": "p", "model": "m", "input_usd": "3", "output_usd": "1", "valid_from": "2026-01-01 00:00"},
    ),
    "price-delete": lambda _: (f"/prices/{price().pk}/delete", {}),
    "label-rule-new": lambda _: ("/ingestion/labels/", label_rule_form()),
    "label-rule": lambda _: (f"/ingestion/labels/{label_rule().pk}/", label_rule_form(keep="5")),
    "label-rule-delete": lambda _: (f"/ingestion/labels/{label_rule().pk}/delete/", {}),
    "rule-files": lambda _: (
        "/rules/files/",
        {"text": "groups: [{name: g, rules: [{alert: A, expr: up}]}]", "import": "1"},
    ),
    "rule-group-new": lambda _: ("/rules/groups/new/", {"name": "new", "interval_seconds": "1m"}),
    "rule-group": lambda _: (f"/rules/groups/{rule().group_id}/", {"name": "other", "interval_seconds": "1m"}),
    "rule-group-delete": lambda _: (f"/rules/groups/{RuleGroup.objects.create(name='empty').pk}/delete", {}),
    "rule-new": lambda _: ("/rules/new/", rule_form(name="New", group=rule().group_id)),
    "rule": lambda _: (f"/rules/{rule().pk}/", rule_form()),
    "rule-enable": lambda _: (f"/rules/{rule().pk}/enable", {"to": "off"}),
    "rule-delete": lambda _: (f"/rules/{rule().pk}/delete/", {}),
    "rule-undo": lambda _: (f"/rules/{changed_rule().pk}/undo/2", {}),
    "runbook-new": lambda _: ("/runbooks/new/", {"title": "T", "slug": "t", "text": "x"}),
    "runbook-edit": lambda _: ("/runbooks/budget/edit/", {"text": "other"}),
    "runbook-restore": lambda _: (f"/runbooks/{edited_runbook().slug}/restore/1", {}),
}


# What needs more than a row to be done; each is done, and its line looked for, where its page is tested.
ELSEWHERE = {
    "dead-letter-replay": "tests/usage/pages/test_ingestion.py",
    "demo-start": "tests/usage/samples/test_demo.py",
    "demo-stop": "tests/usage/samples/test_demo.py",
    "password_change": "tests/portal/shell/test_sign_in.py",
    "slack-interactive": "tests/alerts/pages/incidents/test_act.py",
    "login": "",
    "logout": "",
}


@pytest.fixture
def user() -> User:
    ensure_defaults(apps.get_model)
    return make_people().admin


@pytest.fixture
def admin(user: User) -> Client:
    return browser_of(user)


def test_every_address_that_takes_a_post_is_known_here(user: User) -> None:
    pages = routes(get_resolver().url_patterns)
    assert set(ELSEWHERE) <= set(pages)
    asked = {name: path for name, path in pages.items() if name not in ELSEWHERE}
    taken = {name for name, path in asked.items() if browser_of(user).post(path).status_code != 405}
    known = {*ACTIONS, *NO_CHANGE}
    assert taken - known == set(), "add each to ACTIONS with what it needs, and call core.audit.record in its write"
    assert known - taken == set(), "these addresses are gone"


@pytest.mark.parametrize("name", ACTIONS)
def test_each_action_leaves_a_line_that_names_who_did_it(name: str, admin: Client) -> None:
    path, form = ACTIONS[name](Workspace.objects.get(slug="production"))
    before = AuditLine.objects.count()
    answer = admin.post(path, form)
    assert answer.status_code in (200, 201, 302), answer.content
    line = AuditLine.objects.all()[0]
    assert AuditLine.objects.count() > before
    assert (line.actor, line.via, line.address) == ("admin", "page", "127.0.0.1")
