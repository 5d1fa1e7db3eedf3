"""What a rule says of how it judges what it measures, beyond what Prometheus knows."""

from __future__ import annotations

from django.db import models


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

    class Meta:
        abstract = True
