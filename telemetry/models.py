"""What people keep of the pages of traces and logs. What arrives is in tables of its own (telemetry/store)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from core.accounts.models import Owned


class SavedView(Owned):
    """A search of traces or logs by a name, for everybody who sees its workspace."""

    PAGES = (("traces", "traces"), ("logs", "logs"))
    page = models.CharField(max_length=10, choices=PAGES)
    name = models.CharField(max_length=60)
    query = models.CharField(
        max_length=2000, blank=True, help_text="Filters, time and order, as the page's address has them."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "page", "name"], nulls_distinct=False, name="saved_view_name_of_owner"
            )
        ]

    def __str__(self) -> str:
        return f"{self.page}: {self.name}"
