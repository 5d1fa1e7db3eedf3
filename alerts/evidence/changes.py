"""What was changed shortly before an alert began, and while it fired: deploys and other marks, prices, its rule, API
keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse

from alerts.evidence.origins import HOUR, counted_by
from alerts.models import Alert, RuleChange
from core.accounts.models import ApiKey
from usage.boards.queries import prices_between
from usage.marks.queries import marks_between

MAX_CHANGES = 20


@dataclass(frozen=True)
class Change:
    """One change. `short` is its name on a chart, `strong` and `after` the words of a list; `link` leads to more."""

    at: dt.datetime
    short: str
    strong: str
    after: str = ""
    link: str = ""


def changes_around(alert: Alert, workspaces: Collection[str] | None, now: dt.datetime) -> list[Change]:
    """The changes that may have to do with the alert, from an hour before its start until its end, the oldest first,
    as far as a reader of these workspaces (None: all) may see them."""
    start, end = alert.active_at - HOUR, alert.ended_at or now
    own = alert.labels.get("workspace")
    if own and workspaces is not None and own not in workspaces:
        return []
    scope = {own} if own else workspaces
    found = [
        *_marks(alert, start, end, scope),
        *_prices(alert, start, end),
        *_edits(alert, start, end),
        *_keys(start, end, scope),
    ]
    return sorted(found, key=lambda change: change.at)


def _marks(alert: Alert, start: dt.datetime, end: dt.datetime, scope: Collection[str] | None) -> list[Change]:
    marks = [mark for mark in marks_between(start, end, scope) if mark.concerns(alert.labels)]
    return [
        Change(mark.at, mark.title, mark.title, f" by {mark.author_name}" if mark.author_name else "", mark.link)
        for mark in marks[:MAX_CHANGES]
    ]


def _prices(alert: Alert, start: dt.datetime, end: dt.datetime) -> list[Change]:
    """Those of the alert's model; without one, all where the rule watches costs."""
    model, provider = alert.labels.get("model"), alert.labels.get("provider", "*")
    counted = None if alert.rule.external else counted_by(alert.rule)
    if model is None and (counted is None or "cost" not in counted[0].name):
        return []
    prices = prices_between(start, end)
    concerned = [
        one for one in prices if model is None or one.covers(one.provider if provider == "*" else provider, model)
    ]
    link = reverse("prices")
    return [
        Change(
            one.created_at,
            f"price of {one.model}",
            f"Price of {one.model} changed",
            f" by {one.created_by}" if one.created_by else "",
            link,
        )
        for one in concerned[:MAX_CHANGES]
    ]


def _edits(alert: Alert, start: dt.datetime, end: dt.datetime) -> list[Change]:
    edits = RuleChange.objects.filter(rule=alert.rule_id, version__gt=1, at__range=(start, end)).order_by("at")
    return [
        Change(edit.at, "rule edited", "Rule edited", f" by {edit.author_name}: {', '.join(edit.fields)}")
        for edit in edits[:MAX_CHANGES]
    ]


def _keys(start: dt.datetime, end: dt.datetime, scope: Collection[str] | None) -> list[Change]:
    """API keys that were made, revoked or ran out."""
    within = Q(created_at__range=(start, end)) | Q(revoked_at__range=(start, end)) | Q(expires_at__range=(start, end))
    keys = ApiKey.objects.filter(within, scopes__contains=["ingest"])
    if scope is not None:
        keys = keys.filter(workspace__slug__in=sorted(scope))
    link = reverse("keys")
    found = []
    for key in keys.select_related("created_by").order_by("-created_at")[:MAX_CHANGES]:
        if start <= key.created_at <= end:
            by = f" by {key.created_by}" if key.created_by else ""
            found.append(Change(key.created_at, f"key {key.name} made", f"Key {key.name} made", by, link))
        if key.revoked_at is not None and start <= key.revoked_at <= end:
            found.append(Change(key.revoked_at, f"key {key.name} revoked", f"Key {key.name} revoked", "", link))
        elif key.expires_at is not None and start <= key.expires_at <= end:
            found.append(Change(key.expires_at, f"key {key.name} expired", f"Key {key.name} expired", "", link))
    return found
