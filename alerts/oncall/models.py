"""The tables of on-call schedules and escalation: schedules with rotations and overrides,
policies, and how far each incident has come."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.accounts.models import Owned


class Schedule(Owned):
    """Who is on call when. Rotations of a higher position come before others, then the calendar, then overrides."""

    name = models.CharField(max_length=100)
    time_zone = models.CharField(max_length=64, default="UTC", help_text="Handovers keep their hour on its clocks.")
    calendar = models.TextField(blank=True, help_text="iCalendar; its events name who is on call.")
    feed_number = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["name", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "name"], nulls_distinct=False, name="schedule_name_of_owner")
        ]

    def __str__(self) -> str:
        return self.name


class Rotation(models.Model):
    """People who follow each other, each for `shift_days` from the handover on; only on `weekdays` (0: Monday; empty:
    all) and from `begins` to `ends` (over midnight where it is earlier) where that is set."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="rotations")
    position = models.PositiveIntegerField(default=0)
    people = ArrayField(models.BigIntegerField(), help_text="Ids of the accounts, in turn.")
    first_day = models.DateField()
    handover = models.TimeField()
    shift_days = models.PositiveIntegerField(default=7)
    weekdays = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    begins = models.TimeField(null=True, blank=True)
    ends = models.TimeField(null=True, blank=True)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["position", "id"]

    def __str__(self) -> str:
        return f"rotation {self.pk} of {self.schedule}"


class Override(models.Model):
    """Somebody is on call instead of whoever it would be."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="overrides")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["starts_at", "id"]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["schedule", "ends_at"], name="override_end")]

    def __str__(self) -> str:
        return f"override {self.pk} of {self.schedule}"


class EscalationPolicy(Owned):
    """Steps that are taken one after the other until somebody acknowledges.

    A step is `{"delay_seconds": after the step before it, "severities": [] for all, "targets":
    ["schedule:1", "person:2", "channel:3"]}`.
    """

    name = models.CharField(max_length=100)
    steps = models.JSONField(default=list)
    repeats = models.PositiveSmallIntegerField(default=0, help_text="How often the steps are taken again.")
    repeat_seconds = models.PositiveIntegerField(default=300, help_text="From the last step until they are.")
    acknowledged_for_seconds = models.PositiveIntegerField(
        default=0, help_text="What still fires this long after it was acknowledged escalates again; 0: never."
    )
    without_tree = models.BooleanField(
        default=False, help_text="Taken for every incident of its owner while no routing tree is saved."
    )

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["name", "id"]
        verbose_name_plural = "escalation policies"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "name"], nulls_distinct=False, name="policy_name_of_owner")
        ]

    def __str__(self) -> str:
        return self.name


class Escalation(models.Model):
    """How far an incident has come in a policy, whose steps are those of when it began. `step` is the next one, due at
    `next_at` (None: somebody acknowledged, or it is over). `taken` is `[{"round", "step", "at", "names"}]`."""

    incident = models.ForeignKey("alerts.Incident", on_delete=models.CASCADE, related_name="escalations")
    policy = models.ForeignKey(EscalationPolicy, null=True, on_delete=models.SET_NULL, related_name="escalations")
    policy_name = models.CharField(max_length=100, help_text="Stays when the policy is gone.")
    steps = models.JSONField()
    repeats = models.PositiveSmallIntegerField(default=0)
    repeat_seconds = models.PositiveIntegerField(default=300)
    acknowledged_for_seconds = models.PositiveIntegerField(default=0)
    step = models.PositiveIntegerField(default=0)
    round = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(default=timezone.now)
    taken = models.JSONField(default=list)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["incident", "policy"], name="escalation_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="escalation_due")
        ]

    def __str__(self) -> str:
        return f"{self.policy_name} of incident {self.incident_id}"
