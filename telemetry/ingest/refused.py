"""What of a request is refused while the rest of it is taken."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_REASONS = 3


@dataclass
class Refused:
    """How many were refused, and the first reasons."""

    count: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str) -> None:
        """One more."""
        self.count += 1
        if len(self.reasons) < MAX_REASONS and reason not in self.reasons:
            self.reasons.append(reason)

    @property
    def message(self) -> str:
        """The reasons as one text."""
        return "; ".join(self.reasons)
