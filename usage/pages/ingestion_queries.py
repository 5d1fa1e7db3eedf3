"""Reads of what was received and by which key: receipts, spool, dead letters, label sets."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection
from django.db.models import Count, QuerySet, Sum

from core.accounts.models import ApiKey
from usage.catalog import OVERFLOW
from usage.ingest import spool
from usage.models import DeadLetter, Receipt

PAGE = 25
MAX_PAGES = 400
_TRACE = re.compile("[0-9a-f]{32}")


def receipt(receipt_id: UUID, workspace_id: int) -> dict[str, Any] | None:
    """A receipt as the API shows it."""
    found = Receipt.objects.filter(pk=receipt_id, workspace_id=workspace_id).first()
    if found is None:
        return None
    return {
        "receipt": str(found.id),
        "state": found.state,
        "accepted": found.accepted,
        "duplicates": found.duplicates,
        "rejected": found.rejected,
        "reasons": found.refusals,
        "notes": found.notes,
        "received_at": found.received_at.isoformat(),
        "stored_at": found.stored_at.isoformat() if found.stored_at else None,
    }


@dataclass(frozen=True, kw_only=True)
class ReceiptFilter:
    """Which receipts; what is None or empty does not filter. `workspaces` None: all."""

    workspaces: Collection[str] | None
    since: datetime
    until: datetime
    key_id: int | None = None
    state: str = ""
    rejected: bool = False


@dataclass(frozen=True)
class ReceiptPage:
    """A page of receipts, newest first; numbers count from 1. A growing table is not counted to say how many there
    are."""

    receipts: list[Receipt]
    number: int
    has_next: bool


def receipts(wanted: ReceiptFilter, page: int) -> ReceiptPage:
    """A page of the receipts that pass the filter."""
    found = _receipts(wanted).select_related("key", "workspace")
    if wanted.key_id is not None:
        found = found.filter(key_id=wanted.key_id)
    if wanted.state:
        found = found.filter(state=wanted.state)
    if wanted.rejected:
        found = found.filter(rejected__gt=0)
    number = min(max(page, 1), MAX_PAGES)
    rows = list(found.order_by("-received_at", "-id")[(number - 1) * PAGE : number * PAGE + 1])
    return ReceiptPage(rows[:PAGE], number, len(rows) > PAGE and number < MAX_PAGES)


def _receipts(wanted: ReceiptFilter) -> QuerySet[Receipt]:
    found = Receipt.objects.filter(received_at__gte=wanted.since, received_at__lt=wanted.until)
    return found if wanted.workspaces is None else found.filter(workspace__slug__in=sorted(wanted.workspaces))


def receipt_of(receipt_id: UUID, workspaces: Collection[str] | None) -> Receipt | None:
    """One receipt, if it belongs to these workspaces (None: all)."""
    found = Receipt.objects.filter(pk=receipt_id).select_related("key", "workspace")
    if workspaces is not None:
        found = found.filter(workspace__slug__in=sorted(workspaces))
    return found.first()


class StoredRecord(NamedTuple):
    """A record of a receipt; ids of its trace and span in hex, empty where it names none."""

    at: datetime
    kind: str
    labels: dict[str, str]
    trace_id: str
    span_id: str


def records_of(receipt: Receipt, bound: int = 100) -> list[StoredRecord]:
    """The receipt's records, the first `bound` by time. They are looked for in the ten minutes before they came."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.at, d.kind, d.labels::text, r.trace_id, r.span_id FROM usage_record r"
            " JOIN usage_dimension d ON d.id = r.dimension_id WHERE r.receipt = %s"
            " AND r.at > %s AND r.at < %s ORDER BY r.at, r.event_id LIMIT %s",
            [
                receipt.pk,
                receipt.received_at - timedelta(minutes=10),
                receipt.received_at + timedelta(minutes=1),
                bound,
            ],
        )
        return [
            StoredRecord(at, kind, msgspec.json.decode(labels), trace_id if _TRACE.fullmatch(trace_id) else "", span_id)
            for at, kind, labels, trace_id, span_id in cursor.fetchall()
        ]


@dataclass(frozen=True)
class Rates:
    """What came in per bucket of time: starts (epoch ms), and counts of records by what became of them."""

    times: list[int]
    accepted: list[int]
    duplicates: list[int]
    rejected: list[int]


