"""Pages that htmx asks for in part."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request that passed django-htmx's middleware."""

    htmx: HtmxDetails


def is_partial(request: HttpRequest) -> bool:
    """Whether htmx asks, which puts the answer into a page that is there."""
    return bool(cast(HtmxRequest, request).htmx)
