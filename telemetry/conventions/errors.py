"""What went wrong with a span, in its own words and in the closed sets of the metric catalog."""

from __future__ import annotations

import re

from telemetry.conventions.keys import HTTP_STATUS
from telemetry.otlp.signals import RawSpan, number_of, text_of

ERROR, OK = 2, 1  # OpenTelemetry's status codes
_STATUS_IN_TEXT = re.compile(r"(?:error|status)[ _]?code\D{0,3}([45]\d\d)", re.IGNORECASE)
# Parts of the names that libraries give to errors, in lower case without `_`, and the category of a call that failed
# so.
_NAMES = (
    ("rate_limit", ("ratelimit", "toomanyrequests", "throttl", "quota")),
    ("timeout", ("timeout", "timedout", "deadline")),
    ("auth", ("auth", "permission", "apikey", "forbidden", "credential")),
    ("server_error", ("server", "internal", "overloaded", "unavailable", "connection", "badgateway")),
    (
        "invalid_request",
        ("badrequest", "invalid", "notfound", "unprocessable", "validation", "contextlength", "contentfilter"),
    ),
)
_TOOL_NAMES = (
    ("timeout", ("timeout", "timedout", "deadline")),
    ("connection", ("connect", "network", "unavailable", "closed", "dns")),
    ("validation", ("validation", "invalid", "schema", "valueerror", "typeerror")),
)


def error_of(span: RawSpan) -> str:
    """What a span that failed names its error; "" for one that did not fail."""
    named = text_of(span.attributes.get("error.type"))
    if named or (span.status != ERROR and not span.events):
        return named
    for event in span.events if span.status != OK else ():
        if event.name == "exception":
            return text_of(event.attributes.get("exception.type")) or "exception"
    return "error" if span.status == ERROR else ""


def http_status(span: RawSpan) -> int | None:
    """The HTTP status that a span tells, in an attribute or in the words of its status."""
    for name in HTTP_STATUS:
        number = number_of(span.attributes.get(name))
        if number is not None and 100 <= number < 600:
            return number
    found = _STATUS_IN_TEXT.search(span.message)
    return int(found[1]) if found else None


def call_error(span: RawSpan, error: str) -> str:
    """The category of a model call's error: auth, rate_limit, invalid_request, server_error, timeout or unknown."""
    status = http_status(span)
    if status == 429:
        return "rate_limit"
    if status in (408, 504):
        return "timeout"
    if status in (401, 403):
        return "auth"
    if status is not None and status >= 500:
        return "server_error"
    # LiteLLM puts the provider's own code beside a class that says less.
    found = named(text_of(span.attributes.get("error.code")), _NAMES[:3]) or named(error, _NAMES)
    return found or ("invalid_request" if status is not None and status >= 400 else "unknown")


def category(error: str) -> str:
    """The category of a model call's error of which only the name is known."""
    return named(error, _NAMES) or "unknown"


def tool_error(error: str) -> str:
    """The category of a tool call's error: connection, validation, timeout or execution."""
    return named(error, _TOOL_NAMES) or "execution"


def named(error: str, names: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    """The category that an error's name belongs to, or "" ."""
    plain = error.lower().replace("_", "")
    return next((category for category, parts in names if any(part in plain for part in parts)), "")
