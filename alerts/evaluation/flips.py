"""9 flips: what an evaluation changed, written as rows in a few statements, each flip with its place in an incident."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

from django.db import connection

from alerts.canary import deliver as canary
from alerts.evaluation.evaluate import Outcome
from alerts.evaluation.states import RuleState
from alerts.incidents.collect import collect
from alerts.models import Alert, Flip, Rule

UPDATE_ALERTS = """
UPDATE alerts_alert AS alert
SET state = new.state, value = new.value, annotations = new.annotations, fired_at = new.fired_at,
    missing_since = new.missing_since, ended_at = new.ended_at, severity = new.severity, threshold = new.threshold,
    for_seconds = new.for_seconds, channel_names = new.channel_names
FROM unnest(%s::bigint[], %s::text[], %s::float8[], %s::jsonb[], %s::timestamptz[], %s::timestamptz[],
    %s::timestamptz[], %s::text[], %s::float8[], %s::int[], %s::jsonb[])
    AS new (id, state, value, annotations, fired_at, missing_since, ended_at, severity, threshold, for_seconds,
    channel_names)
WHERE alert.id = new.id
"""
UPDATE_HEALTH = """
UPDATE alerts_rule AS rule
SET health = new.health, last_error = new.error, last_duration_seconds = new.seconds, last_evaluated_at = %s,
    last_series = new.series, evaluations = rule.evaluations + new.evaluations,
    evaluation_failures = rule.evaluation_failures + new.failures
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::float8[], %s::int[], %s::bigint[], %s::bigint[])
    AS new (id, health, error, seconds, series, evaluations, failures)
WHERE rule.id = new.id
"""


def write(states: Sequence[RuleState], now: dt.datetime) -> None:
    """Store new and changed alerts and their flips, bring these into incidents; after
    the commit, wake the channels concerned."""
    # An episode that ended makes room for the next one of the same labels: changes go first.
    _update_alerts([alert for state in states for alert in state.touched.values()])
    Alert.objects.bulk_create([alert for state in states for alert in state.created])
    flips = [flip for state in states for flip in state.flips]
    Flip.objects.bulk_create(flips)
    collect(flips, now)
    canary.deliver(flips, now)


def write_health(rules: Sequence[Rule], outcomes: Sequence[Outcome], slot: dt.datetime) -> None:
    """Store how the rules' evaluation went, and count it. `slot` is the last one evaluated."""
    columns = (
        [rule.pk for rule in rules],
        [str(rule.health) for rule in rules],
        [rule.last_error for rule in rules],
        [rule.last_duration_seconds for rule in rules],
        [rule.last_series for rule in rules],
        [len(outcome.samples.keys() | outcome.errors.keys()) for outcome in outcomes],
        [len(outcome.errors) for outcome in outcomes],
    )
    with connection.cursor() as cursor:
        cursor.execute(UPDATE_HEALTH, [slot, *columns])


def _update_alerts(alerts: list[Alert]) -> None:
    if not alerts:
        return
    # In the order of ids, so that two writers of the same rows cannot wait for each other.
    alerts = sorted(alerts, key=lambda alert: alert.pk)
    with connection.cursor() as cursor:
        cursor.execute(
            UPDATE_ALERTS,
            [
                [alert.pk for alert in alerts],
                [str(alert.state) for alert in alerts],
                [alert.value for alert in alerts],
                [json.dumps(alert.annotations) for alert in alerts],
                [alert.fired_at for alert in alerts],
                [alert.missing_since for alert in alerts],
                [alert.ended_at for alert in alerts],
                [alert.severity for alert in alerts],
                [alert.threshold for alert in alerts],
                [alert.for_seconds for alert in alerts],
                [json.dumps(alert.channel_names) for alert in alerts],
            ],
        )
