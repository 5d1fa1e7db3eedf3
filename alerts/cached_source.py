"""A source that reads each selection once per tick, however many rules ask for it."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

import promql


class CachedSource:
    """Remembers what another source answered. Lives for one tick."""

    def __init__(self, inner: promql.Source) -> None:
        self.inner = inner
        self.answers: dict[object, list[promql.Block]] = {}

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        """As the other source. A failed read is undone alone, so that the transaction around it stays usable."""
        key = (tuple(matchers), start_ms, end_ms, hints)
        if key not in self.answers:
            with transaction.atomic():
                self.answers[key] = self.inner.select(matchers, start_ms, end_ms, hints)
        return self.answers[key]
