"""Groups of rules, and what a rule says of how it judges what it measures."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone


class Severity(models.TextChoices):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


SEVERITY_ORDER = {name: place for place, name in enumerate(Severity.values)}


def gravity(severity: str) -> int:
    """Where a severity comes, the gravest at 0; what is none of ours comes last."""
    return SEVERITY_ORDER.get(severity, len(SEVERITY_ORDER))


class WithoutData(models.TextChoices):
    """What a rule does at a slot at which nothing is known: as if nothing were wrong, nothing, or an alert of its
    own."""

    OK = "ok", "Count as all right"
    KEEP = "keep", "Leave its alerts as they are"
    ALERT = "alert", "Raise an alert"


class JudgedModel(models.Model):
    """The part of a rule that says when an alert ends, and what counts while little or nothing is known."""

    recovery_threshold = models.FloatField(
        null=True, blank=True, help_text="An alert that fires ends only when the value is back beyond this."
    )
    min_events = models.FloatField(
        default=0, help_text="Of a ratio: how many events its divisor must have counted; 0 takes any number."
    )
    no_data = models.CharField(
        max_length=5,
        choices=WithoutData.choices,
        default=WithoutData.OK,
        help_text="What happens while there is nothing to compare.",
    )
    on_error = models.CharField(
        max_length=5,
        choices=WithoutData.choices,
        default=WithoutData.KEEP,
        help_text="What happens while the query fails.",
    )
    flap_limit = models.PositiveIntegerField(
        default=0,
        help_text="An alert that begins to fire more often than this within an hour goes on firing. 0: never.",
    )
    shadow = models.BooleanField(
        default=False, help_text="It is evaluated and shown on its own pages, and nobody is notified."
    )
    thresholds = models.JSONField(
        default=list,
        blank=True,
        help_text="Thresholds of some label sets, the first that matches: match, threshold and what else is different.",
    )

    class Meta:
        abstract = True


# Annotations by which files keep what FiledModel has.
FILED = ("folder", "owner", "team")
LONGEST_FILED = 100


class FiledModel(models.Model):
    """The part of a rule that says where people find it, and who answers for it."""

    folder = models.CharField(
        max_length=LONGEST_FILED, blank=True, help_text="Under which it is listed; Grafana's folder."
    )
    owner = models.CharField(
        max_length=LONGEST_FILED, blank=True, help_text="Who answers for it; empty: its label `owner`."
    )
    team = models.CharField(max_length=LONGEST_FILED, blank=True, help_text="Whose it is; empty: its label `team`.")

    class Meta:
        abstract = True


class BoundModel(models.Model):
    """What an alert is judged by: its rule's own threshold, `for`, severity and channels, or those of its label set.

    All are of its last sample."""

    severity = models.CharField(max_length=20, choices=Severity.choices, default=Severity.WARNING)
    threshold = models.FloatField(null=True, blank=True)
    for_seconds = models.PositiveIntegerField(default=0)
    channel_names = models.JSONField(default=list, blank=True, help_text="Empty: the channels of its rule.")

    class Meta:
        abstract = True


class RuleGroup(models.Model):
    """Rules that are evaluated together, in order, at one timestamp per slot (a multiple
    of the interval since the Unix epoch)."""

    name = models.CharField(max_length=200, unique=True)
    interval_seconds = models.PositiveIntegerField(default=60, validators=[MinValueValidator(5)])
    query_offset_seconds = models.PositiveIntegerField(
        default=0, help_text="How far behind its slot a rule is queried, for data that come late."
    )
    limit = models.PositiveIntegerField(
        default=0, help_text="A rule with more alerts or series than this fails; 0 allows any number."
    )
    labels = models.JSONField(default=dict, blank=True, help_text="Labels of all its rules, under a rule's own.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    evaluated_until = models.DateTimeField(null=True, blank=True, editable=False, help_text="The last slot evaluated.")
    reopen_from = models.DateTimeField(
        null=True, editable=False, help_text="Slots from here on are to be evaluated again: records came late."
    )
    last_evaluated_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_duration_seconds = models.FloatField(null=True, blank=True, editable=False)
    slots_skipped = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Missed slots that were too old to be made up for."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name
