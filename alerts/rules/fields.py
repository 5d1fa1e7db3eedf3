"""Fields that several forms of rules have."""

from __future__ import annotations

from typing import Any

from django import forms

from core.ui import durations


class SpanField(forms.CharField):
    """A span of time, typed as 15m; its value is seconds."""

    def prepare_value(self, value: Any) -> Any:
        """Seconds as they are typed; text stays as it was."""
        return durations.format_short(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        """Seconds; empty means none."""
        text = super().to_python(value)
        try:
            return durations.parse(text) if text else 0
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
