"""Decides what has waited long enough, and counts it: of each request the usage of the spans that
count, in one transaction with its receipt.

Any number of processes may do this at once. A request's row is taken by one of them; the rows of its traces are locked
before their spans are read, so that of two requests with spans of one trace the second sees what became of the first.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from psycopg import errors

from core.pg.partitions import forget_dropped
from telemetry.counting import reasons
from telemetry.counting.lineage import Node, decide
from telemetry.deciding import calls as waiting_calls
from telemetry.deciding import waiting
from telemetry.deciding.calls import Call, Calls
from telemetry.store import counted_spans
from telemetry.store.counted_spans import Change
from telemetry.store.reading import lineages
from usage.ingest import forms, spool
from usage.ingest.pipeline import batch_of, bounds_of, count_missing
from usage.ingest.spool import Header
from usage.records.columns import Columns, prepare
from usage.records.pricing import Pricer
from usage.records.records import Decoded, Rejection
from usage.store import missing, writer
from usage.store.writer import Batch, Stored

log = logging.getLogger(__name__)
AT_ONCE = 1_000  # requests that are counted in a run
MAX_TRIES = 5
DAY = 86_400
MAX_SPANS = 50_000  # of the traces of one request that are looked at: its own, then the latest, which lie lower


class ContendedError(Exception):
    """Other processes changed a request's traces at each try; it is counted in a later run."""


def settle(wait: float) -> int:
    """Count what has waited for `wait` seconds; how many requests. Stops where Postgres is away, and raises nothing
    else: a request whose statements were cancelled (a time limit, a deadlock) waits for a later run, what fails for
    another reason becomes a dead letter."""
    done = 0
    others: set[uuid.UUID] = set()
    try:
        while done < AT_ONCE and (one := waiting.find_next(wait, others)) is not None:
            others.add(one.receipt)
            try:
                header, body = spool.decode(one.data)
                if count(header, waiting_calls.decode(body), one.seconds) is not None:
                    done += 1
            except ContendedError as error:
                log.warning("receipt=%s waits longer: %s", one.receipt, error)
            except Exception as error:
                if was_cancelled(error):
                    log.warning("receipt=%s waits longer: %s", one.receipt, spool.error_text(error))
                    continue
                if spool.is_away(error):
                    raise
                log.error(
                    "the usage of spans could not be counted: receipt=%s: %s", one.receipt, spool.error_text(error)
                )
                waiting.bury(one, error, time.time())
                count_missing(one.data, lost=True)
    except (OperationalError, InterfaceError) as error:
        spool.drop_connection()
        log.warning("spans wait longer, as Postgres is away: %s", spool.error_text(error))
    return done


def was_cancelled(error: Exception) -> bool:
    """Whether Postgres is there and cancelled a statement, or a partition was dropped that this process had seen:
    neither says anything of the next try."""
    cancelled = (errors.QueryCanceled, errors.LockNotAvailable, errors.TransactionRollback)
    return isinstance(error.__cause__, cancelled) or (isinstance(error, IntegrityError) and forget_dropped(error))


def count(header: Header, given: Calls, seconds: float, *, taken: bool = False) -> Stored | None:
    """Decide and count a request's calls, which waited for some seconds; None where another process did. `taken`: they
    wait in no table. Raises ContendedError."""
    batch = replace(batch_of(header), by_spans=True, waited=seconds)
    chosen = [one.expected and not one.by_metrics for one in given.calls]
    for _ in range(MAX_TRIES):
        # What usage points at is made before the transaction, for what is expected to count; that seldom changes.
        columns, rejected = usage_of(given.calls, chosen, header, Pricer())
        interned = writer.ready(batch, columns)
        with transaction.atomic():
            if not taken and not waiting.take(header.receipt):
                return None
            known = lock_and_read(given, batch)
            why = decided(given.calls, known)
            now = [not reason for reason in why]
            if now == chosen:
                stored = writer.put(batch, columns, rejected, interned)
                write_changes(given, why, rejected, stored, known, batch)
                return stored
            transaction.set_rollback(True)
        chosen = now
    raise ContendedError(f"spans of the same traces were counted {MAX_TRIES} times while these were decided")


