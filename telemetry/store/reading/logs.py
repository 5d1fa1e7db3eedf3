"""Reads of log records, for pages and other clients.

    find_logs(filters, before, size)      a page of log records, the newest first
    histogram(filters, bins)              records over time by severity, for the chart above the list
    read_content(digest, at, slugs)       what is kept of a record's content; `slugs` are those that the reader operates
    around(log, slugs, lines)             what the same service wrote before and after a record
    services(slugs)                       what the filter of services may be set to

`slugs` are the workspaces that the reader may see, None for all. Ids are hex text.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from telemetry.store.ids import span_hex, span_number, trace_uuid
from telemetry.store.reading.places import Place
from telemetry.store.reading.traces import load, visible

# The lowest severity number of each level, as OpenTelemetry numbers them.
LEVELS = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}

MAX_COUNTED = 5_000
# Of how many records a chart is counted, and that of a search, which has to look into each: of about 20,000
# a bin of 90 is right within some percent.
MAX_CHARTED, MAX_SEARCHED = 60_000, 20_000


@dataclass(frozen=True)
class LogFilters:
    """Which records: those of [start, end), of a severity number from `severity` on, of one
    of `services` (all where none is named).

    `text` is a search over the words of the body as one writes it for a web search: words, "a phrase", -without, or;
    `regex` is a regular expression of Postgres for it.
    """

    slugs: frozenset[str] | None
    start: datetime
    end: datetime
    severity: int = 0
    services: tuple[str, ...] = ()
    without_services: tuple[str, ...] = ()
    text: str = ""
    regex: str = ""
    trace_id: str = ""
    span_id: str = ""
    exception: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


class Log(NamedTuple):
    """A log record."""

    workspace: str
    digest: uuid.UUID
    at: datetime
    severity: int
    severity_text: str
    service: str
    scope: str
    event_name: str
    body: str
    exception_type: str
    trace_id: str
    span_id: str
    dropped: int
    has_content: bool
    attributes_json: str | None
    resource_json: str | None

    @property
    def attributes(self) -> dict[str, Any]:
        """The record's attributes."""
        return load(self.attributes_json) or {}

    @property
    def resource(self) -> dict[str, Any]:
        """The attributes of what sent it."""
        return load(self.resource_json) or {}

    @property
    def level(self) -> str:
        """The level of its severity number; empty where it has none."""
        return next((name for name, low in reversed(LEVELS.items()) if self.severity >= low), "")


class Short(NamedTuple):
    """Equal lines of a time: how many, their highest severity, and when the first came."""

    body: str
    lines: int
    severity: int
    first: datetime


@dataclass(frozen=True)
class Histogram:
    """Records over time; `estimated` says that they were counted in a share of the records only."""

    bins: list[Bin]
    estimated: bool


class Bin(NamedTuple):
    """Records in a bin of time: all of them, warnings, and errors (fatal ones included)."""

    start: float
    records: int
    warnings: int
    errors: int


_COLUMNS = (
    "(SELECT slug FROM accounts_workspace w WHERE w.id = l.workspace_id), l.digest, l.at, l.severity,"
    " l.severity_text, l.service, l.scope, l.event_name, l.body, l.exception_type, l.trace_id, l.span_id, l.dropped,"
    " l.content IS NOT NULL, l.attributes, l.resource"
)


def conditions(filters: LogFilters) -> tuple[str, list[Any]]:
    """The WHERE of records `l`, but for whose they are, and its values. Raises ValueError for what is no trace id."""
    parts = ["l.at >= %s", "l.at < %s"]
    values: list[Any] = [filters.start, filters.end]
    wanted: list[tuple[str, Any]] = [
        ("l.severity >= %s", filters.severity or None),
        ("l.service = ANY (%s)", [*filters.services] or None),
        ("l.service <> ALL (%s)", [*filters.without_services] or None),
        ("to_tsvector('simple', l.body) @@ websearch_to_tsquery('simple', %s)", filters.text or None),
        ("l.body ~ %s", filters.regex or None),
        ("l.trace_id = %s", trace_uuid(filters.trace_id) if filters.trace_id else None),
        ("l.span_id = %s", span_number(filters.span_id) if filters.span_id else None),
        ("l.exception_type = %s", filters.exception or None),
    ]
    for condition, value in wanted:
        if value is not None:
            parts.append(condition)
            values.append(value)
    for name, value in filters.attributes:
        parts.append("l.attributes ->> %s = %s")
        values += [name, value]
    return " AND ".join(parts), values


def log_of(row: tuple[Any, ...]) -> Log:
    """A row as Postgres gives it, with the ids in hex."""
    *before, trace, span, dropped, has_content, attributes, resource = row
    return Log._make((*before, trace.hex if trace else "", span_hex(span), dropped, has_content, attributes, resource))


