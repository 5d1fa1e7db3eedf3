"""The table of the canary's runs."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.db import models


class CanaryRun(models.Model):
    """One way of the canary: when its record was sent, when its alert fired, when the message arrived."""

    slot = models.BigIntegerField(unique=True, help_text="Which of the intervals since the Unix epoch it stands for.")
    sent_at = models.DateTimeField()
    found_at = models.DateTimeField(null=True)
    arrived_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-sent_at"]

    def __str__(self) -> str:
        return f"canary of {self.sent_at}"

    def delay(self, now: dt.datetime) -> float:
        """Seconds that it took, or has taken so far."""
        return ((self.arrived_at or now) - self.sent_at).total_seconds()
