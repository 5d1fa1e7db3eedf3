"""The tables of recorded series."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.accounts.models import Workspace


class RecordedSeries(models.Model):
    """A label set of a recorded metric. `labels` are without the metric's name; `workspace` is
    that of the rule, None for the portal's."""

    workspace = models.ForeignKey(Workspace, null=True, on_delete=models.CASCADE, related_name="+")
    metric = models.CharField(max_length=200)
    labels = models.JSONField()
    fingerprint = models.CharField(max_length=32, help_text="Hash of metric and labels.")
    first_at = models.DateTimeField(help_text="Its first sample.")

    class Meta:
        verbose_name_plural = "recorded series"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["workspace", "fingerprint"], nulls_distinct=False, name="recorded_series_once"
            )
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["metric"], name="recorded_series_metric")]

    def __str__(self) -> str:
        return f"{self.metric}{self.labels}"


class RecordedSlot(models.Model):
    """All samples that a rule recorded at one time.

    `series` are ids of `RecordedSeries` as little-endian int64, `values` float64 in the same order. A
    row without series says that those of the row before have ended. The rule's id is kept as a
    number: what was recorded outlives the rule.
    """

    rule_id = models.BigIntegerField()
    metric = models.CharField(max_length=200)
    at = models.DateTimeField()
    series = models.BinaryField()
    values = models.BinaryField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["metric", "rule_id", "at"], name="recorded_slot_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["metric", "at"], name="recorded_slot_time"),
            models.Index(fields=["at"], name="recorded_slot_age"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} at {self.at}"
