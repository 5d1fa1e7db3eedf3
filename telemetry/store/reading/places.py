"""Where a page of a list ended: the time and the id of its last row, from which the next page goes on."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import NamedTuple


class Place(NamedTuple):
    """The row at `at` with this id: a trace's, or the digest of a log record."""

    at: datetime
    id: uuid.UUID

    @property
    def text(self) -> str:
        """As an address has it: microseconds of the Unix epoch, and the id in hex."""
        return f"{round(self.at.timestamp() * 1e6)}-{self.id.hex}"


def place_of(text: str) -> Place | None:
    """The place that `Place.text` wrote; None for any other text."""
    at, _, identifier = text.partition("-")
    try:
        return Place(datetime.fromtimestamp(int(at) / 1e6, UTC), uuid.UUID(hex=identifier))
    except (ValueError, OverflowError, OSError):
        return None