def rates(wanted: ReceiptFilter, step_ms: int) -> Rates:
    """Records per step over the filter's time; steps without receipts are 0."""
    workspaces = None if wanted.workspaces is None else sorted(wanted.workspaces)
    start, end = (int(at.timestamp() * 1000) // step_ms for at in (wanted.since, wanted.until))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT floor(extract(epoch FROM received_at) * 1000 / %(step)s)::bigint, sum(accepted), sum(duplicates),"
            " sum(rejected)"
            " FROM usage_receipt r WHERE received_at >= %(since)s AND received_at < %(until)s AND (%(all)s OR EXISTS"
            " (SELECT 1 FROM accounts_workspace w WHERE w.id = r.workspace_id AND w.slug = ANY(%(slugs)s))) GROUP BY 1",
            {
                "step": step_ms,
                "since": wanted.since,
                "until": wanted.until,
                "all": workspaces is None,
                "slugs": workspaces or [],
            },
        )
        found = {place: sums for place, *sums in cursor.fetchall()}
    places = range(start, end + 1)
    columns = [[int(found.get(place, (0, 0, 0))[column]) for place in places] for column in range(3)]
    return Rates([place * step_ms for place in places], *columns)


@dataclass(frozen=True)
class Spool:
    """What waits on this machine to be stored. `problem` is the reason if that cannot be found out."""

    files: int = 0
    records: int = 0
    size: int = 0
    oldest: datetime | None = None
    problem: str = ""


def spooled() -> Spool:
    """The state of this machine's spool."""
    try:
        files = spool.files()
        oldest = datetime.fromtimestamp(int(files[0].name.split("-")[0]) / 1e9, UTC) if files else None
        return Spool(len(files), spool.waiting(), sum(path.stat().st_size for path in files), oldest)
    except OSError as error:
        return Spool(problem=f"the spool cannot be read: {error.strerror}")


def dead_letters(workspaces: Collection[str] | None) -> QuerySet[DeadLetter]:
    """Batches that wait for an operator, newest first; those that belong to no workspace are shown only to people who
    see every workspace."""
    found = DeadLetter.objects.filter(replayed_at=None).select_related("key", "workspace").defer("body")
    return found if workspaces is None else found.filter(workspace__slug__in=sorted(workspaces))


@dataclass(frozen=True)
class LabelSets:
    """A kind's label sets against their bound; `overflow` says whether some are counted together since it is full."""

    kind: str
    count: int
    bound: int
    overflow: bool

    @property
    def used(self) -> int:
        """In percent, 100 at most."""
        return min(100, round(100 * self.count / self.bound))

    @property
    def state(self) -> str:
        """ok, warning from 80 % on, critical when new ones are no longer kept apart."""
        if self.overflow:
            return "critical"
        return "warning" if self.used >= 80 else "ok"


def label_sets() -> list[LabelSets]:
    """Every kind that has any, the fullest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind, count(*), bool_or(labels::text LIKE %s) FROM usage_dimension GROUP BY 1 ORDER BY 2 DESC, 1",
            [f'%"{OVERFLOW}"%'],
        )
        return [LabelSets(kind, count, settings.PORTAL.dimensions_per_kind, over) for kind, count, over in cursor]


@dataclass(frozen=True)
class KeyUse:
    """A key with what it sent in the last day."""

    key: ApiKey
    requests: int
    records: int
    rejected: int
    state: str


def keys_with_use(workspaces: Collection[str] | None, now: datetime) -> list[KeyUse]:
    """The keys of these workspaces (None: all): those that work first, by name."""
    keys = ApiKey.objects.select_related("workspace", "created_by")
    if workspaces is not None:
        keys = keys.filter(workspace__slug__in=sorted(workspaces))
    sums = Receipt.objects.filter(received_at__gte=now - timedelta(days=1)).values("key_id").order_by()
    sent = {
        row["key_id"]: row
        for row in sums.annotate(requests=Count("id"), records=Sum("accepted"), refused=Sum("rejected"))
    }
    none = {"requests": 0, "records": 0, "refused": 0}
    found = []
    for key in keys:
        row = sent.get(key.pk, none)
        found.append(KeyUse(key, row["requests"], row["records"], row["refused"], key.state(now)))
    return sorted(found, key=lambda use: (use.state != "valid", use.key.name.lower()))
