"""What the transports over HTTP share: which URL they take, and which answer is worth another try."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import httpx

from alerts.notify.transports.contract import ConfigInvalid, DeliveryError
from core.net.outbound import Forbidden, Unreachable, check_url, post

RETRIED = {408, 425, 429}
MAX_TEXT = 1000


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


def parse_fields(raw: dict[str, Any], *, urls: dict[str, str | None], texts: dict[str, bool]) -> dict[str, Any]:
    """The configuration of a channel: `urls` with what an empty one stands for (None: it is required), `texts` of one
    word with whether they are required. ConfigInvalid describes the problems."""
    found, errors = {}, {}
    for name, default in urls.items():
        url = raw.get(name) or default or ""
        if problem := url_problem(url):
            errors[name] = problem
        found[name] = str(url).strip()
    for name, required in texts.items():
        text = raw.get(name) or ""
        if not isinstance(text, str) or not text.strip().isascii() or len(text.split()) > 1 or len(text) > MAX_TEXT:
            errors[name] = "must be one word of ASCII letters"
        elif required and not text.strip():
            errors[name] = "is missing"
        found[name] = str(text).strip()
    if errors:
        raise ConfigInvalid(errors)
    return found


def post_json(url: str, body: Any, headers: dict[str, str] | None = None) -> str:
    """POST as JSON; the reply when the answer is a success, else DeliveryError."""
    return post_for_answer(url, body, headers)[0]


def post_parts(url: str, fields: dict[str, str], name: str, picture: bytes) -> str:
    """POST a form with a picture under `name`, as post_json."""
    form = httpx.Request("POST", url, data=fields, files={name: ("chart.png", picture, "image/png")})
    return _posted(url, form.read(), {"Content-Type": form.headers["Content-Type"]})[0]


def post_bytes(url: str, body: bytes, content_type: str) -> str:
    """POST as it is, as post_json."""
    return _posted(url, body, {"Content-Type": content_type})[0]


def post_form(url: str, body: bytes, headers: dict[str, str]) -> tuple[str, str]:
    """POST an encoded form; the reply and the text of the answer, as post_for_answer."""
    return _posted(url, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})


def post_for_answer(url: str, body: Any, headers: dict[str, str] | None = None) -> tuple[str, str]:
    """The same, with the text of the answer."""
    return _posted(url, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})


def _posted(url: str, body: bytes, lines: dict[str, str]) -> tuple[str, str]:
    try:
        answer = post(url, body, lines)
    except Forbidden as error:
        raise DeliveryError(str(error), retry=False) from None
    except Unreachable as error:
        raise DeliveryError(str(error), retry=True) from None
    said = " ".join(answer.text.split())[:150]
    reply = f"HTTP {answer.status} {said}".rstrip()
    if 200 <= answer.status < 300:
        return reply, answer.text
    if 300 <= answer.status < 400:
        raise DeliveryError(f"HTTP {answer.status}: redirects are not followed", retry=False, reply=reply)
    retry = answer.status >= 500 or answer.status in RETRIED
    raise DeliveryError(reply, retry=retry, after=answer.retry_after if retry else None, reply=reply)
