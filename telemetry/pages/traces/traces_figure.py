"""The chart above the list of traces: a dot per trace, by its start and its duration (log), those with errors in a
colour and a shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from core.charts.figures import Figure, figure, time_axis
from core.ui import numbers
from core.ui.time_range import TimeRange
from telemetry.store.reading.trace_stats import Dot

SHORTEST = 1e-4


def draw(dots: Sequence[Dot], time_range: TimeRange) -> Figure:
    """Plotly's figure. A click on a dot leads to its trace (`customdata`); a region that is dragged filters by time and
    duration."""
    data = [
        _points("ok", [one for one in dots if not one.failed], {"color": "--series-4", "size": 5, "opacity": 0.75}),
        _points("error", [one for one in dots if one.failed], {"color": "--critical", "size": 7, "symbol": "diamond"}),
    ]
    layout = {
        **time_axis(time_range.start_ms, time_range.end_ms),
        "yaxis": {
            "type": "log",
            "fixedrange": False,
            "dtick": 1,
            "nticks": 5,
            "ticksuffix": " s",
            "rangemode": "normal",
        },
        "hovermode": "closest",
    }
    return figure([one for one in data if one["x"]], layout, "No trace in this time.")


def _points(name: str, dots: Sequence[Dot], marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [int(one.start.timestamp() * 1000) for one in dots],
        "y": [max(one.duration, SHORTEST) for one in dots],
        "text": [
            f"{one.name or 'no root'} · {numbers.seconds(one.duration)} · {numbers.usd(one.cost_usd)}" for one in dots
        ],
        "customdata": [reverse("trace", args=[one.trace_id]) for one in dots],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": marker,
    }
