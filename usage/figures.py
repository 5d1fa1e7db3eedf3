"""Plotly figures of panels. Colours are names of CSS variables and times are epoch milliseconds in UTC: charts.js fills in the
theme's colours and the reader's zone, so one figure serves everybody. Gaps stay gaps: what is absent is null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from promql import Result
from usage.catalog import CALL_ERRORS, LOOKUP_OUTCOMES, PERSIST_ERRORS, TOOL_ERRORS
from usage.dashboards import UNITS, Panel
from usage.ranges import TimeRange
from usage.words import seconds

Floats = npt.NDArray[np.float64]
Figure = dict[str, Any]

MOST_SERIES = 8
COLOURS = 10
# Closed sets have colours of their own, in the catalog's order.
KINDS: Mapping[str, tuple[str, ...]] = {
    "error_type": (*dict.fromkeys(("rate_limit", "timeout", "server_error", *CALL_ERRORS, *PERSIST_ERRORS)),),
    "error_kind": TOOL_ERRORS,
    "outcome": LOOKUP_OUTCOMES,
}
KIND_COLOURS = 6
QUANTILES = ("p50", "p95", "p99")


@dataclass(frozen=True)
class Line:
    """One series as it is drawn: its name in the legend, its colour, a value per time (NaN where there is none)."""

    name: str
    colour: str
    values: Floats


def named(legend: str, labels: Mapping[str, str]) -> str:
    """The legend with the labels filled in: {{model}}."""
    for name, value in labels.items():
        legend = legend.replace("{{" + name + "}}", value)
    return legend


def colour_of(panel: Panel, labels: Mapping[str, str], name: str, position: int, slots: Mapping[str, int]) -> str:
    """The CSS variable of a series' colour: by its label's value where the panel says so, else by its place."""
    value = labels.get(panel.colour_by, "")
    if panel.colour_by in KINDS:
        known = KINDS[panel.colour_by]
        return f"--kind-{known.index(value) % KIND_COLOURS if value in known else KIND_COLOURS - 1}"
    if panel.colour_by:
        return f"--series-{slots[value] % COLOURS}" if value in slots else "--series-other"
    if name in QUANTILES:
        return f"--quantile-{QUANTILES.index(name)}"
    return f"--series-{position % COLOURS}"


def lines_of(panel: Panel, results: Sequence[Result], slots: Mapping[str, int]) -> list[Line]:
    """The series of all queries with a legend, the largest first; names that occur twice are told apart by their labels."""
    found: list[tuple[str, Mapping[str, str], Floats]] = []
    for query, result in zip(panel.queries, results, strict=True):
        if not query.legend:
            continue
        for labels, values, present in zip(result.labels, result.values, result.present, strict=True):
            row = np.where(present & np.isfinite(values), values, np.nan)
            # In a stack, what is zero throughout would only lengthen the legend.
            if not np.isnan(row).all() and (panel.chart not in ("area", "bars") or np.nansum(row) > 0):
                found.append((named(query.legend, labels), labels, row))
    names = [name for name, _, _ in found]
    told = [
        (name if names.count(name) == 1 else " · ".join(labels.values()), labels, row) for name, labels, row in found
    ]
    if not (told and told[0][0] in QUANTILES):
        told.sort(key=lambda item: (-float(np.nansum(item[2])), item[0]))
    return [
        Line(name, colour_of(panel, labels, name, place, slots), row) for place, (name, labels, row) in enumerate(told)
    ]


def grouped(lines: list[Line], additive: bool) -> tuple[list[Line], list[Line]]:
    """At most eight lines, and the others: summed into one where sums make sense, else as they are."""
    if len(lines) <= MOST_SERIES:
        return lines, []
    shown, others = lines[:MOST_SERIES], lines[MOST_SERIES:]
    if not additive:
        return shown, others
    rows = np.stack([line.values for line in others])
    total = np.where(np.isnan(rows).all(axis=0), np.nan, np.nansum(rows, axis=0))
    return [*shown, Line(f"{len(others)} others", "--series-other", total)], []


def numbers(values: Floats) -> list[float | None]:
    """Values for JSON, six digits each; NaN is null."""
    return [None if value != value else float(f"{value:.6g}") for value in values.tolist()]


def draw(panel: Panel, results: Sequence[Result], time_range: TimeRange, slots: Mapping[str, int]) -> Figure:
    """The figure of a panel. `results` are the answers to its queries in order, `slots` the colour of each value of its label."""
    if panel.chart == "matrix":
        return _matrix(panel, results[0])
    times = results[0].times
    step = int(times[1] - times[0]) if len(times) > 1 else time_range.step_ms
    if panel.chart == "heat":
        data = _heat(results[0], times)
        data += _traces(panel, lines_of(panel, results, slots), times, step) if data else []
    else:
        data = _traces(panel, lines_of(panel, results, slots), times, step)
    layout: dict[str, Any] = {
        "xaxis": {"type": "date", "range": [time_range.start_ms, time_range.end_ms]},
        "yaxis": _y_axis(panel, data),
    }
    if panel.chart == "bars":
        layout["barmode"] = "stack"
    if panel.threshold is not None:
        layout |= threshold(panel.threshold, panel.threshold_says, below=panel.share)
    return {"data": data, "layout": layout, "empty": panel.empty}


def threshold(value: float, says: str, below: bool = False) -> dict[str, Any]:
    """Layout of a thin dashed line at `value` with its words above or below it."""
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": value, "y1": value}
    note = {
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "yref": "y",
        "y": value,
        "yanchor": "top" if below else "bottom",
        "showarrow": False,
    }
    return {
        "shapes": [{**line, "line": {"color": "--critical", "dash": "4px,3px", "width": 1}}],
        "annotations": [
            {**note, "text": says, "font": {"color": "--critical-text", "size": 10}, "bgcolor": "--panel/.8"}
        ],
    }


def _traces(panel: Panel, lines: list[Line], times: npt.NDArray[np.int64], step: int) -> list[dict[str, Any]]:
    shown, others = grouped(lines, additive=panel.chart in ("area", "bars"))
    if panel.chart == "line" and panel.colour_by:
        # Lines have no size that a reader could see in their order: the order of their colours is the same everywhere.
        shown = sorted(shown, key=lambda line: (len(line.colour), line.colour, line.name))
    shift = step // 2 if panel.chart == "bars" else 0
    x = (times - shift).tolist()
    unit = UNITS[panel.unit]
    hover = f"{unit.before}%{{y:{unit.hover}}}{unit.after}"
    data = []
    for line in shown:
        base = {"name": line.name, "x": x, "y": numbers(line.values), "hovertemplate": hover}
        if panel.chart == "bars":
            data.append({"type": "bar", **base, "marker": {"color": line.colour}})
        elif panel.chart == "area":
            area = {
                "stackgroup": "all",
                "line": {"color": line.colour, "width": 0.5},
                "fillcolor": f"{line.colour}/.85",
            }
            data.append({"type": "scatter", "mode": "lines", **base, **area})
        else:
            data.append({"type": "scatter", **base, "line": {"color": line.colour, "width": 1.5}, **_dots(line)})
    if others:
        data.append(_faint(others, x))
    return data


def _dots(line: Line) -> dict[str, Any]:
    """A point without neighbours would not show as a line: it gets a dot."""
    there = np.concatenate([[False], ~np.isnan(line.values), [False]])
    lonely = there[1:-1] & ~there[:-2] & ~there[2:]
    if not lonely.any():
        return {"mode": "lines"}
    return {"mode": "lines+markers", "marker": {"size": (lonely * 4).tolist(), "color": line.colour}}


def _faint(others: list[Line], x: list[int]) -> dict[str, Any]:
    """Further lines as one grey trace, parted by gaps."""
    all_x = [*x, x[-1]] * len(others)
    all_y = [value for line in others for value in [*numbers(line.values), None]]
    style = {"line": {"color": "--series-other", "width": 1}, "opacity": 0.6, "hoverinfo": "skip"}
    return {"type": "scatter", "mode": "lines", "name": f"{len(others)} others", "x": all_x, "y": all_y, **style}


def _y_axis(panel: Panel, data: list[dict[str, Any]]) -> dict[str, Any]:
    values = [value for trace in data for value in trace.get("y", ()) if value is not None]
    if panel.chart == "heat":
        ticks = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60]
        scale = {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks], "showgrid": False}
        return scale | {"range": _heat_range(data[0])} if data else scale
    if panel.share and values:
        low = min(90.0, float(np.floor(min(values) / 10) * 10))
        return {"range": [max(low, 0.0), 100.4], "rangemode": "normal"}
    if values and max(values) == 0:
        return {"range": [0, 1]}
    tick = UNITS[panel.unit].tick
    return {"tickformat": tick} if tick and values and max(values) >= 1000 else {}


def _heat(result: Result, times: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """Counts per bucket and time. The first bucket is drawn from half its bound, the last to twice the highest one."""
    if not result.labels:
        return []
    order = sorted(range(len(result.labels)), key=lambda row: float(result.labels[row]["le"]))
    bounds = [float(result.labels[row]["le"]) for row in order]
    cumulated = np.where(result.present[order] & np.isfinite(result.values[order]), result.values[order], 0.0)
    counts = np.maximum(np.diff(cumulated, axis=0, prepend=0.0), 0.0)
    finite = [bound for bound in bounds if np.isfinite(bound)]
    if not counts.any() or not finite:
        return []
    edges = [finite[0] / 2, *finite, *([finite[-1] * 2] if len(finite) < len(bounds) else [])]
    # Columns are scaled by themselves: what a reader compares is where the calls lie at a time, not how many there were.
    shares = counts / np.maximum(counts.max(axis=0), 1e-12)
    z = [numbers(row) for row in np.where(counts > 0, shares, np.nan)]
    scale = [[0, "--heat-0"], [0.35, "--heat-1"], [1, "--heat-2"]]
    style = {"colorscale": scale, "zmin": 0, "zmax": 1, "showscale": False, "hoverinfo": "skip", "showlegend": False}
    return [{"type": "heatmap", "x": times.tolist(), "y": edges, "z": z, **style}]


def _heat_range(trace: dict[str, Any]) -> list[float]:
    """The bounds (logarithms) of the buckets that hold anything."""
    filled = [row for row, line in enumerate(trace["z"]) if any(value for value in line)]
    edges = trace["y"]
    return [float(f"{np.log10(edges[place]):.4g}") for place in (filled[0], filled[-1] + 1)]


def _matrix(panel: Panel, result: Result) -> Figure:
    """A cell per pair of labels (the legend's two, parted by a tab), with its value written in it."""
    cells: dict[tuple[str, str], float] = {}
    for labels, values, present in zip(result.labels, result.values, result.present, strict=True):
        row, _, column = named(panel.queries[0].legend, labels).partition("\t")
        if present[-1] and np.isfinite(values[-1]):
            cells[row, column] = float(f"{values[-1]:.4g}")
    rows, columns = (sorted({pair[place] for pair in cells}) for place in (0, 1))
    values = [[cells.get((row, column)) for column in columns] for row in rows]
    text = [["" if value is None else seconds(value) for value in line] for line in values]
    # The colour goes by the logarithm: between 20 ms and 20 s each tenfold is a shade.
    z = [[None if value is None else float(f"{np.log10(max(value, 1e-3)):.4g}") for value in line] for line in values]
    trace = {"type": "heatmap", "x": columns, "y": rows, "z": z, "text": text, "texttemplate": "%{text}"}
    style = {
        "colorscale": [[0, "--heat-0"], [0.5, "--heat-1"], [1, "--heat-2"]],
        "zmin": -2,
        "zmax": 1.5,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "%{y} · %{x}: %{text}<extra></extra>",
    }
    layout = {
        "xaxis": {"type": "category", "fixedrange": True, "automargin": True},
        "yaxis": {"type": "category", "showgrid": False, "autorange": "reversed"},
        "hovermode": "closest",
    }
    return {"data": [{**trace, **style}] if cells else [], "layout": layout, "empty": panel.empty}


def table(panel: Panel, results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    """The same data as rows for CSV: a column per series, a row per time (ISO 8601, UTC)."""
    header, columns = ["time"], []
    for query, result in zip(panel.queries, results, strict=True):
        for labels, values, present in zip(result.labels, result.values, result.present, strict=True):
            header.append(
                named(query.legend, labels).replace("\t", " ") or ",".join(f"{k}={v}" for k, v in labels.items())
            )
            columns.append(np.where(present, values, np.nan))
    times = np.datetime_as_string(results[0].times.astype("datetime64[ms]"), unit="s")
    rows: list[list[object]] = []
    for place, time in enumerate(times.tolist()):
        cells = [column[place] for column in columns]
        rows.append([f"{time}Z", *("" if np.isnan(cell) else f"{cell:.10g}" for cell in cells)])
    return header, rows
