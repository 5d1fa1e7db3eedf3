"""What arrived since somebody began to wait for it, and what the portal understood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from telemetry.counting.reasons import sentence
from telemetry.store import unread_metrics
from telemetry.store.reading import arriving

MAX_SPANS = 25
MAX_TRACES = 10
MAX_REASONS = 20
MAX_METRICS = 50
RECEIPTS = """
WITH recent AS (
    SELECT accepted, rejected, reasons FROM usage_receipt
    WHERE received_at >= %(since)s AND (%(slugs)s::text[] IS NULL OR workspace_id IN (
        SELECT id FROM accounts_workspace WHERE slug = ANY (%(slugs)s)
    ))
)
SELECT coalesce(sum(accepted), 0)::bigint, coalesce(sum(rejected), 0)::bigint, (
    SELECT array_agg(DISTINCT reason ->> 'error') FROM (
        SELECT jsonb_array_elements(reasons) AS reason FROM recent WHERE rejected > 0 LIMIT %(reasons)s
    ) AS refusals
)
FROM recent
"""


class ArrivedSpan(NamedTuple):
    """A span that arrived, and what it means to the portal."""

    trace_id: str
    name: str
    service: str
    kind: str
    provider: str
    model: str
    tool: str
    agent: str
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    counted_kind: str
    not_counted: str

    @property
    def reason(self) -> str:
        """Why it counts for nothing, in a sentence; empty where it counts."""
        return "" if self.counted_kind else sentence(self.not_counted)

    @property
    def missing(self) -> list[str]:
        """What the portal would have needed and did not find."""
        if self.kind != "llm":
            return []
        found = [name for name, value in (("provider", self.provider), ("model", self.model)) if not value]
        if self.input_tokens is None and self.output_tokens is None:
            found.append("token counts")
        return found


@dataclass(frozen=True)
class Arrivals:
    """Spans, newest trace first, how many records were accepted and refused, with some of the reasons, and the metrics
    (service, name) that count for nothing."""

    spans: Sequence[ArrivedSpan]
    accepted: int
    rejected: int
    reasons: Sequence[str]
    unread_metrics: Sequence[tuple[str, str]]

    @property
    def is_empty(self) -> bool:
        """Whether nothing arrived yet."""
        return not (self.spans or self.accepted or self.rejected or self.unread_metrics)


def arrivals(slugs: frozenset[str] | None, since: datetime) -> Arrivals:
    """What arrived in the workspaces (None: all) from that time on; bounded, whatever arrives."""
    wanted = None if slugs is None else sorted(slugs)
    given = {"slugs": wanted, "since": since, "reasons": MAX_REASONS}
    spans = [ArrivedSpan(*one) for one in arriving.spans(wanted, since, traces=MAX_TRACES, spans=MAX_SPANS)]
    with connection.cursor() as cursor:
        cursor.execute(RECEIPTS, given)
        accepted, rejected, reasons = cursor.fetchone()
    unread = unread_metrics.since(slugs, since, MAX_METRICS)
    return Arrivals(spans, accepted, rejected, reasons or [], unread)
