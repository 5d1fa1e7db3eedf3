"""The table of message templates."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.accounts.models import Owned

MAX_TITLE, MAX_TEXT = 1000, 20_000


class MessageTemplate(Owned):
    """How messages to channels of a kind read, in Go's template language.

    An empty title or text leaves the portal's own. One of a workspace is for the workspace's channels and comes before
    the portal's; one for a kind comes before one for all kinds.
    """

    kind = models.CharField(max_length=20, blank=True, help_text="The kind of channel; empty: every kind.")
    title = models.CharField(max_length=MAX_TITLE, blank=True)
    text = models.TextField(max_length=MAX_TEXT, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "alerts"
        ordering: ClassVar[list[str]] = ["workspace_id", "kind"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "kind"], nulls_distinct=False, name="message_template_of_kind")
        ]

    def __str__(self) -> str:
        return f"messages to {self.kind or 'every kind'}"
