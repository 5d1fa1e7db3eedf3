"""The channels as Postgres last had them, in a file beside the spool: by them the portal says that Postgres is away.

Configurations stay encrypted there, as they are in Postgres (see `alerts.notify.encryption`).
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from alerts.models import Channel, Severity
from usage.ingest import spool


class LastChannel(msgspec.Struct, frozen=True):
    """What sending through a channel needs."""

    name: str
    kind: str
    config_encrypted: bytes
    send_resolved: bool


def path() -> Path:
    """The file, readable by its owner only."""
    return spool.folder() / "channels"


def keep() -> None:
    """Keep the enabled channels that take critical alerts. Raises django.db.DatabaseError, OSError."""
    rows = Channel.objects.filter(enabled=True).order_by("name")
    found = [
        LastChannel(row.name, row.kind, bytes(row.config_encrypted), row.send_resolved)
        for row in rows
        if not row.severities or Severity.CRITICAL in row.severities
    ]
    if found == kept():
        return
    draft = path().with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.msgpack.encode(found))
    draft.replace(path())


def kept() -> list[LastChannel]:
    """What was kept; nothing where there is no file that can be read."""
    try:
        return msgspec.msgpack.decode(path().read_bytes(), type=list[LastChannel])
    except (OSError, msgspec.DecodeError):
        return []
