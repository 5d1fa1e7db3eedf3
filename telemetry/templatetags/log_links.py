"""Where the buttons of a log line lead."""

from __future__ import annotations

from urllib.parse import urlencode

from django import template

from telemetry.pages.logs.logs import log_url, pattern_of
from telemetry.store.reading.logs import Log

register = template.Library()


@register.filter
def around_url(log: Log) -> str:
    """The address of a line's neighbours."""
    return log_url(log, "log-around")


@register.filter
def content_url(log: Log) -> str:
    """The address of a line's content."""
    return log_url(log, "log-content")


@register.filter
def pattern_query(log: Log) -> str:
    """The filter of the lines that are like this one, as a part of a URL."""
    return urlencode({"q": pattern_of(log)})
