"""Fields that resources share."""

from __future__ import annotations

import math
from typing import Any

from django.db.models import Model
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.managed import files_of

NAMES = {math.inf: "+Inf", -math.inf: "-Inf"}


@extend_schema_field(
    {"oneOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "+Inf", "-Inf"]}, {"type": "null"}]}
)
class SampleValue(serializers.Field[Any, Any, Any, Any]):
    """A number; where JSON has none, the text that Prometheus writes."""

    def to_representation(self, value: float | None) -> float | str | None:
        """The number or its name."""
        if value is None or math.isfinite(value):
            return value
        return NAMES.get(value, "NaN")


class Texts(serializers.DictField):
    """Names with texts."""

    child = serializers.CharField(allow_blank=True, trim_whitespace=False)


@extend_schema_field(serializers.CharField())
class ManagedBy(serializers.Field[Any, Any, Any, Any]):
    """The file that an object comes from; empty for what people made. A list asks once for all of its objects."""

    def __init__(self) -> None:
        self._files: dict[str, str] | None = None
        super().__init__(
            source="*",
            read_only=True,
            help_text=(
                "The file that it comes from (`manage.py apply`), which undoes other changes; empty: people made it."
            ),
        )

    def to_representation(self, value: Model) -> str:
        """The file's name."""
        if self._files is None:
            root = self.root
            listed = root.instance if isinstance(root, serializers.ListSerializer) else None
            self._files = files_of(type(value), listed or [value])
        return self._files.get(str(value.pk), "")
