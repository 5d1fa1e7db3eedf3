"""The tables of routing: saved configurations, silences, incidents with their members and what people did with them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class RoutingVersion(models.Model):
    """One saved routing configuration, in Alertmanager's form; its receivers name channels
    (`portal_configs`). The newest is in force."""

    number = models.PositiveIntegerField(unique=True)
    configuration = models.JSONField()
    at = models.DateTimeField(default=timezone.now)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    author_name = models.CharField(max_length=150, blank=True)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["-number"]

    def __str__(self) -> str:
        return f"routing v{self.number}"


class Silence(models.Model):
    """Alerts that match all its matchers are not notified from its start to its end (exclusive).

    `author` gets a notice before it ends. `occurs_at` is the start of the window of `recurring` that it is.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    matchers = models.JSONField(help_text="[[name, operator, value], …]")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    comment = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    notice_claimed_at = models.DateTimeField(null=True, blank=True)
    notice_sent_at = models.DateTimeField(null=True, blank=True)
    recurring = models.ForeignKey(
        "alerts.RecurringSilence", null=True, blank=True, on_delete=models.SET_NULL, related_name="silences"
    )
    occurs_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["ends_at", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["recurring", "occurs_at"], name="silence_of_window_once")
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["ends_at"], name="silence_end")]

    def __str__(self) -> str:
        return f"silence {self.id}"

    def state(self, now: dt.datetime) -> str:
        """Alertmanager's word: pending, active or expired."""
        if now >= self.ends_at:
            return "expired"
        return "pending" if now < self.starts_at else "active"


class Incident(models.Model):
    """A group of alerts that are notified together, from its first alert until all have
    ended and everybody was notified of that.

    `key` is Alertmanager's group key. `flush_at` is when it is looked at next (None: at the next flip), `news_at` when
    its times allow it to tell what has changed, or to repeat; `anchor` is its first flush, from which its group
    intervals count. `notifications` counts the flushes that sent something.
    """

    digest = models.CharField(max_length=32, help_text="Of key and receiver.")
    key = models.TextField()
    receiver = models.CharField(max_length=200, blank=True, help_text="Empty without a routing tree.")
    group_labels = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    anchor = models.DateTimeField(null=True, blank=True)
    flush_at = models.DateTimeField(null=True, blank=True)
    news_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    notifications = models.PositiveIntegerField(default=0)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_until = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True, blank=True, help_text="When somebody resolved it by hand.")
    outcome = models.TextField(blank=True, help_text="How it ended, in the words of who resolved it.")
    raised_to = models.CharField(max_length=20, blank=True, help_text="The severity that somebody gave it.")
    merged_into = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="merged",
        help_text="The incident that goes on with its alerts; never one that was merged itself.",
    )

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["-opened_at", "-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["digest"], condition=Q(closed_at=None), name="incident_open_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["flush_at"], condition=Q(flush_at__isnull=False), name="incident_due"),
            models.Index(fields=["-opened_at"], name="incident_history"),
            models.Index(fields=["digest", "-opened_at"], name="incident_alike"),
            models.Index(fields=["resolved_at"], condition=Q(resolved_at__isnull=False), name="incident_resolved"),
        ]

    def __str__(self) -> str:
        return f"incident {self.pk}: {self.key}"

    @property
    def is_mixed(self) -> bool:
        """Whether it has alerts that its reader may not see, as queries for a reader say."""
        return bool(getattr(self, "has_others", False))

    def is_snoozed(self, now: dt.datetime) -> bool:
        """Whether it is quiet until later."""
        return self.snoozed_until is not None and now < self.snoozed_until


class Member(models.Model):
    """An alert of an incident. `notified`: a message said that it fires. `done`: it has
    ended and nobody waits for that news.

    `muted_by` says why it is not notified now; `merged_from` is the incident whose group the alert is of, where that
    was merged into this one.
    """

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="members")
    alert = models.ForeignKey("alerts.Alert", on_delete=models.CASCADE, related_name="memberships")
    notified = models.BooleanField(default=False)
    done = models.BooleanField(default=False)
    muted_by = models.TextField(blank=True)
    muted_since = models.DateTimeField(null=True, blank=True)
    merged_from = models.ForeignKey(Incident, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["incident", "alert"], name="member_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["incident"], condition=Q(done=False), name="member_of_incident")
        ]

    def __str__(self) -> str:
        return f"alert {self.alert_id} of incident {self.incident_id}"


class IncidentEvent(models.Model):
    """Something that a person did with an incident, or the portal's escalation."""

    class Kind(models.TextChoices):
        ACKNOWLEDGED = "acknowledged"
        UNACKNOWLEDGED = "unacknowledged"
        SNOOZED = "snoozed"
        COMMENT = "comment"
        ESCALATED = "escalated"
        LAPSED = "lapsed"
        OWNED = "owned"
        RAISED = "raised"
        RESOLVED = "resolved"
        TICKED = "ticked"
        UNTICKED = "unticked"
        MERGED = "merged"
        SEPARATED = "separated"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    at = models.DateTimeField(default=timezone.now)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    author_name = models.CharField(max_length=150, blank=True)
    text = models.TextField(blank=True)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} by {self.author_name}"


def digest_of(key: str, receiver: str) -> str:
    """What tells open incidents apart."""
    return hashlib.md5(json.dumps([key, receiver]).encode(), usedforsecurity=False).hexdigest()


def group_key(route_key: str, labels: dict[str, Any]) -> str:
    """Alertmanager's group key: the route's key and the labels that the group has in common."""
    inner = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{route_key}:{{{inner}}}"
