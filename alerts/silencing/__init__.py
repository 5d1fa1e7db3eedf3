"""Silences that come again every week, and the notice before one ends."""
