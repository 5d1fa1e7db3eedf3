"""1 ingest to 10 notify, tried: the record is sent, and how long the newest way took is kept as a gauge.

`PortalCanary`, a shadow rule, fires while the record is younger than a minute. Its flip makes a delivery to a channel
of the portal's own (`deliver`), which is queued, claimed and sent as any other; sending it notes the arrival
(`channel`).
"""

from __future__ import annotations

import datetime as dt

import msgspec
from django.conf import settings

from alerts.canary.models import CanaryRun
from alerts.models import Rule, RuleGroup, Severity
from core.accounts.keys import Caller
from usage.ingest import pipeline
from usage.store import gauges

RECORD, DELAY = "portal_canary_sent_timestamp_seconds", "portal_canary_delay_seconds"
MARK = {"canary": True}
# A record of no workspace, as the portal's own numbers are: nobody's usage.
CALLER = Caller(0, 0, "", frozenset({"ingest"}))
INTERVAL, FRESH = 15, 60
KEPT = dt.timedelta(days=30)


def pulse(now: dt.datetime) -> None:
    """Send the record of this interval, unless that was done, and keep the delay."""
    minutes = settings.PORTAL.canary_minutes
    if not minutes:
        return
    slot = int(now.timestamp()) // (60 * minutes)
    if not CanaryRun.objects.filter(slot=slot).exists():
        ensure_rule()
        _, is_ours = CanaryRun.objects.get_or_create(slot=slot, defaults={"sent_at": now})
        if is_ours:
            send(now)
    gauges.keep({gauges.gauge_key(DELAY, {}): current_delay(now)}, now)


def send(now: dt.datetime) -> None:
    """Bring the record in as a client's would come."""
    record = {"kind": "gauge", "metric": RECORD, "value": now.timestamp(), "at": now.timestamp()}
    pipeline.ingest(msgspec.json.encode(record), CALLER, now.timestamp())


def current_delay(now: dt.datetime) -> float:
    """What the newest way took that has arrived; where a later one has not, how long the first of these has taken so
    far."""
    arrived = CanaryRun.objects.exclude(arrived_at=None).order_by("-sent_at").first()
    waiting = CanaryRun.objects.filter(arrived_at=None)
    if arrived is not None:
        waiting = waiting.filter(sent_at__gt=arrived.sent_at)
    run = waiting.order_by("sent_at").first() or arrived
    return run.delay(now) if run is not None else 0.0


def ensure_rule() -> Rule:
    """The canary's rule, made where it is missing: in a group of its own, which is evaluated often."""
    group, _ = RuleGroup.objects.get_or_create(name="canary", defaults={"interval_seconds": INTERVAL})
    rule, _ = Rule.objects.get_or_create(
        name="PortalCanary",
        workspace=None,
        defaults={
            "group": group,
            "title": "The portal's own test of the way from a record to a message",
            "expr": f"time() - {RECORD} < $threshold",
            "threshold": FRESH,
            "unit": "s",
            "severity": Severity.INFO,
            "shadow": True,
            "origin": MARK,
            "annotations": {"summary": "The canary's record has arrived"},
        },
    )
    return rule


def forget(now: dt.datetime) -> int:
    """Delete old runs; how many."""
    return CanaryRun.objects.filter(sent_at__lt=now - KEPT).delete()[0]