def find_logs(filters: LogFilters, before: Place | None = None, size: int = 100) -> tuple[list[Log], Place | None]:
    """The newest records that match, those before a place; and where to go on, None at the end.
    Raises ValueError for what is no trace id."""
    where, values = conditions(filters)
    if before is not None:
        where += " AND (l.at, l.digest) < (%s, %s)"
        values += before
    # A workspace at a time: within one the index has its records by time, so that a word that
    # most lines have is found in the newest ones.
    chosen = (
        "SELECT id FROM accounts_workspace"
        if filters.slugs is None
        else "SELECT id FROM accounts_workspace WHERE slug = ANY (%s)"
    )
    given = [] if filters.slugs is None else [sorted(filters.slugs)]
    newest = (
        f"SELECT * FROM telemetry_log l WHERE l.workspace_id = w.id AND {where}"  # noqa: S608 - only names of our own; values are parameters
        " ORDER BY l.at DESC, l.digest DESC LIMIT %s"
    )
    query = f"SELECT {_COLUMNS} FROM ({chosen}) w, LATERAL ({newest}) l ORDER BY l.at DESC, l.digest DESC LIMIT %s"  # noqa: S608 - only names of our own; values are parameters
    with connection.cursor() as cursor:
        cursor.execute(query, [*given, *values, size + 1, size + 1])
        found = [log_of(row) for row in cursor.fetchall()]
    page = found[:size]
    return page, Place(page[-1].at, page[-1].digest) if len(found) > size else None


def histogram(filters: LogFilters, bins: int = 60) -> Histogram:
    """The matching records over time, in `bins` equal parts of the range; bins without records are left out.

    A word that most lines have is looked for in each of them, as no index says more. Where Postgres
    expects more records to match than can be counted at once, they are counted among a share of all,
    which their digests choose as if at random.
    """
    seen: list[Any] = []
    whose = visible("l", filters.slugs, seen)
    where, values = conditions(filters)
    given = [*seen, *values]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) SELECT FROM telemetry_log l WHERE {whose} AND {where}", given)
        [[plan]] = cursor.fetchone()
        most = MAX_SEARCHED if filters.text or filters.regex or filters.attributes else MAX_CHARTED
        share = min(1.0, most / max(1, plan["Plan"]["Plan Rows"]))
        if share < 1:
            where += " AND l.digest < %s"
            given.append(uuid.UUID(int=int(share * 2**128)))
        width = max(1.0, (filters.end - filters.start).total_seconds() / bins)
        cursor.execute(
            "SELECT floor(extract(epoch FROM l.at)::float8 / %s) * %s, count(*),"  # noqa: S608 - only names of our own; values are parameters
            " count(*) FILTER (WHERE l.severity BETWEEN 13 AND 16),"
            f" count(*) FILTER (WHERE l.severity >= 17) FROM telemetry_log l WHERE {whose} AND {where}"
            " GROUP BY 1 ORDER BY 1",
            [width, width, *given],
        )
        found = [Bin(start, *(round(count / share) for count in counts)) for start, *counts in cursor.fetchall()]
    return Histogram(found, share < 1)


def counted_lines(filters: LogFilters) -> list[Short]:
    """The newest `MAX_COUNTED` lines that match, equal ones as one."""
    seen: list[Any] = []
    whose = visible("l", filters.slugs, seen)
    where, values = conditions(filters)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT body, count(*), max(severity), min(at) FROM (SELECT left(l.body, 400) AS body, l.severity, l.at"  # noqa: S608 - only names of our own; values are parameters
            f" FROM telemetry_log l WHERE {whose} AND {where} ORDER BY l.at DESC LIMIT {MAX_COUNTED}) newest"
            " GROUP BY body",
            [*seen, *values],
        )
        return [Short(*row) for row in cursor.fetchall()]


def read_log(digest: uuid.UUID, at: datetime, slugs: frozenset[str] | None) -> Log | None:
    """One record; None where there is none that the reader may see."""
    values: list[Any] = [digest, at]
    where = visible("l", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM telemetry_log l WHERE l.digest = %s AND l.at = %s AND {where} LIMIT 1",  # noqa: S608 - only names of our own; values are parameters
            values,
        )
        row = cursor.fetchone()
    return None if row is None else log_of(row)


def read_content(digest: uuid.UUID, at: datetime, slugs: frozenset[str] | None) -> dict[str, Any]:
    """What is kept of a record's content, masked; empty where none is. `slugs` are the workspaces
    that the reader operates, None for all."""
    values: list[Any] = [digest, at]
    where = visible("l", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT l.content FROM telemetry_log l WHERE l.digest = %s AND l.at = %s AND {where} LIMIT 1",  # noqa: S608 - only names of our own; values are parameters
            values,
        )
        found = cursor.fetchone()
    return load(found[0]) or {} if found else {}


def around(log: Log, slugs: frozenset[str] | None, lines: int = 5) -> tuple[list[Log], list[Log]]:
    """What the same service wrote before and after a record, `lines` of each, by time."""
    found: list[list[Log]] = []
    for sign, order in (("<", "DESC"), (">", "ASC")):
        values: list[Any] = []
        where = visible("l", slugs, values)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM telemetry_log l WHERE {where} AND l.service = %s"  # noqa: S608 - only names of our own; values are parameters
                f" AND (l.at, l.digest) {sign} (%s, %s)"
                f" ORDER BY l.at {order}, l.digest {order} LIMIT %s",
                [*values, log.service, log.at, log.digest, lines],
            )
            found.append([log_of(row) for row in cursor.fetchall()])
    return found[0][::-1], found[1]


def services(slugs: frozenset[str] | None) -> list[str]:
    """The services that have sent logs."""
    values: list[Any] = []
    where = visible("s", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT s.service FROM telemetry_service s WHERE {where} AND s.logs_at IS NOT NULL ORDER BY 1",  # noqa: S608 - only names of our own; values are parameters
            values,
        )
        return [name for (name,) in cursor.fetchall()]
