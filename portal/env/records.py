"""What records may be, and how long they are kept."""

from __future__ import annotations

from dataclasses import dataclass

from portal.env.fields import setting


@dataclass(frozen=True, kw_only=True)
class Records:
    """Bounds of what is taken in."""

    body_max_bytes: int = setting(8_388_608, "Largest request body as sent.", section="Records", unit="bytes", low=1024)
    body_max_unpacked_bytes: int = setting(
        67_108_864,
        "Largest request body after gunzip; unpacking stops there.",
        section="Records",
        unit="bytes",
        low=1024,
    )
    batch_max_records: int = setting(20_000, "Most records in one request.", section="Records", low=1)
    label_max_length: int = setting(
        200, "Longest value of a label (provider, model, team …).", section="Records", unit="characters", low=8
    )
    attributes_max_bytes: int = setting(
        8_192, "Largest `attributes` of a record, as JSON.", section="Records", unit="bytes", low=0
    )
    record_max_age: int = setting(
        86_400, "Oldest `at` that a record may carry.", section="Records", unit="seconds", low=60
    )
    record_max_ahead: int = setting(
        600, "How far ahead of the server's clock `at` may be.", section="Records", unit="seconds", low=0
    )
    dimensions_per_kind: int = setting(
        10_000, "Most label sets of a kind; further ones count as `__overflow__`.", section="Records", low=1
    )
    key_rate: int = setting(
        600, "Requests per minute for a key that has no rate of its own. 0: no limit.", section="Records", low=0
    )
    spool_max_bytes: int = setting(
        1_073_741_824, "Largest spool; past it records are answered 503.", section="Records", unit="bytes", low=0
    )
    spool_overdue: int = setting(
        300, "Age at which records in the spool count as missing usage.", section="Records", unit="seconds", low=0
    )
    gauge_hold: int = setting(
        3_600, "A gauge keeps its last value this long, then has none.", section="Records", unit="seconds", low=15
    )


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long what was taken in is kept."""

    retention_records_days: int = setting(
        30, "Days that raw records and receipts are kept.", section="Retention", unit="days", low=2
    )
    retention_15s_days: int = setting(3, "Days that 15 s rollups are kept.", section="Retention", unit="days", low=2)
    retention_5m_days: int = setting(
        60, "Days that 5 min rollups are kept, and what recording rules made.", section="Retention", unit="days", low=2
    )
    retention_1h_days: int = setting(400, "Days that 1 h rollups are kept.", section="Retention", unit="days", low=2)
    retention_traces_days: int = setting(
        14, "Days that spans and traces are kept.", section="Retention", unit="days", low=2
    )
    retention_logs_days: int = setting(14, "Days that log records are kept.", section="Retention", unit="days", low=2)
    retention_audit_days: int = setting(
        730,
        "Days that the audit log is kept; whole months are dropped.",
        section="Retention",
        unit="days",
        low=30,
    )
