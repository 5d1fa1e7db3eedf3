"""Figures for plotly.js: traces, their axes, and the whole.

Colours are names of CSS variables ("--series-0", or "--critical/.1" with an opacity) and times are epoch milliseconds
in UTC: static/charts fills in the theme's colours and the reader's zone, so one figure serves everybody. Gaps stay
gaps: what is absent is null. A figure is a plain dict and not one of plotly's graph_objects: building those costs 9 ms
a panel, this 0.01 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from promql.values import Floats

Trace = dict[str, Any]
Layout = dict[str, Any]
Figure = dict[str, Any]

SERIES_COLOURS = 10
OTHER = "--series-other"
DOT = 4
HEAT = ("--heat-0", "--heat-1", "--heat-2")


def figure(data: Sequence[Trace], layout: Layout, empty: str, **more: object) -> Figure:
    """What a page fetches: Plotly's data and layout, and the sentence that stands there when there is no data."""
    return {"data": list(data), "layout": layout, "empty": empty, **more}


def time_axis(start_ms: int, end_ms: int) -> Layout:
    """The layout of a chart over time."""
    return {"xaxis": {"type": "date", "range": [start_ms, end_ms]}}


def series_colour(place: int) -> str:
    """The colour of the series at this place; they repeat."""
    return f"--series-{place % SERIES_COLOURS}"


def numbers(values: Floats) -> list[float | None]:
    """Values for JSON, six digits each; NaN is null."""
    return [None if value != value else float(f"{value:.6g}") for value in values.tolist()]


def values_of(data: Sequence[Trace]) -> list[float]:
    """Every value that is drawn on the y axis."""
    return [value for trace in data for value in trace.get("y", ()) if value is not None]


def line(name: str, colour: str, x: Sequence[int], values: Floats, hover: str, **more: object) -> Trace:
    """A line; NaN is a gap. A point without neighbours would not show as a line: it gets a dot."""
    trace: Trace = {"type": "scatter", "mode": "lines", "name": name, "x": list(x), "y": numbers(values)}
    trace |= {"hovertemplate": hover, "line": {"color": colour, "width": 1.5}, **more}
    there = np.concatenate([[False], ~np.isnan(values), [False]])
    lonely = there[1:-1] & ~there[:-2] & ~there[2:]
    if lonely.any():
        trace |= {"mode": "lines+markers", "marker": {"size": (lonely * DOT).tolist(), "color": colour}}
    return trace


def area(name: str, colour: str, x: Sequence[int], values: Floats, hover: str, **more: object) -> Trace:
    """A band of a stack."""
    trace: Trace = {"type": "scatter", "mode": "lines", "name": name, "x": list(x), "y": numbers(values)}
    style = {"stackgroup": "all", "line": {"color": colour, "width": 0.5}, "fillcolor": f"{colour}/.85"}
    return {**trace, "hovertemplate": hover, **style, **more}


def bars(name: str, colour: str, x: Sequence[float], y: Sequence[float | None], hover: str, **more: object) -> Trace:
    """Bars around the times `x`; STACKED in the layout puts them on each other."""
    trace: Trace = {"type": "bar", "name": name, "x": list(x), "y": list(y)}
    return {**trace, "hovertemplate": hover, "marker": {"color": colour}, **more}


STACKED: Layout = {"barmode": "stack"}


def faint(name: str, x: Sequence[int], rows: Sequence[Floats], **more: object) -> Trace:
    """Further lines as one grey trace, parted by gaps."""
    trace: Trace = {"type": "scatter", "mode": "lines", "name": name, "x": [*x, x[-1]] * len(rows)}
    trace["y"] = [value for row in rows for value in [*numbers(row), None]]
    return {**trace, "line": {"color": OTHER, "width": 1}, "opacity": 0.6, "hoverinfo": "skip", **more}


def heatmap(x: Sequence[object], y: Sequence[object], z: Sequence[Sequence[float | None]], **more: object) -> Trace:
    """Cells of a colour each; `zmin`, `zmax` and `colorscale` say which."""
    return {"type": "heatmap", "x": list(x), "y": list(y), "z": list(z), "showscale": False, **more}


def heat_scale(middle: float) -> list[list[object]]:
    """From pale to strong; `middle` is where the middle colour stands, between 0 and 1."""
    return [[at, colour] for at, colour in zip((0, middle, 1), HEAT, strict=True)]
