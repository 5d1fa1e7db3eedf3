"""Writes of message templates, and how one would have written a message of the past."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction

from alerts.gotemplate import TemplateError, parse
from alerts.models import Alert, Channel, Delivery, Flip, Incident, MessageTemplate, State
from alerts.notify.incident_message import delivery_message
from alerts.notify.models import MAX_TEXT, MAX_TITLE
from alerts.notify.templates import written
from alerts.notify.transports.text import body, headline
from alerts.queries import seen_by
from core.accounts.models import Workspace
from core.audit.record import record, record_change, snapshot

AUDITED = ("kind", "title", "text")
SHOWN, GROUPED = 20, 200


class TemplateInvalid(ValueError):
    """A template that cannot be used. `errors` maps the field to what is wrong with it."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = errors


@dataclass(frozen=True)
class Preview:
    """A message of the past as the template writes it.

    `problem` says why it would be sent in the portal's own words instead.
    """

    headline: str
    body: str
    problem: str


def create_template(kind: str, title: str, text: str, *, workspace: Workspace | None) -> MessageTemplate:
    """A new one, for the workspace's channels or (None) the portal's. Raises TemplateInvalid."""
    check(kind, title, text)
    if MessageTemplate.objects.filter(workspace=workspace, kind=kind).exists():
        raise TemplateInvalid({"kind": "has a template already"})
    with transaction.atomic():
        made = MessageTemplate.objects.create(workspace=workspace, kind=kind, title=title, text=text)
        record("created", made, after=snapshot(made, AUDITED))
    return made


def update_template(template: MessageTemplate, *, title: str, text: str) -> MessageTemplate:
    """Change what it says. Raises TemplateInvalid."""
    check(template.kind, title, text)
    before = snapshot(template, AUDITED)
    with transaction.atomic():
        template.title, template.text = title, text
        template.save()
        record_change(template, before, snapshot(template, AUDITED))
    return template


def delete_template(template: MessageTemplate) -> None:
    """Go back to the portal's own words."""
    with transaction.atomic():
        record("deleted", template, before=snapshot(template, AUDITED))
        template.delete()


def check(kind: str, title: str, text: str) -> None:
    """Raises TemplateInvalid where it cannot be parsed, says nothing, or is too long."""
    errors = {}
    if kind and kind not in Channel.Kind.values:
        errors["kind"] = f"must be empty or one of {', '.join(Channel.Kind.values)}"
    if not title.strip() and not text.strip():
        errors["text"] = "is missing: without title and text a template changes nothing"
    for name, given, longest in (("title", title, MAX_TITLE), ("text", text, MAX_TEXT)):
        if len(given) > longest:
            errors[name] = f"has more than {longest:,} characters"
            continue
        try:
            parse(given)
        except TemplateError as error:
            errors[name] = str(error)
    if errors:
        raise TemplateInvalid(errors)


def past_alerts(workspaces: Collection[str] | None) -> list[Alert]:
    """Alerts that fired, the newest first, which a reader of these workspaces (None: all) may see."""
    fired = Alert.objects.filter(seen_by(workspaces), fired_at__isnull=False).select_related("rule")
    return list(fired.order_by("-fired_at", "-id")[:SHOWN])


def preview(
    title: str, text: str, alert: Alert, workspaces: Collection[str] | None, now: dt.datetime, *, grouped: bool
) -> Preview:
    """The message of the alert, or `grouped` of its incident as far as the reader sees it, in the template's words."""
    message = delivery_message(_past(alert, workspaces, grouped=grouped), now)
    message = dataclasses.replace(message, traces=(), evidence=(), note="")
    problem = ""
    try:
        check("", title, text)
        message = written(message, title, text)
    except TemplateInvalid as error:
        problem = str(error)
    except TemplateError as error:
        problem = str(error)
    return Preview(headline(message), body(message), problem)


def _past(alert: Alert, workspaces: Collection[str] | None, *, grouped: bool) -> Delivery:
    """The first message about it, not saved."""
    flip = Flip.objects.select_related("alert__rule__runbook").filter(alert=alert, to_state=State.FIRING).first()
    incident = Incident.objects.filter(members__alert=alert).order_by("-id").first()
    ids = [alert.pk]
    if grouped and incident is not None:
        others = Alert.objects.filter(seen_by(workspaces), memberships__incident=incident).exclude(pk=alert.pk)
        ids += list(others.order_by("id").values_list("pk", flat=True)[:GROUPED])
    if flip is None:
        flip = Flip(
            alert=alert,
            from_state=State.PENDING,
            to_state=State.FIRING,
            at=alert.fired_at or alert.active_at,
            value=alert.value,
            created_at=alert.fired_at or alert.active_at,
        )
    return Delivery(
        incident=incident or Incident(key="{}", opened_at=flip.at),
        alert=alert,
        flip=flip,
        firing=ids,
        created_at=flip.at,
    )
