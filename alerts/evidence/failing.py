"""What failed during an alert: models and kinds of errors, example records, and batches of which records were
refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Sum

from alerts.evidence.origins import counted_by, origin_window
from alerts.models import Alert
from usage.boards.contributors import Contributor, contributors
from usage.catalog import BY_SERIES, KINDS
from usage.models import Receipt, Record

ERRORS = BY_SERIES["llm_provider_errors_total"]
NAMED = ("model", "error")
MAX_ROWS, EXAMPLES, LOOKED_AT = 6, 3, 200


@dataclass(frozen=True)
class Refusals:
    """Batches of the alert's time of which records were refused."""

    batches: int
    records: int


def failing(alert: Alert, workspaces: Collection[str] | None, now: dt.datetime) -> list[Contributor]:
    """Models and kinds of errors among the calls that failed in the alert's time, against before, where the alert is
    about calls of models but not about their errors."""
    counted = counted_by(alert.rule)
    if counted is None or counted[0].kind != ERRORS.kind or counted[0] is ERRORS:
        return []
    window = origin_window(alert, now)
    labels = {name: text for name, text in alert.labels.items() if name in ERRORS.labels}
    kept = now - dt.timedelta(days=settings.PORTAL.retention_15s_days - 1)
    found = contributors(ERRORS, labels, window, workspaces, fine=window.before_start > kept)
    return [one for one in found if one.label in NAMED][:MAX_ROWS]


def example_records(alert: Alert, workspaces: Collection[str] | None, now: dt.datetime) -> list[Record]:
    """The newest records that the alert's metric counts, of its time and labels."""
    counted = counted_by(alert.rule)
    if counted is None:
        return []
    family, asked = counted
    window, labels = origin_window(alert, now), {**alert.labels, **asked}
    known = KINDS[family.kind].labels
    fixed = {family.renames.get(name, name): labels[name] for name in family.labels if name in labels}
    records = Record.objects.filter(
        at__gte=window.start,
        at__lt=window.end,
        dimension__kind=family.kind,
        dimension__labels__contains={name: text for name, text in fixed.items() if name in known},
    )
    if workspaces is not None:
        records = records.filter(workspace__slug__in=sorted(workspaces))
    newest = records.select_related("dimension", "workspace").order_by("-at")[:LOOKED_AT]
    counting = (one for one in newest if family.covers(one.dimension.labels) and family.counts(one.dimension.labels))
    return [record for record, _ in zip(counting, range(EXAMPLES), strict=False)]


def refusals(alert: Alert, workspaces: Collection[str] | None, now: dt.datetime) -> Refusals:
    """Of the workspaces that the reader sees, and of the alert's own where it names one."""
    window = origin_window(alert, now)
    receipts = Receipt.objects.filter(received_at__gte=window.start, received_at__lt=window.end, rejected__gt=0)
    own = alert.labels.get("workspace")
    slugs = workspaces if own is None else {own} if workspaces is None else {own} & set(workspaces)
    if slugs is not None:
        receipts = receipts.filter(workspace__slug__in=sorted(slugs))
    found = receipts.aggregate(batches=Count("id"), records=Sum("rejected"))
    return Refusals(found["batches"], found["records"] or 0)
