"""The base of the resources' filters."""

from __future__ import annotations

import django_filters


class Filters(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Filters of a list, as parameters of its URL."""
