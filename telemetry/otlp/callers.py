"""Whose a request is: clients of OpenTelemetry send the API key in one of several headers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from http import HTTPStatus

from django.db import DatabaseError
from django.utils import timezone

from core.accounts import keys
from telemetry.otlp.answers import Problem

RETRY_SECONDS = 10
HEADERS = ("x-api-key", "api-key", "api_key")


def plaintext_of(headers: Mapping[str, str]) -> str:
    """The API key of a request, whose header names are in lower case; empty where there is none.

    `Authorization: Bearer <key>`, or Basic with the key as password (langfuse's SDK: the public key is any name, the
    secret key the API key), or one of HEADERS.
    """
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return next((headers[name].strip() for name in HEADERS if headers.get(name)), "")


def caller_of(headers: Mapping[str, str]) -> keys.Caller:
    """The caller of a request, whose header names are in lower case. Raises Problem."""
    plaintext = plaintext_of(headers)
    if not plaintext:
        raise Problem(
            HTTPStatus.UNAUTHORIZED, "send the API key as `Authorization: Bearer <key>` or `x-api-key: <key>`"
        )
    try:
        caller, retry_after = keys.authenticate(f"Bearer {plaintext}", timezone.now())
    except keys.Refused as refused:
        raise Problem(HTTPStatus.UNAUTHORIZED, str(refused)) from refused
    except DatabaseError as away:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(away), RETRY_SECONDS) from away
    if retry_after:
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "more requests than this key may send per minute", retry_after)
    if "ingest" not in caller.scopes:
        raise Problem(HTTPStatus.FORBIDDEN, "this API key lacks the scope 'ingest'")
    return caller
