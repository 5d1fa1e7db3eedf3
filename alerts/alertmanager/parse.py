"""What clients send, read as Alertmanager reads it. Whatever is wrong is a `BadRequest` with its reason."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from typing import Any

from alerts.routing.configuration import RESOLVE_TIMEOUT
from alerts.routing.matchers import Matcher, MatcherError, Matchers, parse_matcher
from core.pg.text import storable

MAX_BYTES, MAX_ALERTS, MAX_LABELS, MAX_TEXT = 16_000_000, 10_000, 64, 10_000
ZERO = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
FNV_OFFSET, FNV_PRIME = 14_695_981_039_346_656_037, 1_099_511_628_211


class BadRequest(ValueError):
    """A request that Alertmanager would refuse."""


@dataclass(frozen=True)
class PostedAlert:
    """One alert as it was sent. It fires until `ends_at`."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: dt.datetime
    ends_at: dt.datetime

    @property
    def fingerprint(self) -> str:
        """Prometheus's: FNV-1a over the sorted labels."""
        value = FNV_OFFSET
        for name, text in sorted(self.labels.items()):
            for byte in name.encode() + b"\xff" + text.encode() + b"\xff":
                value = (value ^ byte) * FNV_PRIME & 0xFFFF_FFFF_FFFF_FFFF
        return f"{value:016x}"


@dataclass(frozen=True)
class PostedSilence:
    """A silence as it was sent; `id` is None for a new one."""

    id: uuid.UUID | None
    matchers: Matchers
    starts_at: dt.datetime
    ends_at: dt.datetime
    created_by: str
    comment: str


def read_json(body: bytes) -> Any:
    """The body."""
    if len(body) > MAX_BYTES:
        raise BadRequest(f"the body is larger than {MAX_BYTES:,} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None


def read_alerts(
    raw: Any, now: dt.datetime, workspace: str | None, timeout: dt.timedelta
) -> tuple[list[PostedAlert], list[str]]:
    """The good alerts, and what is wrong with the others. A key of one workspace sends alerts of that workspace
    only."""
    if not isinstance(raw, list) or len(raw) > MAX_ALERTS:
        raise BadRequest(f"the body must be a list of at most {MAX_ALERTS:,} alerts")
    found, errors = {}, []
    for entry in raw:
        try:
            alert = _alert(entry, now, workspace, timeout)
        except BadRequest as error:
            errors.append(str(error))
        else:
            found[alert.fingerprint] = alert
    return list(found.values()), errors


def read_silence(raw: Any) -> PostedSilence:
    """A silence."""
    if not isinstance(raw, dict):
        raise BadRequest("the body must be an object")
    matchers = raw.get("matchers")
    if not isinstance(matchers, list) or not matchers or len(matchers) > MAX_LABELS:
        raise BadRequest("matchers must be a list of at least one matcher")
    created_by, comment = raw.get("createdBy"), raw.get("comment")
    if not isinstance(created_by, str) or not isinstance(comment, str) or len(comment) > MAX_TEXT:
        raise BadRequest("createdBy and comment must be text")
    starts_at, ends_at = _time(raw.get("startsAt"), "startsAt"), _time(raw.get("endsAt"), "endsAt")
    if starts_at is None or ends_at is None:
        raise BadRequest("startsAt and endsAt are required")
    found = tuple(_matcher(entry) for entry in matchers)
    return PostedSilence(_id(raw.get("id")), found, starts_at, ends_at, storable(created_by)[:200], storable(comment))


def read_filters(texts: list[str]) -> Matchers:
    """The query's `filter` parameters: one matcher each."""
    try:
        return tuple(parse_matcher(text) for text in texts[:MAX_LABELS])
    except MatcherError as error:
        raise BadRequest(f"bad matcher format: {error}") from None


def _alert(raw: Any, now: dt.datetime, workspace: str | None, timeout: dt.timedelta) -> PostedAlert:
    if not isinstance(raw, dict):
        raise BadRequest("an alert must be an object")
    labels = {name: value for name, value in _texts(raw.get("labels"), "labels").items() if value}
    if not labels:
        raise BadRequest("at least one label pair required")
    if workspace is not None:
        labels["workspace"] = workspace
    starts_at, ends_at = _time(raw.get("startsAt"), "startsAt"), _time(raw.get("endsAt"), "endsAt")
    if starts_at is None:
        starts_at = min(ends_at, now) if ends_at is not None else now
    if ends_at is None:
        ends_at = now + (timeout or RESOLVE_TIMEOUT)
    if starts_at > ends_at:
        raise BadRequest("start time must be before end time")
    return PostedAlert(labels, _texts(raw.get("annotations") or {}, "annotations"), starts_at, ends_at)


def _texts(raw: Any, what: str) -> dict[str, str]:
    if not isinstance(raw, dict) or len(raw) > MAX_LABELS:
        raise BadRequest(f"{what} must be an object of at most {MAX_LABELS} texts")
    found = {}
    for name, value in raw.items():
        if not name or not isinstance(value, str) or len(name) > MAX_TEXT or len(value) > MAX_TEXT:
            raise BadRequest(f"invalid {what}: {name[:100]!r}")
        found[storable(name)] = storable(value)
    return found


def _time(raw: Any, what: str) -> dt.datetime | None:
    """None where it is missing, or Go's zero time."""
    if raw in (None, ""):
        return None
    try:
        at = dt.datetime.fromisoformat(raw)
    except (ValueError, TypeError):
        raise BadRequest(f"{what} is not a time as 2026-03-02T10:00:00Z") from None
    if at.tzinfo is None:
        raise BadRequest(f"{what} has no time zone")
    return None if at <= ZERO else at


def _matcher(raw: Any) -> Matcher:
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str) or not isinstance(raw.get("value"), str):
        raise BadRequest("a matcher needs name, value and isRegex")
    op = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
    try:
        chosen = op[bool(raw.get("isEqual", True)), bool(raw.get("isRegex"))]
        return Matcher(storable(raw["name"]), chosen, storable(raw["value"]))
    except MatcherError as error:
        raise BadRequest(f"invalid matcher: {error}") from None


def _id(raw: Any) -> uuid.UUID | None:
    if not raw:
        return None
    try:
        return uuid.UUID(str(raw))
    except ValueError:
        raise BadRequest("id is not a UUID") from None
