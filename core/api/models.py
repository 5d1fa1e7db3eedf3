"""Answers kept for requests that are sent again, and which objects come from files."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone


class AnsweredRequest(models.Model):
    """The answer to a POST with an `Idempotency-Key`, for a day. `holder` is the person or API key that sent it."""

    holder = models.CharField(max_length=40)
    key = models.CharField(max_length=255)
    request = models.CharField(max_length=64, help_text="SHA-256 of address and body.")
    at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.JSONField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["holder", "key"], name="answered_request_once")
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["at"], name="answered_request_at")]

    def __str__(self) -> str:
        return f"{self.holder} {self.key}"


class ManagedObject(models.Model):
    """An object that `manage.py apply` made from a file: people are warned before they edit it, as the file would
    win."""

    kind = models.CharField(max_length=40)
    object_id = models.CharField(max_length=40)
    file = models.CharField(max_length=500)
    applied_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["kind", "object_id"], name="managed_object_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}"
