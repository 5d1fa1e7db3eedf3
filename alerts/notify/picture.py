"""The chart of a message as a picture, for the transports that can show one."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import replace
from importlib import import_module

from django.db import DatabaseError

from alerts.evidence.changes import changes_around
from alerts.evidence.chart import figure
from alerts.models import Delivery, State
from alerts.notify.transports.contract import Message
from alerts.queries import alert_detail
from alerts.rules.expression import ExpressionError
from promql import PromQLError

logger = logging.getLogger(__name__)
# The transports that show pictures.
KINDS = frozenset({"email", "slack_bot", "discord", "telegram"})


def with_picture(message: Message, delivery: Delivery, kind: str, now: dt.datetime) -> Message:
    """The message with the chart of its first alert while it fires, of what the rule's workspace may see; as it was
    where there is none to draw: a message is never late or lost for its picture."""
    alert = delivery.flip.alert
    if kind not in KINDS or message.state != State.FIRING or alert.rule.external or alert.rule.record:
        return message
    slugs = None if alert.rule.workspace is None else {alert.rule.workspace.slug}
    try:
        drawn = figure(alert_detail(alert.pk, slugs), changes_around(alert, slugs, now), slugs, now)
        if not drawn["data"]:
            return message
        # Pillow is only imported where something is drawn.
        made = import_module("core.charts.picture").png(drawn, alert.rule.title or alert.rule.name, alert.rule.unit)
        return replace(message, picture=made)
    except (PromQLError, ExpressionError, ValueError, DatabaseError, type(alert).DoesNotExist):
        logger.info("no picture for alert %s", alert.pk, exc_info=True)
        return message
