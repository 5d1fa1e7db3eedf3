"""An object of every resource, in the workspace `production`, and everybody who may ask for it."""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from alerts.incidents.models import Incident, Member, Silence
from alerts.models import Alert, Delivery, Flip, RuleGroup
from alerts.notify.channels import create_channel
from alerts.notify.template_edits import create_template
from alerts.oncall.means import add_means
from alerts.oncall.models import EscalationPolicy, Schedule
from alerts.oncall.policies import save_policy
from alerts.oncall.schedules import save_schedule
from alerts.rules.edits import RuleEdit, create_rule
from alerts.runbooks.edits import create_runbook
from alerts.silencing.models import RecurringSilence
from core.accounts.invitations import invite
from core.accounts.keys import create_key, revoke_key
from core.accounts.models import Membership, Workspace
from telemetry.models import SavedView
from tests.people import People
from usage.models import Budget, DeadLetter, Dimension, LabelRule, Mark, Price

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
LATER = datetime(2096, 3, 2, 10, 0, tzinfo=UTC)


def client_of(person: User) -> APIClient:
    """A session."""
    client = APIClient()
    client.force_login(person)
    return client


def client_with(key: str) -> APIClient:
    """A program with an API key."""
    return APIClient(headers={"Authorization": f"Bearer {key}"})


def key_of(workspace: Workspace | None, *scopes: str, expires_at: datetime | None = None) -> str:
    """The plaintext of a new key."""
    return create_key("-".join(scopes), workspace, scopes, expires_at=expires_at)[1]


def workspace_admin(people: People) -> User:
    """Somebody who lets people into `production`."""
    user = User.objects.create_user("ada", "ada@example.org")
    Membership.objects.create(user=user, workspace=people.production, role="admin")
    return user


def callers(people: People) -> dict[str, APIClient]:
    """Everybody whom the table of access tries."""
    gone, revoked = create_key("revoked", people.production, ("query", "admin"))
    revoke_key(gone, timezone.now())
    expired = key_of(people.production, "query", "admin", expires_at=AT)
    return {
        "anonymous": APIClient(),
        "owner": client_of(people.owner),
        "workspace admin": client_of(workspace_admin(people)),
        "teammate": client_of(people.teammate),
        "outsider": client_of(people.outsider),
        "admin": client_of(people.admin),
        "revoked key": client_with(revoked),
        "expired key": client_with(expired),
        "unknown key": client_with("llmu_unknown"),
        **{
            f"{scope} key": client_with(key_of(people.production, scope))
            for scope in ("query", "admin", "ingest", "backfill")
        },
        "foreign admin key": client_with(key_of(people.elsewhere, "query", "admin")),
        "admin key of all": client_with(key_of(None, "query", "admin")),
    }


@dataclass(frozen=True)
class World:
    """What fills the paths: by resource, the last part of an address."""

    places: dict[str, Any]


def _trace(workspace: Workspace, trace_id: str) -> str:
    """The id of a trace in short; its spans are gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_trace (workspace_id, trace_id, start, finish, duration, spans, first_seen, "
            "last_seen) VALUES (%s, %s, %s, %s, 1, 1, %s, %s)",
            [workspace.pk, trace_id, AT, AT, AT, AT],
        )
    return trace_id


def make_world(people: People) -> World:
    """An object of each resource."""
    group = RuleGroup.objects.create(name="api")
    channel = create_channel("webhook", "hook", {"url": "https://hooks.example.org/x"}, workspace=people.production)
    edit, ours = RuleEdit(expr="up > $threshold", threshold=1), people.production
    rule = create_rule(group, "Busy", edit, by=people.owner, now=AT, workspace=ours)
    runbook = create_runbook("busy", "Busy", "Wait.", by=people.owner, now=AT, workspace=ours)
    alert = Alert.objects.create(
        rule=rule,
        severity=rule.severity,
        threshold=rule.threshold,
        for_seconds=rule.for_seconds,
        fingerprint="f",
        labels={"workspace": ours.slug},
        state="firing",
        value=float("inf"),
        active_at=AT,
        fired_at=AT,
    )
    flip = Flip.objects.create(alert=alert, from_state="pending", to_state="firing", at=AT, value=2, created_at=AT)
    delivery = Delivery.objects.create(
        flip=flip, alert=alert, channel=channel, channel_name="hook", state="failed", created_at=AT, next_attempt_at=AT
    )
    labels = {"workspace": ours.slug, "team": "payments", "model": "m", "provider": "p"}
    Dimension.objects.create(kind="llm_call", labels=labels, digest=b"0" * 16, first_at=AT)
    letter = DeadLetter.objects.create(
        receipt="5f0c1b1e-0000-4000-8000-000000000001",
        workspace=people.production,
        received_at=AT,
        records=1,
        body=b"?",
        error="broken",
    )
    incident = Incident.objects.create(digest="d", key="{}:{}", opened_at=AT)
    Member.objects.create(incident=incident, alert=alert)
    silence = Silence.objects.create(
        matchers=[["workspace", "=", ours.slug]], starts_at=AT, ends_at=LATER, created_by="owner", comment="planned"
    )
    recurring = RecurringSilence.objects.create(
        matchers=[["workspace", "=", ours.slug]],
        weekdays=[6],
        begins=time(2),
        ends=time(3),
        created_by="owner",
        comment="planned",
    )
    schedule = save_schedule(Schedule(workspace=ours), name="support", time_zone="UTC", calendar="")
    steps = [{"targets": [f"person:{people.owner.pk}"]}]
    policy = save_policy(EscalationPolicy(workspace=ours), {"name": "support", "steps": steps})
    key, _ = create_key("seen", people.production)
    invitation, _ = invite(ours, "viewer", "", by=people.admin, now=timezone.now())
    return World(
        {
            "alerting-rules": rule.pk,
            "rule-groups": group.pk,
            "alert-episodes": alert.pk,
            "flips": flip.pk,
            "incidents": incident.pk,
            "silences": silence.pk,
            "recurring-silences": recurring.pk,
            "deliveries": delivery.pk,
            "channels": channel.pk,
            "message-templates": create_template("", "{{ .Title }}", "", workspace=ours).pk,
            "runbooks": runbook.slug,
            "schedules": schedule.pk,
            "escalation-policies": policy.pk,
            "means": add_means(people.owner, "webhook", {"url": "https://hooks.example.org/y"}).pk,
            "prices": Price.objects.create(provider="p", model="m", input_usd=1, output_usd=2).pk,
            "saved-views": SavedView.objects.create(
                page="logs", name="errors", query="q=severity%3Derror", workspace=ours
            ).pk,
            "budgets": Budget.objects.create(team="payments", limit_usd=10, workspace=ours).pk,
            "marks": Mark.objects.create(at=AT, title="checkout 2.14.0", workspace=ours).pk,
            "label-rules": LabelRule.objects.create(kind="llm_call", label="model", action="drop", workspace=ours).pk,
            "dead-letters": letter.pk,
            "workspaces": people.production.slug,
            "members": Membership.objects.get(user=people.teammate).pk,
            "keys": key.pk,
            "people": people.teammate.pk,
            "invitations": invitation.pk,
            "boards": "coverage",
            "receipts": "5f0c1b1e-0000-4000-8000-000000000002",
            "label": "model",
            "traces": _trace(ours, "5f2d" * 8),
        }
    )
