"""Rules and alerts as Prometheus shows them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, QueryDict

from alerts import queries
from alerts.models import Alert, Rule, State
from alerts.rules import expression
from portal.promapi import parameters, responses
from portal.promapi.caller import workspaces_of
from promql.text_forms import format_value

STATES = {State.PENDING: "pending", State.FIRING: "firing"}


def shown(alert: Alert) -> dict[str, Any]:
    """An alert."""
    found = {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": STATES[State(alert.state)],
        "activeAt": alert.active_at.isoformat(),
        "value": format_value(alert.value),
    }
    if alert.missing_since is not None:
        found["keepFiringSince"] = alert.missing_since.isoformat()
    return found


def shown_rule(rule: Rule, open_alerts: list[Alert], with_alerts: bool) -> dict[str, Any]:
    """A rule."""
    if rule.record:
        return {**_shared(rule), "name": rule.record, "labels": rule.all_labels, "type": "recording"}
    states = {alert.state for alert in open_alerts}
    state = "firing" if State.FIRING in states else "pending" if State.PENDING in states else "inactive"
    found: dict[str, Any] = {
        **_shared(rule),
        "state": state,
        "name": rule.alert_name,
        "duration": rule.for_seconds,
        "keepFiringFor": rule.keep_firing_seconds,
        "labels": {"severity": rule.severity, **rule.all_labels},
        "annotations": rule.annotations,
        "type": "alerting",
    }
    if with_alerts:
        found["alerts"] = [shown(alert) for alert in open_alerts]
    return found


def _shared(rule: Rule) -> dict[str, Any]:
    """What is shown of rules of both kinds."""
    return {
        "query": expression.expand(rule.expr, rule.threshold),
        "health": rule.health,
        "evaluationTime": rule.last_duration_seconds or 0,
        "lastEvaluation": rule.last_evaluated_at.isoformat() if rule.last_evaluated_at else "0001-01-01T00:00:00Z",
        **({"lastError": rule.last_error} if rule.last_error else {}),
    }


def wanted(rule: Rule, given: QueryDict) -> bool:
    """Whether a rule passes the parameters' names of rules and groups."""
    names, groups = given.getlist("rule_name[]"), given.getlist("rule_group[]")
    files = given.getlist("file[]")
    return (
        (not names or (rule.record or rule.alert_name) in names)
        and (not groups or rule.group.name in groups)
        and not files
    )


@responses.endpoint("GET")
def rules(request: HttpRequest) -> dict[str, Any]:
    """All rules by group. People and keys of one workspace see the rules, but no alerts:
    those may tell of other workspaces."""
    workspaces = workspaces_of(request)
    given = parameters.given(request)
    if parameters.first(given, "type") not in ("", "alert", "record"):
        raise parameters.BadParameter(f'not supported value "{parameters.first(given, "type")}"')
    alerts_open = visible_alerts(workspaces)
    groups: dict[str, dict[str, Any]] = {}
    kind = parameters.first(given, "type")
    for rule in queries.rule_list(workspaces):
        if not wanted(rule, given) or (kind and (kind == "record") != bool(rule.record)):
            continue
        group = groups.setdefault(
            rule.group.name,
            {
                "name": rule.group.name,
                "file": "",
                "interval": rule.group.interval_seconds,
                "limit": rule.group.limit,
                "rules": [],
                "evaluationTime": rule.group.last_duration_seconds or 0,
                "lastEvaluation": rule.group.last_evaluated_at.isoformat()
                if rule.group.last_evaluated_at
                else "0001-01-01T00:00:00Z",
            },
        )
        mine = [alert for alert in alerts_open if alert.rule_id == rule.pk]
        with_alerts = parameters.first(given, "exclude_alerts") != "true"
        group["rules"].append(shown_rule(rule, mine, with_alerts))
    return {"groups": list(groups.values())}


@responses.endpoint("GET")
def alerts(request: HttpRequest) -> dict[str, Any]:
    """Pending and firing alerts."""
    return {"alerts": [shown(alert) for alert in visible_alerts(workspaces_of(request))]}


def visible_alerts(workspaces: frozenset[str] | None) -> list[Alert]:
    """The open alerts that a caller may see: all, or those that name one of its workspaces."""
    found = [*queries.firing(), *queries.pending()]
    return found if workspaces is None else [one for one in found if one.labels.get("workspace") in workspaces]
