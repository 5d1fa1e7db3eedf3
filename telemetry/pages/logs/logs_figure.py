"""The chart above the list of logs: lines per bin of time, warnings and errors in their colours."""

from __future__ import annotations

from core.charts.figures import STACKED, Figure, bars, figure, time_axis
from core.ui.time_range import TimeRange
from telemetry.store.reading.logs import Histogram

BINS = 90


def draw(counted: Histogram, time_range: TimeRange) -> Figure:
    """Plotly's figure: stacked bars; numbers that are estimated say so."""
    bins, shown = counted.bins, "about %{y:.2s}" if counted.estimated else "%{y:,}"
    width = max(1.0, time_range.span_ms / 1000 / BINS) * 1000
    middle = [one.start * 1000 + width / 2 for one in bins]
    parts = (
        ("other", [one.records - one.warnings - one.errors for one in bins], "--series-other"),
        ("warnings", [one.warnings for one in bins], "--warning"),
        ("errors", [one.errors for one in bins], "--critical"),
    )
    data = [
        bars(name, colour, middle, counts, shown, width=width * 0.85) for name, counts, colour in parts if any(counts)
    ]
    return figure(data, time_axis(time_range.start_ms, time_range.end_ms) | STACKED, "No line in this time.")
