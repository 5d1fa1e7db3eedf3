"""9 flips: what an evaluation changed, written as rows in a few statements, with the deliveries that each flip asks for."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import prefetch_related_objects

from alerts.models import Alert, Channel, Delivery, Flip, Rule, State
from alerts.queries import recipients
from alerts.states import RuleState
from alerts.wake import wake_channels

UPDATE_ALERTS = """
UPDATE alerts_alert AS alert
SET state = new.state, value = new.value, annotations = new.annotations, fired_at = new.fired_at,
    missing_since = new.missing_since, ended_at = new.ended_at
FROM unnest(%s::bigint[], %s::text[], %s::float8[], %s::jsonb[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
    AS new (id, state, value, annotations, fired_at, missing_since, ended_at)
WHERE alert.id = new.id
"""
UPDATE_HEALTH = """
UPDATE alerts_rule AS rule
SET health = new.health, last_error = new.error, last_duration_seconds = new.seconds, last_evaluated_at = %s
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::float8[]) AS new (id, health, error, seconds)
WHERE rule.id = new.id
"""


def write(states: Sequence[RuleState], now: dt.datetime) -> None:
    """Store new and changed alerts, their flips and deliveries; after the commit, wake the channels concerned."""
    # An episode that ended makes room for the next one of the same labels: changes go first.
    _update_alerts([alert for state in states for alert in state.touched.values()])
    Alert.objects.bulk_create([alert for state in states for alert in state.created])
    flips = [flip for state in states for flip in state.flips]
    Flip.objects.bulk_create(flips)
    told = [flip for flip in flips if flip.to_state in (State.FIRING, State.RESOLVED)]
    if told:
        deliveries = _deliveries(told, {state.rule.pk: state.rule for state in states}, now)
        Delivery.objects.bulk_create(deliveries)
        channels = sorted({delivery.channel_id for delivery in deliveries if delivery.channel_id is not None})
        # When the queue is away, the sweeper finds the deliveries later: the evaluation must not fail for that.
        transaction.on_commit(lambda: wake_channels(channels), robust=True)


def write_health(rules: Sequence[Rule], slot: dt.datetime) -> None:
    """Store how the rules' evaluation went. `slot` is the last one evaluated."""
    columns = ([r.pk for r in rules], [str(r.health) for r in rules], [r.last_error for r in rules])
    with connection.cursor() as cursor:
        cursor.execute(UPDATE_HEALTH, [slot, *columns, [rule.last_duration_seconds for rule in rules]])


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
            ],
        )


def _deliveries(flips: list[Flip], rules: dict[int, Rule], now: dt.datetime) -> list[Delivery]:
    """One delivery per flip and channel. Firing goes to the rule's recipients, resolved to those that firing was addressed to."""
    channels = list(Channel.objects.filter(enabled=True))
    firing = {flip.alert.rule_id for flip in flips if flip.to_state == State.FIRING}
    prefetch_related_objects([rules[pk] for pk in firing], "channels")
    by_rule = {pk: recipients(rules[pk], channels) for pk in firing}
    told: dict[int, set[int]] = defaultdict(set)
    earlier = Delivery.objects.filter(
        alert__in=[flip.alert_id for flip in flips if flip.to_state == State.RESOLVED], flip__to_state=State.FIRING
    )
    for alert_id, channel_id in earlier.values_list("alert_id", "channel_id"):
        told[alert_id].add(channel_id or 0)
    deliveries = []
    for flip in flips:
        if flip.to_state == State.FIRING:
            goes_to = by_rule[flip.alert.rule_id]
            told[flip.alert_id] |= {channel.pk for channel in goes_to}
        else:
            goes_to = [channel for channel in channels if channel.send_resolved and channel.pk in told[flip.alert_id]]
        deliveries += [_delivery(flip, channel, now) for channel in goes_to]
    return deliveries


def _delivery(flip: Flip, channel: Channel, now: dt.datetime) -> Delivery:
    return Delivery(
        flip=flip,
        alert_id=flip.alert_id,
        channel=channel,
        channel_name=channel.name,
        created_at=now,
        next_attempt_at=now,
    )
