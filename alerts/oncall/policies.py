"""Writes of escalation policies: checked, and a line of the audit log each."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from alerts.incidents.models import RoutingVersion
from alerts.models import Channel, Severity
from alerts.oncall.models import EscalationPolicy, Schedule
from core.accounts.ownership import owned
from core.audit.record import record, record_change, snapshot

AUDITED = ("name", "steps", "repeats", "repeat_seconds", "acknowledged_for_seconds", "without_tree")
MAX_STEPS, MAX_TARGETS, MAX_REPEATS = 10, 20, 5
LONGEST = 7 * 86_400
SHORTEST_REPEAT = 60


class PolicyError(ValueError):
    """Something that a policy cannot have; `field` says where."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field
        self.errors = {field or "non_field_errors": text}


def save_policy(policy: EscalationPolicy, fields: dict[str, Any]) -> EscalationPolicy:
    """Make or change it: `fields` are any of AUDITED. PolicyError says what is wrong. Incidents
    that escalate already keep their steps."""
    before = snapshot(EscalationPolicy.objects.get(pk=policy.pk), AUDITED) if policy.pk else None
    for name, value in fields.items():
        setattr(policy, name, value)
    policy.name = policy.name.strip()
    if not policy.name:
        raise PolicyError("is missing", "name")
    same = EscalationPolicy.objects.filter(name=policy.name, workspace=policy.workspace_id).exclude(pk=policy.pk)
    if same.exists():
        raise PolicyError("is taken", "name")
    policy.steps = _steps(policy)
    if not 0 <= policy.repeats <= MAX_REPEATS:
        raise PolicyError(f"must be 0 to {MAX_REPEATS}", "repeats")
    if not SHORTEST_REPEAT <= policy.repeat_seconds <= LONGEST:
        raise PolicyError("must be a minute to a week", "repeat_seconds")
    if not 0 <= policy.acknowledged_for_seconds <= LONGEST:
        raise PolicyError("must be a week at most", "acknowledged_for_seconds")
    with transaction.atomic():
        policy.save()
        if before is None:
            record("created", policy, after=snapshot(policy, AUDITED))
        else:
            record_change(policy, before, snapshot(policy, AUDITED))
    return policy


def delete_policy(policy: EscalationPolicy) -> None:
    """Remove it. Incidents that escalate go on by the steps that they began with.
    PolicyError while routing names it."""
    if using := _receivers_with(policy):
        raise PolicyError(f"{policy.name} is in the receiver {', '.join(using)} of routing: take it out there first.")
    with transaction.atomic():
        record("deleted", policy, before=snapshot(policy, AUDITED))
        policy.delete()


def targets_for(policy: EscalationPolicy) -> list[tuple[str, str, str]]:
    """What its steps may name: target, group and name."""
    slugs = None if policy.workspace is None else {policy.workspace.slug}
    mine = owned(slugs)
    found = [(f"schedule:{one.pk}", "On call", one.name) for one in Schedule.objects.filter(mine)]
    people = User.objects.filter(is_active=True)
    if policy.workspace is not None:
        people = people.filter(memberships__workspace=policy.workspace) | people.filter(is_superuser=True)
    found += [
        (f"person:{one.pk}", "People", one.get_full_name() or one.get_username())
        for one in people.distinct().order_by("username")
    ]
    return found + [(f"channel:{one.pk}", "Channels", one.name) for one in Channel.objects.filter(mine)]


def _receivers_with(policy: EscalationPolicy) -> list[str]:
    """The names of the receivers of the routing in force that escalate by the policy."""
    version = RoutingVersion.objects.order_by("-number").first()
    return [
        receiver["name"]
        for receiver in (version.configuration["receivers"] if version else [])
        if any(one.get("escalation") == policy.pk for one in receiver.get("portal_configs", []))
    ]


def _steps(policy: EscalationPolicy) -> list[dict[str, Any]]:
    """The steps, checked and with nothing but what they may hold."""
    given = policy.steps
    if not isinstance(given, list) or not 0 < len(given) <= MAX_STEPS:
        raise PolicyError(f"name 1 to {MAX_STEPS} steps", "steps")
    known = {target for target, _, _ in targets_for(policy)}
    found = []
    for number, step in enumerate(given, 1):
        targets = list(dict.fromkeys(step.get("targets") or []))
        if not 0 < len(targets) <= MAX_TARGETS:
            raise PolicyError(f"step {number}: name 1 to {MAX_TARGETS} targets", "steps")
        if unknown := [target for target in targets if target not in known]:
            raise PolicyError(f"step {number}: there is no {unknown[0]}", "steps")
        severities = list(dict.fromkeys(step.get("severities") or []))
        if set(severities) - set(Severity.values):
            raise PolicyError(f"step {number}: severities are {', '.join(Severity.values)}", "steps")
        delay = int(step.get("delay_seconds") or 0)
        if not 0 <= delay <= LONGEST:
            raise PolicyError(f"step {number}: wait a week at most", "steps")
        found.append({"delay_seconds": delay, "severities": severities, "targets": targets})
    return found
