"""What the transports over HTTP share: which URL they take, and which answer is worth another try."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from alerts.transports.contract import DeliveryError
from usage.outbound import Forbidden, Unreachable, check_url, post

RETRIED = {408, 425, 429}


def url_problem(url: Any) -> str:
    """What is wrong with the URL of a channel; empty when it can be used."""
    if not isinstance(url, str) or not url.strip():
        return "is missing"
    try:
        check_url(url.strip())
    except Forbidden as error:
        return str(error)
    return ""


def host(url: str) -> str:
    """The harmless part of a URL whose path is a secret."""
    return urlsplit(url).netloc


def post_json(url: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> str:
    """POST as JSON; the reply when the answer is a success, else DeliveryError."""
    lines = {"Content-Type": "application/json", **(headers or {})}
    try:
        answer = post(url, json.dumps(body).encode(), lines)
    except Forbidden as error:
        raise DeliveryError(str(error), retry=False) from None
    except Unreachable as error:
        raise DeliveryError(str(error), retry=True) from None
    said = " ".join(answer.text.split())[:150]
    reply = f"HTTP {answer.status} {said}".rstrip()
    if 200 <= answer.status < 300:
        return reply
    if 300 <= answer.status < 400:
        raise DeliveryError(f"HTTP {answer.status}: redirects are not followed", retry=False, reply=reply)
    retry = answer.status >= 500 or answer.status in RETRIED
    raise DeliveryError(reply, retry=retry, after=answer.retry_after if retry else None, reply=reply)
