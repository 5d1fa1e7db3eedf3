"""The chart of what came in: records per minute, by what became of them."""

from __future__ import annotations

from typing import Any

from usage.queries_ingestion import Rates
from usage.ranges import MINUTE, TimeRange


def draw(sums: Rates, time_range: TimeRange) -> dict[str, Any]:
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
            trace = {"type": "bar", "name": name, "x": middle, "y": per_minute, "marker": {"color": colour}}
            data.append({**trace, "hovertemplate": "%{y:,.4~g} /min"})
    span = {"type": "date", "range": [time_range.start_ms, time_range.end_ms]}
    return {"data": data, "layout": {"xaxis": span, "barmode": "stack"}, "empty": "Nothing was received in this time."}
