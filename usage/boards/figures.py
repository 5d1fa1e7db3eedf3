"""The figures of panels, and the same data as rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.charts import figures, overlays
from core.charts.figures import (
    OTHER,
    STACKED,
    Figure,
    Layout,
    Trace,
    heat_scale,
    heatmap,
    numbers,
    series_colour,
    time_axis,
    values_of,
)
from core.charts.units import UNITS
from core.ui.numbers import seconds
from core.ui.time_range import TimeRange
from promql import Result
from promql.values import Floats, Ints
from usage.boards.declarations import Panel
from usage.boards.panels import DRAWN, OTHERS
from usage.catalog import CALL_ERRORS, LOOKUP_OUTCOMES, PERSIST_ERRORS, TOOL_ERRORS

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
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_rest(self) -> bool:
        """Whether it is what the panel's queries found of all others together."""
        return self.name.endswith(OTHERS)


def named(legend: str, labels: Mapping[str, str]) -> str:
    """The legend with the labels filled in: {{model}}."""
    for name, value in labels.items():
        legend = legend.replace("{{" + name + "}}", value)
    return legend


def colour_of(panel: Panel, labels: Mapping[str, str], name: str, position: int, colours: Mapping[str, int]) -> str:
    """The CSS variable of a series' colour: by its label's value where the panel says so, else by its place."""
    value = labels.get(panel.colour_by, "")
    if panel.colour_by in KINDS:
        known = KINDS[panel.colour_by]
        return f"--kind-{known.index(value) % KIND_COLOURS if value in known else KIND_COLOURS - 1}"
    if panel.colour_by:
        return series_colour(colours[value]) if value in colours else OTHER
    if name in QUANTILES:
        return f"--quantile-{QUANTILES.index(name)}"
    return series_colour(position)


def lines_of(panel: Panel, results: Sequence[Result], colours: Mapping[str, int]) -> list[Line]:
    """The series of all queries with a legend, the largest first; names that occur twice
    are distinguished by their labels."""
    found: list[tuple[str, Mapping[str, str], Floats]] = []
    for query, result in zip(panel.queries, results, strict=True):
        if not query.legend:
            continue
        for labels, values, present in zip(result.labels, result.values, result.present, strict=True):
            row = np.where(present & np.isfinite(values), values, np.nan)
            # In a stack, what is zero throughout would only lengthen the legend.
            if not np.isnan(row).all() and (panel.chart not in ("area", "bars") or np.nansum(row) > 0):
                found.append((named(query.legend, labels), labels, row))
    often = Counter(name for name, _, _ in found)
    rows = [(name if often[name] == 1 else " · ".join(labels.values()), labels, row) for name, labels, row in found]
    if not (rows and rows[0][0] in QUANTILES):
        rows.sort(key=lambda item: (-float(np.nansum(item[2])), item[0]))
    return [
        Line(name, colour_of(panel, labels, name, place, colours), row, {} if name.endswith(OTHERS) else labels)
        for place, (name, labels, row) in enumerate(rows)
    ]


def grouped(lines: list[Line], additive: bool) -> tuple[list[Line], list[Line]]:
    """At most eight lines, and the others: summed into one where sums make sense, else as they are."""
    own, rest = [line for line in lines if not line.is_rest], [line for line in lines if line.is_rest]
    if len(own) <= DRAWN:
        return [*own, *rest], []
    shown, others = lines[:DRAWN], lines[DRAWN:]
    if not additive:
        return shown, others
    rows = np.stack([line.values for line in others])
    total = np.where(np.isnan(rows).all(axis=0), np.nan, np.nansum(rows, axis=0))
    return [*shown, Line(f"{len(others)} others", OTHER, total)], []


def draw(panel: Panel, results: Sequence[Result], time_range: TimeRange, colours: Mapping[str, int]) -> Figure:
    """The figure of a panel. `results` are the answers to its queries in order, `colours`
    the colour of each value of its label."""
    if panel.chart == "matrix":
        return _matrix(panel, results[0])
    times = results[0].times
    step = int(times[1] - times[0]) if len(times) > 1 else time_range.step_ms
    if panel.chart == "heat":
        data = _heat(results[0], times)
        data += _traces(panel, lines_of(panel, results, colours), times, step) if data else []
    else:
        data = _traces(panel, lines_of(panel, results, colours), times, step)
    layout = time_axis(time_range.start_ms, time_range.end_ms) | {"yaxis": _y_axis(panel, data)}
    if panel.chart == "bars":
        layout |= STACKED
    if panel.threshold is not None:
        layout |= overlays.threshold(panel.threshold, panel.threshold_label, below=panel.share)
    return figures.figure(data, layout, panel.empty)


def _traces(panel: Panel, lines: list[Line], times: Ints, step: int) -> list[Trace]:
    shown, others = grouped(lines, additive=panel.chart in ("area", "bars"))
    if panel.chart == "line" and panel.colour_by:
        # Lines have no size that a reader could see in their order: the order of their colours is the same everywhere.
        shown = sorted(shown, key=lambda line: (line.is_rest, len(line.colour), line.colour, line.name))
    shift = step // 2 if panel.chart == "bars" else 0
    x = (times - shift).tolist()
    hover = UNITS[panel.unit].tooltip
    data = []
    for one in shown:
        # A click on a point leads to the traces of its time that have the series' labels (charts.js).
        meta = {"labels": dict(one.labels), "step": step}
        if panel.chart == "bars":
            data.append(figures.bars(one.name, one.colour, x, numbers(one.values), hover, meta=meta))
        else:
            draw_line = figures.area if panel.chart == "area" else figures.line
            data.append(draw_line(one.name, one.colour, x, one.values, hover, meta=meta))
    if others:
        data.append(figures.faint(f"{len(others)} others", x, [one.values for one in others]))
    return data


def _y_axis(panel: Panel, data: list[Trace]) -> Layout:
    values = values_of(data)
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


def _heat(result: Result, times: Ints) -> list[Trace]:
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
    # Columns are scaled by themselves: what a reader compares is where the calls lie at
    # a time, not how many there were.
    shares = counts / np.maximum(counts.max(axis=0), 1e-12)
    z = [numbers(row) for row in np.where(counts > 0, shares, np.nan)]
    style = {"colorscale": heat_scale(0.35), "zmin": 0, "zmax": 1, "hoverinfo": "skip", "showlegend": False}
    return [heatmap(times.tolist(), edges, z, **style)]


def _heat_range(trace: Trace) -> list[float]:
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
    style = {"colorscale": heat_scale(0.5), "zmin": -2, "zmax": 1.5, "xgap": 2, "ygap": 2}
    hover = "%{y} · %{x}: %{text}<extra></extra>"
    trace = heatmap(columns, rows, z, text=text, texttemplate="%{text}", hovertemplate=hover, **style)
    layout = {
        "xaxis": {"type": "category", "fixedrange": True, "automargin": True},
        "yaxis": {"type": "category", "showgrid": False, "autorange": "reversed"},
        "hovermode": "closest",
    }
    return figures.figure([trace] if cells else [], layout, panel.empty)


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
