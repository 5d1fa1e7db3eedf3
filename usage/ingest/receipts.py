"""4 store: the receipts of batches that are not in Postgres, because they are spooled or dead letters. `usage_store`
writes all others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from django.db import connection

from core.pg.partitions import ensure
from usage.ingest.spool import RECORDS, Header
from usage.store import partitions

SPOOLED, DEAD = "spooled", "dead"

# A batch that was stored meanwhile keeps the receipt that storing it wrote.
_KEEP = """
INSERT INTO usage_receipt AS r (
    id, received_at, key_id, workspace_id, state, accepted, duplicates, rejected, reasons, body_bytes, seconds
)
SELECT id, to_timestamp(at), key, workspace, %s, accepted, 0, rejected, '[]', bytes, 0
FROM unnest(%s::uuid[], %s::float8[], %s::bigint[], %s::bigint[], %s::integer[], %s::integer[], %s::integer[])
    AS given (id, at, key, workspace, accepted, rejected, bytes)
ON CONFLICT (id, received_at) DO UPDATE SET state = excluded.state WHERE r.state <> 'stored'
"""


def keep(headers: Sequence[Header], state: str) -> None:
    """Write the receipts of batches of records that are spooled or dead. Raises django.db.DatabaseError."""
    found = [header for header in headers if header.form == RECORDS and header.workspace_id]
    if not found:
        return
    ensure(partitions.RECEIPTS, [datetime.fromtimestamp(header.received_at, UTC) for header in found])
    columns: list[list[object]] = [
        [header.receipt for header in found],
        [header.received_at for header in found],
        [header.key_id for header in found],
        [header.workspace_id for header in found],
        [header.records - header.rejected for header in found],
        [header.rejected for header in found],
        [header.body_bytes for header in found],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [state, *columns])
