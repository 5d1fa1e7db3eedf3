"""The table of silences that recur."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone


class RecurringSilence(models.Model):
    """A silence of every week: on `weekdays` (0: Monday) from `begins` to `ends`, over midnight if that is not later.

    Times are of the clocks of `time_zone`. The last one begins on `last_day` (None: it goes on for good). Each is a
    silence of its own, made one ahead.
    """

    matchers = models.JSONField(help_text="[[name, operator, value], …]")
    weekdays = ArrayField(models.PositiveSmallIntegerField())
    begins = models.TimeField()
    ends = models.TimeField()
    time_zone = models.CharField(max_length=64, default="UTC")
    last_day = models.DateField(null=True, blank=True)
    comment = models.TextField()
    created_by = models.CharField(max_length=200)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return f"recurring silence {self.pk}"
