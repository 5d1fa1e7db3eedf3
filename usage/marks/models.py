"""The table of marks."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from core.accounts.models import Owned


class Mark(Owned):
    """A change of which somebody or a pipeline notified the portal. `labels` say what it concerns, in the words of the
    records' labels (`model`, `component` …); without any it concerns all of its workspace."""

    at = models.DateTimeField(default=timezone.now)
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True, max_length=2000)
    link = models.URLField(blank=True, max_length=500)
    labels = models.JSONField(default=dict, blank=True)
    author_name = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        app_label = "usage"
        ordering: ClassVar[list[str]] = ["-at", "-id"]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["at"], name="mark_by_time")]

    def __str__(self) -> str:
        return self.title

    def concerns(self, labels: dict[str, str]) -> bool:
        """Whether it may have to do with something of these labels: no label of both has two values."""
        return all(labels.get(name, value) == value for name, value in self.labels.items())
