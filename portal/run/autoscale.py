"""How many child processes a worker has: one at rest, more while tasks wait, up to `PORTAL_WORKER_CONCURRENCY`."""

from __future__ import annotations

from typing import Any

from celery.worker.autoscale import Autoscaler


class PatientAutoscaler(Autoscaler):  # type: ignore[misc]  # Celery comes without types
    """Makes a child only for a task that has waited for a second: what is due at one moment is mostly done by then."""

    _before = _waiting = 0

    def _maybe_scale(self, req: Any = None) -> Any:
        seen: int = super().qty
        self._waiting, self._before = min(seen, self._before), seen
        return super()._maybe_scale(req)

    @property
    def qty(self) -> int:
        """Tasks that run or wait, now and at the look before."""
        return self._waiting
