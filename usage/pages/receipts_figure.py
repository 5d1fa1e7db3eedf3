"""The chart of what came in: records per minute, by what became of them."""

from __future__ import annotations

from core.charts.figures import STACKED, Figure, bars, figure, time_axis
from core.ui.time_range import MINUTE, TimeRange
from usage.pages.ingestion_queries import Rates


def draw(sums: Rates, time_range: TimeRange) -> Figure:
    """Stacked bars; refused records in a colour of their own."""
    step = time_range.step_ms
    middle = [at + step // 2 for at in sums.times]
    data = []
    for name, counts, colour in (
        ("accepted", sums.accepted, "--series-0"),
        ("duplicates", sums.duplicates, "--kind-3"),
        ("refused", sums.rejected, "--kind-2"),
    ):
        if any(counts):
            per_minute = [float(f"{count * MINUTE / step:.6g}") for count in counts]
            data.append(bars(name, colour, middle, per_minute, "%{y:,.4~g} /min"))
    layout = time_axis(time_range.start_ms, time_range.end_ms) | STACKED
    return figure(data, layout, "Nothing was received in this time.")
