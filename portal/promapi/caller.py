"""Whose request it is: an API key with the scope `query`, or a signed-in person; and which workspaces that may see."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from alerts.evaluation.series import portal_source
from core.accounts import keys, permissions
from portal.promapi.responses import Failed
from promql import Listing


def workspaces_of(request: HttpRequest) -> frozenset[str] | None:
    """The workspaces that a request may see, None for all. Raises Failed."""
    header = request.headers.get("Authorization", "")
    if not header and request.user.is_authenticated:
        return permissions.scope_of(request.user, request.GET).slugs
    try:
        caller, retry_after = keys.authenticate(keys.as_bearer(header), timezone.now())
    except keys.Refused as refused:
        raise Failed("unauthorized", str(refused)) from refused
    except DatabaseError as away:
        raise Failed("unavailable", str(away), 10) from away
    if retry_after:
        raise Failed("too_many_requests", "more requests than this key may send per minute", retry_after)
    if "query" not in caller.scopes:
        raise Failed("forbidden", "this API key lacks the scope 'query'")
    return caller.workspaces


def source_of(request: HttpRequest) -> Listing:
    """The series that a request may see."""
    return portal_source(workspaces_of(request))