def usage_of(
    given: Sequence[Call], chosen: Sequence[bool], header: Header, pricer: Pricer | None
) -> tuple[Columns, list[Rejection]]:
    """The usage of the chosen calls, in columns; the refused ones by their places among all calls."""
    places = [place for place, counts in enumerate(chosen) if counts]
    decoded = Decoded([given[place].record for place in places], places)
    bounds = bounds_of(header.backfill, header.received_at)
    return prepare(decoded, header.receipt, header.workspace, header.received_at, bounds, pricer)


class Known(NamedTuple):
    """What is known of the traces of a request of which other requests have brought spans too: their spans by trace,
    and of the request's own spans why they are not expected to count ("" for those that are), by trace and span."""

    nodes: Mapping[bytes, Sequence[Node]]
    expected: Mapping[tuple[bytes, int], str]


def decided(given: Sequence[Call], known: Known) -> list[str]:
    """Why each call does not count, "" for those that do."""
    by_trace = {trace: decide(nodes) for trace, nodes in known.nodes.items()}
    found = []
    for one in given:
        # Where only its own request tells of its trace a span is what it was expected to be, as is
        # one that is gone with its day's partition.
        why = by_trace.get(one.trace_id, {}).get(one.span_id, "" if one.expected else reasons.COUNTED_BELOW)
        found.append(why or (reasons.METRICS if one.by_metrics else ""))
    return found


def lock_and_read(given: Calls, batch: Batch) -> Known:
    """What is known of the traces, which are locked until the end of the transaction: whoever brings or decides more of
    them waits. Most traces came in one request, of which nothing is read."""
    traces = sorted({one.trace_id.hex() for one in given.calls})
    nodes: dict[bytes, list[Node]] = {}
    expected: dict[tuple[bytes, int], str] = {}
    if not traces:
        return Known(nodes, expected)
    lineages.lock(batch.workspace_id, traces)
    span = (given.first - DAY, given.last + DAY)
    rows = lineages.spans_of(batch.workspace_id, traces, batch.receipt, span, MAX_SPANS)
    if len(rows) == MAX_SPANS:
        log.warning("receipt=%s: of its traces only %d spans were looked at", batch.receipt, MAX_SPANS)
    for one in rows:
        is_decided = not (one.own or one.waits)
        counted = is_decided and one.counted
        node = Node(one.span_id, one.parent_id, one.kind, one.name, decided=is_decided, counted=counted)
        nodes.setdefault(one.trace_id.bytes, []).append(node)
        if one.own:
            expected[one.trace_id.bytes, one.span_id] = one.not_counted
    return Known(nodes, expected)


def write_changes(
    given: Calls, why: Sequence[str], rejected: Sequence[Rejection], stored: Stored, known: Known, batch: Batch
) -> None:
    """Write of spans that became something else than was expected what they became."""
    refused = {one.index: f"{reasons.REFUSED}: {one.field} {one.error}" for one in rejected}
    found = []
    for place, (one, reason) in enumerate(zip(given.calls, why, strict=True)):
        reason = refused.get(place, reason)
        if known.expected.get((one.trace_id, one.span_id), reason) != reason:
            found.append(changed(one, "" if reason else one.kind, reason))
    counted_spans.write(found, batch.workspace_id, given.first, given.last, sums=True)
    # Their trace's sums have them: what was counted before is that trace's usage too.
    before = [changed(one, "", reasons.KNOWN) for one in given.calls if one.event_id in stored.known]
    counted_spans.write(before, batch.workspace_id, given.first, given.last, sums=False)


def changed(call: Call, counted_kind: str, not_counted: str) -> Change:
    """What a call's span became."""
    return Change(call.trace_id, call.span_id, call.event_id, counted_kind, not_counted)


def restore(header: Header, body: bytes) -> Stored:
    """Count the calls of a dead letter. Raises what storing raises."""
    stored = count(header, waiting_calls.decode(body), time.time() - header.received_at, taken=True)
    return stored or Stored(0, 0)


def events(header: Header, body: bytes) -> missing.Events:
    """The usage events that the calls of a dead letter are, as far as is known."""
    given = waiting_calls.decode(body).calls
    columns, _ = usage_of(given, [one.expected and not one.by_metrics for one in given], header, None)
    return missing.failures_of(columns)


forms.register(forms.Form(waiting_calls.FORM, restore, waiting_calls.shown, events))
