"""Reads of what was received: receipts, dead letters, lag."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from usage.models import Receipt


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
        "reasons": found.reasons,
        "received_at": found.received_at.isoformat(),
        "stored_at": found.stored_at.isoformat(),
    }
