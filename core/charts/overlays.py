"""What is drawn over a chart: thresholds, times in which something fired, changes."""

from __future__ import annotations

from typing import Any

from core.charts.figures import Layout

Shape = dict[str, Any]
Note = dict[str, Any]

SMALL = 10


def threshold(value: float, text: str, *, below: bool = False) -> Layout:
    """Layout of a thin dashed line at `value` with its label above or below it."""
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": value, "y1": value}
    note = {
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "yref": "y",
        "y": value,
        "yanchor": "top" if below else "bottom",
    }
    style = {"font": {"color": "--critical-text", "size": SMALL}, "bgcolor": "--panel/.8", "showarrow": False}
    return {
        "shapes": [{**line, "line": {"color": "--critical", "dash": "4px,3px", "width": 1}}],
        "annotations": [{**note, "text": text, **style}],
    }


def band(low: float, high: float) -> Shape:
    """The shaded range of values that are beyond a threshold."""
    place = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": low, "y1": high}
    return {**place, "fillcolor": "--critical/.05", "line": {"width": 0}, "layer": "below"}


def span(start_ms: int, end_ms: int, colour: str) -> Shape:
    """A shaded span of time."""
    place = {"type": "rect", "xref": "x", "x0": start_ms, "x1": end_ms, "yref": "paper", "y0": 0, "y1": 1}
    return {**place, "fillcolor": colour, "line": {"width": 0}, "layer": "below"}


def change(at_ms: int) -> Shape:
    """A dotted line at the time of a change."""
    place = {"type": "line", "xref": "x", "x0": at_ms, "x1": at_ms, "yref": "paper", "y0": 0, "y1": 1}
    return {**place, "line": {"color": "--second", "dash": "dot", "width": 1}}


def label(at_ms: int, text: str, colour: str = "--second", height: float = 1) -> Note:
    """What a time is called, right of it; `height` is a share of the chart's."""
    place = {"xref": "x", "x": at_ms, "xanchor": "left", "yref": "paper", "y": height, "yanchor": "top", "xshift": 3}
    style = {"font": {"color": colour, "size": SMALL}, "bgcolor": "--panel/.8", "showarrow": False}
    return {**place, "text": text, **style}
