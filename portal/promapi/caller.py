"""Whose request it is: an API key with the scope `query`, or a signed-in person; and which workspaces that may see."""

from __future__ import annotations

from base64 import b64decode

from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from alerts.series import portal_source
from portal.promapi.answers import Failed
from promql import Listing
from usage import access, keys


def workspaces_of(request: HttpRequest) -> frozenset[str] | None:
    """The workspaces that a request may see, None for all. Raises Failed."""
    header = request.headers.get("Authorization", "")
    if not header and request.user.is_authenticated:
        return access.read(request.user, request.GET).slugs
    try:
        caller, retry_after = keys.authenticate(as_bearer(header), timezone.now())
    except keys.Refused as refused:
        raise Failed("unauthorized", str(refused)) from refused
    except DatabaseError as away:
        raise Failed("unavailable", str(away), 10) from away
    if retry_after:
        raise Failed("too_many_requests", "more requests than this key may send per minute", retry_after)
    if "query" not in caller.scopes:
        raise Failed("forbidden", "this API key lacks the scope 'query'")
    return frozenset({caller.workspace})


def source_of(request: HttpRequest) -> Listing:
    """The series that a request may see."""
    return portal_source(workspaces_of(request))


def as_bearer(header: str) -> str:
    """The header, basic auth whose password is the key as a bearer: promtool and older clients can send nothing else."""
    scheme, _, coded = header.partition(" ")
    if scheme.lower() != "basic":
        return header
    try:
        _, _, password = b64decode(coded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return header
    return f"Bearer {password}"
