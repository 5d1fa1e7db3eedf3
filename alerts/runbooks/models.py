"""The tables of runbooks: each with every text that it had."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from core.accounts.models import Owned


class Runbook(Owned):
    """What to do about a rule; its text is the newest `RunbookVersion`."""

    slug = models.SlugField(unique=True, max_length=100)
    title = models.CharField(max_length=200)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["title"]

    def __str__(self) -> str:
        return self.title

    @property
    def edition_mark(self) -> int:
        """The number of the newest text, by which an editor sees that there is another."""
        return self.versions.values_list("number", flat=True).first() or 0


class RunbookVersion(models.Model):
    """One saved text of a runbook, Markdown. Numbers count from 1."""

    runbook = models.ForeignKey(Runbook, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    author_name = models.CharField(max_length=150, blank=True, help_text="Stays when the account is gone.")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["-number"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["runbook", "number"], name="runbook_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.runbook.slug} v{self.number}"
