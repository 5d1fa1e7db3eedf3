"""10 notify, when a channel takes no more: what waits there goes as one message, a digest, and nothing is lost.

A channel with a limit of n messages in a span sends n - 1 as they come; the last of the n carries all that waits. While
the span is used up, messages wait until its first one is over. The deliveries of a digest share its id, so that a try
that is repeated says the same under the same key.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from django.conf import settings
from django.db.models import Count, Exists, Min, OuterRef, Q

from alerts.models import Alert, Channel, Delivery
from alerts.notify.incident_message import CARRIED, NAMED, alert_line, common
from alerts.notify.transports.contract import Message
from alerts.rules.models import gravity

BATCH = 5000
OPEN = (Delivery.State.PENDING, Delivery.State.SENDING)


def room(channel: Channel, now: dt.datetime) -> tuple[int, dt.datetime]:
    """How many messages the channel still takes, and when it takes the next one if that is none."""
    if channel.rate_limit is None:
        return BATCH, now
    span = dt.timedelta(seconds=channel.rate_seconds)
    sent = Delivery.objects.filter(channel=channel, state=Delivery.State.SENT, finished_at__gt=now - span)
    found = sent.aggregate(
        single=Count("id", filter=Q(digest=None)), digests=Count("digest", distinct=True), first=Min("finished_at")
    )
    # A digest that is to be tried again has its place.
    waiting = Delivery.objects.filter(channel=channel, state__in=OPEN, digest__isnull=False)
    left = channel.rate_limit - found["single"] - found["digests"] - waiting.values("digest").distinct().count()
    return max(left, 0), (found["first"] or now) + span


def gather(channel: Channel, now: dt.datetime) -> uuid.UUID | None:
    """Make a digest of what waits on the channel, and its id; None where that is one message. Call it with the channel
    locked."""
    later = Delivery.objects.filter(
        incident=OuterRef("incident"), channel=channel, pk__lt=OuterRef("pk"), state__in=OPEN, next_attempt_at__gt=now
    )
    waiting = Delivery.objects.filter(
        ~Exists(later), channel=channel, state__in=OPEN, digest=None, next_attempt_at__lte=now, incident__isnull=False
    )
    ids = list(waiting.order_by("id").values_list("pk", flat=True)[:BATCH])
    if len(ids) < 2:
        return None
    digest = uuid.uuid4()
    Delivery.objects.filter(pk__in=ids).update(digest=digest)
    return digest


def digest_message(parts: Sequence[Delivery], channel: Channel, now: dt.datetime) -> Message:
    """One message for all parts: of each incident what its newest part says, and what ended on the way."""
    newest = {part.incident_id: part for part in sorted(parts, key=lambda part: part.pk)}
    firing = {pk for part in newest.values() for pk in part.firing}
    over = {pk for part in parts for pk in part.resolved} - firing
    wanted = {*sorted(firing)[:CARRIED], *sorted(over)[:CARRIED], *(part.alert_id for part in newest.values())}
    alerts = Alert.objects.filter(pk__in=wanted).select_related("rule__runbook").in_bulk()
    carried = sorted(
        (alert for alert in alerts.values() if alert.pk in firing or alert.pk in over),
        key=lambda alert: (alert.pk not in firing, gravity(_severity(alert)), alert.pk),
    )[:CARRIED]
    incidents = sorted(newest.values(), key=lambda part: (not part.firing, gravity(_worst(part, alerts)), part.pk))
    base = settings.PORTAL.public_url
    counts = [f"{len(firing):,} firing"] if firing else []
    counts += [f"{len(over):,} resolved"] if over else []
    limit = (
        f"{channel.rate_limit:,} in {round(channel.rate_seconds / 60, 1):g} min" if channel.rate_limit else "no limit"
    )
    return Message(
        state="firing" if firing else "resolved",
        severity=min(
            (_worst(part, alerts) for part in incidents if part.firing or not firing),
            key=gravity,
        ),
        title=f"{len(incidents):,} incidents: {', '.join(counts)}",
        alertname="Digest",
        description="\n".join([*_lines(incidents, alerts), *_more(len(incidents))]),
        labels=common([alert.shown_labels for alert in carried]),
        annotations={},
        value="",
        threshold="",
        since=min(alert.fired_at or alert.active_at for alert in carried),
        at=max(part.created_at for part in parts),
        note=f"One message for {len(parts):,}: the channel takes {limit}.",
        rule_url=f"{base}/rules/",
        alert_url=f"{base}/incidents/",
        runbook_url="",
        runbook_title="",
        fingerprint="digest",
        key=f"digest-{parts[0].digest}",
        group_key=f"{{}}:{{digest={str(parts[0].digest)!r}}}",
        alerts=tuple(alert_line(alert, fires=alert.pk in firing, notified_at=now) for alert in carried),
        left_out=len(firing) + len(over) - len(carried),
    )


def _lines(incidents: Sequence[Delivery], alerts: dict[int, Alert]) -> list[str]:
    """The worst incidents, a line each."""
    lines = []
    for part in incidents[:NAMED]:
        count = len(part.firing) or len(part.resolved)
        more = f" and {count - 1:,} more" if count > 1 else ""
        state = _worst(part, alerts).capitalize() if part.firing else "Resolved"
        lines.append(f"{state}: {alerts[part.alert_id].title}{more}")
    return lines


def _more(count: int) -> list[str]:
    return [f"and {count - NAMED:,} more incidents"] if count > NAMED else []


def _severity(alert: Alert) -> str:
    return alert.labels.get("severity") or alert.rule.severity


def _worst(part: Delivery, alerts: dict[int, Alert]) -> str:
    """The worst severity among what the part says fires, else of what it is about."""
    ids = part.firing or [part.alert_id]
    raised = [part.incident.raised_to] if part.incident and part.incident.raised_to else []
    known = [_severity(alerts[pk]) for pk in ids if pk in alerts] or [_severity(alerts[part.alert_id])]
    return min([*raised, *known], key=gravity)
