"""What a delivery says: of one alert as its flip's message, of several as one message
with the most important ones named."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

from django.conf import settings

from alerts.models import Alert, Channel, Delivery, State
from alerts.notify.links import address_of, token_of
from alerts.notify.message import flip_message
from alerts.notify.transports.contract import AlertLine, Message, TraceLine
from alerts.rules.models import SEVERITY_ORDER, gravity

NAMED = 10
# What a message may carry for machines; the rest is counted.
CARRIED = 5000


def delivery_message(delivery: Delivery, now: dt.datetime) -> Message:
    """The message of a delivery, sent at `now`. Reads delivery.incident and delivery.flip.alert.rule.runbook."""
    escalated = delivery.why == Delivery.Why.ESCALATED
    base = flip_message(delivery.flip, delivery.flip.created_at if escalated else now)
    incident = delivery.incident
    if incident is None:
        return base
    base = dataclasses.replace(
        base,
        key=f"incident-{incident.pk}-{delivery.number}",
        thread=f"incident-{incident.pk}",
        group_key=incident.key,
        group_labels=incident.group_labels,
        receiver=incident.receiver or base.receiver,
        reference=_reference(delivery),
        note=" ".join(filter(None, [base.note, _why(delivery)])),
    )
    if not delivery.firing and base.state != State.RESOLVED:
        # Somebody resolved it by hand: no alert has ended.
        base = dataclasses.replace(base, state=State.RESOLVED, at=delivery.created_at)
    if incident.raised_to and SEVERITY_ORDER[incident.raised_to] < gravity(base.severity):
        base = dataclasses.replace(base, severity=incident.raised_to)
    # Who follows alerts may see them, not always acknowledge them: the page of the incident knows.
    if delivery.firing and delivery.channel is not None and not delivery.channel.follows:
        token = token_of(incident.pk, delivery.channel.pk)
        base = dataclasses.replace(base, act_token=token, act_url=address_of(token))
    count = len(delivery.firing) + len(delivery.resolved)
    if count < 2:
        alert = delivery.flip.alert
        fires = alert.pk in delivery.firing
        line = alert_line(alert, fires=fires, notified_at=delivery.created_at, note=base.note, traces=base.traces)
        return dataclasses.replace(base, alerts=(line,))
    carried = _alerts(delivery)
    firing = set(delivery.firing)
    lines = [alert_line(alert, fires=alert.pk in firing, notified_at=delivery.created_at) for alert in carried]
    severities = [alert.labels.get("severity", "") for alert in carried if alert.pk in firing]
    return dataclasses.replace(
        base,
        state="firing" if delivery.firing else "resolved",
        severity=min(
            filter(None, [incident.raised_to, *severities]),
            key=gravity,
            default=base.severity,
        ),
        title=f"{base.title} and {count - 1:,} more",
        description=_description(delivery, carried),
        labels=common([alert.shown_labels for alert in carried]),
        annotations=common([alert.annotations for alert in carried]),
        value="",
        threshold="",
        since=min(line.since for line in lines),
        alert_url=f"{settings.PORTAL.public_url}/incidents/{incident.pk}/",
        alerts=tuple(lines),
        left_out=count - len(lines),
    )


def _reference(delivery: Delivery) -> str:
    """The channel's name for the incident's first message there; empty where it gives none, as all but Slack's bot."""
    if delivery.channel is None or delivery.channel.kind != Channel.Kind.SLACK_BOT:
        return ""
    sent = Delivery.objects.filter(incident=delivery.incident_id, channel=delivery.channel_id).exclude(reference="")
    return sent.order_by("id").values_list("reference", flat=True).first() or ""


def _alerts(delivery: Delivery) -> list[Alert]:
    """Those that the message carries: what it is about first, then firing ones, the worst first."""
    ids = [*delivery.firing, *delivery.resolved][:CARRIED]
    found = Alert.objects.filter(pk__in={*ids, delivery.alert_id}).prefetch_related("rule__runbook")
    firing = set(delivery.firing)
    return sorted(
        found,
        key=lambda alert: (
            alert.pk != delivery.alert_id,
            alert.pk not in firing,
            gravity(alert.labels.get("severity", "")),
            alert.pk,
        ),
    )[:CARRIED]


def _description(delivery: Delivery, alerts: Sequence[Alert]) -> str:
    """How many fire and how many have ended, and the first of them by name."""
    firing = set(delivery.firing)
    counts = [f"{len(delivery.firing):,} firing"] if delivery.firing else []
    counts += [f"{len(delivery.resolved):,} resolved"] if delivery.resolved else []
    rows = [f"{'Firing' if alert.pk in firing else 'Resolved'}: {alert.title}" for alert in alerts[:NAMED]]
    more = len(delivery.firing) + len(delivery.resolved) - len(rows)
    if more > 0:
        rows.append(f"and {more:,} more")
    return "\n".join([", ".join(counts), *rows])


def alert_line(
    alert: Alert, *, fires: bool, notified_at: dt.datetime, note: str = "", traces: Sequence[TraceLine] = ()
) -> AlertLine:
    """An alert of a message about several. Reads alert.rule.runbook; `notified_at` is its end where it has none of its
    own."""
    base, runbook = settings.PORTAL.public_url, alert.rule.runbook
    more = {"runbook_url": f"{base}/runbooks/{runbook.slug}/"} if runbook else {}
    more |= {"note": note} if note else {}
    more |= {"traces": " ".join(one.url for one in traces)} if traces else {}
    return AlertLine(
        firing=fires,
        labels={**alert.labels, "alertname": alert.labels.get("alertname", alert.rule.name)},
        annotations={**alert.annotations, **more},
        since=alert.fired_at or alert.active_at,
        ended=None if fires else alert.ended_at or notified_at,
        rule_url=f"{base}/rules/{alert.rule_id}/",
        fingerprint=alert.fingerprint,
    )


def common(maps: Sequence[dict[str, str]]) -> dict[str, str]:
    """What all of them have in common."""
    first, *rest = maps
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in rest)}


def _why(delivery: Delivery) -> str:
    """Why this comes now, where it is not a change that just happened."""
    if delivery.why == Delivery.Why.REPEAT:
        return "Sent again since it still fires and nobody has acknowledged it."
    if delivery.note:
        return delivery.note
    if delivery.why == Delivery.Why.UNMUTED:
        return "It fired while it was muted, and still does."
    return ""
