"""The table of the audit log. Postgres refuses to change or delete its rows; old ones go with their month's
partition."""

from __future__ import annotations

from typing import Any

from django.db import models


class AuditLine(models.Model):
    """One change. It names what it is about by text, without references, so that it outlives people and objects."""

    class Via(models.TextChoices):
        PAGE = "page"
        API = "api", "API"
        ADMIN = "admin"
        APPLY = "apply"
        TASK = "task"
        COMMAND = "command"

    at = models.DateTimeField()
    actor_id = models.BigIntegerField(null=True, help_text="The user's id; null for a key or the portal itself.")
    actor = models.CharField(max_length=200, help_text="Name of the user or key, or `portal`.")
    via = models.CharField(max_length=10, choices=Via.choices)
    address = models.GenericIPAddressField(null=True, help_text="Where the request came from.")
    action = models.CharField(max_length=60, help_text="What was done: created, changed, deleted …")
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=100)
    object_name = models.CharField(max_length=300)
    workspace = models.CharField(max_length=100, null=True, help_text="Slug; null for the whole portal.")  # noqa: DJ001 null is the portal's
    before = models.JSONField(null=True, help_text="The fields that changed, as they were; secrets are masked.")
    after = models.JSONField(null=True, help_text="The same fields as they are now.")

    class Meta:
        managed = False
        db_table = "audit_line"
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object_type} {self.object_name}"

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """Each field with its old and new value."""
        before, after = self.before or {}, self.after or {}
        return [(name, before.get(name), after.get(name)) for name in {**before, **after}]
