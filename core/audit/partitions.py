"""The log's months: made ahead, and dropped when they are older than PORTAL_RETENTION_AUDIT_DAYS."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from core.pg.partitions import Partitioned, drop_before, ensure

AUDIT = Partitioned("audit_line", monthly=True)


def keep(now: datetime) -> list[str]:
    """Make this month and the next, drop what is past its time; the names of what was dropped."""
    ensure(AUDIT, [now, now + timedelta(days=31)])
    return drop_before(AUDIT, now - timedelta(days=settings.PORTAL.retention_audit_days))
