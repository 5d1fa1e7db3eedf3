"""Rules of labels, as they are kept."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from core.accounts.models import Owned
from usage.catalog import KINDS

LABELS = {kind.name: kind.open_labels for kind in KINDS.values() if kind.open_labels}


class LabelRule(Owned):
    """What becomes of a label's values: of one workspace's records, or of all. Rules apply one after the other, by
    their ids."""

    REPLACE, DROP, CHARACTERS, SEGMENTS = "replace", "drop", "characters", "segments"
    ACTIONS = (
        (REPLACE, "replace the value"),
        (DROP, "drop the label"),
        (CHARACTERS, "keep the first characters"),
        (SEGMENTS, "keep the first segments"),
    )
    kind = models.CharField(max_length=40, choices=[(name, name) for name in LABELS])
    label = models.CharField(max_length=40, help_text="One that clients choose, such as model or component.")
    regex = models.CharField(
        max_length=500,
        default=".*",
        help_text="The values that it applies to: an RE2 pattern of the whole value, as in Prometheus.",
    )
    action = models.CharField(max_length=20, choices=ACTIONS, default=REPLACE)
    replacement = models.CharField(
        max_length=200, blank=True, help_text="With groups of the pattern, such as $1; for “replace the value”."
    )
    keep = models.PositiveSmallIntegerField(
        default=1, help_text="How many characters or segments; for “keep the first …”."
    )
    separator = models.CharField(max_length=5, default="-", help_text="Between segments.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return f"{self.label} of {self.kind}: {self.get_action_display()}"
