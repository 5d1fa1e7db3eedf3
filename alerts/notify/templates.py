"""Messages in the words of their owners: a template in Go's language makes title and text of what a message says.

Whatever is wrong with a template, the message is sent: in the portal's own words, with a note that says what was wrong.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import re

from django.conf import settings
from django.db.models import F, Q

from alerts.gotemplate import Items, Struct, TemplateError, fill_in
from alerts.models import Channel, MessageTemplate
from alerts.notify.transports.contract import AlertLine, Message
from alerts.notify.transports.webhook import NEVER, stamp

logger = logging.getLogger(__name__)
LONGEST_TITLE, LONGEST_TEXT = 500, 20_000
_NUMBER = re.compile(r"-?[\d.,]+")


def template_of(channel: Channel) -> MessageTemplate | None:
    """The template that the channel's messages are written with; None: the portal's own words."""
    fitting = MessageTemplate.objects.filter(
        Q(workspace=None) | Q(workspace=channel.workspace_id), kind__in=["", channel.kind]
    )
    return fitting.order_by(F("workspace").asc(nulls_last=True), "-kind").first()


def apply_template(message: Message, template: MessageTemplate | None) -> Message:
    """The message as its channel's template (see `template_of`) writes it. Never fails."""
    if template is None:
        return message
    try:
        return written(message, template.title, template.text)
    except TemplateError as error:
        reason = str(error)
    except Exception as error:
        logger.exception("message template %s broke", template.pk)
        reason = type(error).__name__
    note = f"The message template could not be used: {reason[:300]}."
    return dataclasses.replace(message, note=" ".join(filter(None, [message.note, note])))


def written(message: Message, title: str, text: str) -> Message:
    """The message with title and text filled in; an empty one leaves the message's own. Raises TemplateError."""
    root, labels = data_of(message), message.labels
    value = float(found[0].replace(",", "")) if (found := _NUMBER.match(message.value)) else 0.0
    new_title = " ".join(fill_in(title, root, labels, value).split())[:LONGEST_TITLE] if title.strip() else ""
    new_text = fill_in(text, root, labels, value).strip()[:LONGEST_TEXT] if text.strip() else message.description
    return dataclasses.replace(message, title=new_title or message.title, description=new_text)


def data_of(message: Message) -> Struct:
    """What a template sees as `.`: Alertmanager's names, and the portal's."""
    lines = [(line.firing, _alert(line)) for line in message.alerts]
    firing, resolved = Items(one for fires, one in lines if fires), Items(one for fires, one in lines if not fires)
    return Struct(
        {
            "Status": "resolved" if message.state == "resolved" else "firing",
            "Severity": message.severity,
            "Title": message.title,
            "Description": message.description,
            "AlertName": message.alertname,
            "Value": message.value,
            "Threshold": message.threshold,
            "Note": message.note,
            "Receiver": message.receiver,
            "GroupLabels": message.group_labels,
            "CommonLabels": message.labels,
            "CommonAnnotations": message.annotations,
            "Alerts": Items((one for _, one in lines), Firing=firing, Resolved=resolved),
            "TruncatedAlerts": message.left_out,
            "StartsAt": _time(message.since),
            "ExternalURL": settings.PORTAL.public_url,
            "AlertURL": message.alert_url,
            "RuleURL": message.rule_url,
            "RunbookURL": message.runbook_url,
        }
    )


def _alert(line: AlertLine) -> Struct:
    return Struct(
        {
            "Status": "firing" if line.firing else "resolved",
            "Labels": line.labels,
            "Annotations": line.annotations,
            "StartsAt": _time(line.since),
            "EndsAt": NEVER if line.ended is None else _time(line.ended),
            "GeneratorURL": line.rule_url,
            "Fingerprint": line.fingerprint,
        }
    )


def _time(at: dt.datetime) -> str:
    return stamp(at.replace(microsecond=0))
