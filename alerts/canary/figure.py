"""What the canary took in the last week, drawn."""

from __future__ import annotations

import datetime as dt

import numpy as np

from alerts.canary.models import CanaryRun
from alerts.evaluation.schedule import milliseconds
from core.charts.figures import Figure, figure, line, time_axis

SHOWN = dt.timedelta(days=7)


def delay_figure(now: dt.datetime) -> Figure:
    """Seconds from the record to the message, by when it was sent; one on its way has what it took so far."""
    runs = list(CanaryRun.objects.filter(sent_at__gt=now - SHOWN).order_by("sent_at"))
    times = [milliseconds(run.sent_at) for run in runs]
    values = np.array([run.delay(now) for run in runs], dtype=float)
    lines = [line("from record to message", "--series-0", times, values, "%{y:.3~g} s")] if runs else []
    layout = {**time_axis(milliseconds(now - SHOWN), milliseconds(now)), "yaxis": {"rangemode": "tozero"}}
    return figure(lines, layout, "The canary has not been sent yet.")
