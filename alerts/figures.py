"""Plotly figures of an alert and of a rule over the past. Colours are names of CSS variables, times epoch milliseconds, absent is null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import promql
from alerts.backtest import Backtest

Figure = dict[str, Any]
MOST_SERIES = 8
COLOURS = 10
MOST_ROWS = 8
CHART_PIXELS, ROW_PIXELS = 250, 23
GAP_SHARE = 0.1


@dataclass(frozen=True)
class Mark:
    """Something that happened at a time (epoch ms), as a dotted line with its words."""

    at_ms: int
    says: str


@dataclass(frozen=True)
class Stretch:
    """A shaded span of time (epoch ms)."""

    start_ms: int
    end_ms: int
    says: str = ""
    colour: str = "--critical"


def names_of(labels: Sequence[promql.Labels]) -> list[str]:
    """A short name per label set: the values that differ between them, all of them where there is one set."""
    shown = [{name: text for name, text in one.items() if name not in ("__name__", "le")} for one in labels]
    common = {
        pair
        for pair in (shown[0].items() if shown else ())
        if len(shown) > 1 and all(pair in one.items() for one in shown)
    }
    return [
        " · ".join(text for pair in one.items() if pair not in common for text in pair[1:]) or "all" for one in shown
    ]


def line(name: str, colour: str, times: Sequence[int], values: Any, present: Any, unit: str) -> dict[str, Any]:
    """One series; gaps stay gaps, and a point without neighbours gets a dot."""
    there = np.asarray(present) & np.isfinite(values)
    y = [float(f"{value:.6g}") if ok else None for value, ok in zip(values.tolist(), there.tolist(), strict=True)]
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(times),
        "y": y,
        "line": {"color": colour, "width": 1.5},
        "hovertemplate": f"%{{y:.4~g}} {unit}",
    }
    around = np.concatenate([[False], there, [False]])
    lonely = there & ~around[:-2] & ~around[2:]
    if lonely.any():
        trace |= {"mode": "lines+markers", "marker": {"size": (lonely * 5).tolist(), "color": colour}}
    return trace


def alert_figure(
    lines: list[dict[str, Any]], span_ms: tuple[int, int], stretches: list[Stretch], marks: list[Mark]
) -> Figure:
    """The chart of one alert: its series and limit, the time it fired, and what was changed meanwhile."""
    layout = _layout(span_ms)
    layout["shapes"] = [_rectangle(stretch) for stretch in stretches] + [_dotted(mark) for mark in marks]
    layout["annotations"] = [
        _note(stretch.start_ms, stretch.says, f"{stretch.colour}-text", "left", 1)
        for stretch in stretches
        if stretch.says
    ] + [_note(mark.at_ms, mark.says, "--second", "left", 0.93) for mark in marks]
    return {
        "data": lines,
        "layout": layout,
        "empty": "The rule's query gives nothing for this time: the data is no longer kept.",
    }


def rule_figure(test: Backtest, unit: str, span_ms: tuple[int, int], slots: Mapping[str, int]) -> Figure:
    """What a rule measures over the past, its threshold, when it would have fired, and below a row per label set with its state."""
    lines = measured_lines(test.measured, unit, slots)
    layout = _layout(span_ms)
    layout["shapes"] = [_rectangle(Stretch(start, end)) for start, end in test.firing_intervals()]
    number = test.comparison.number if test.comparison else None
    if number is not None and test.comparison is not None:
        beyond = (number, _top(lines, number)) if test.comparison.operator.startswith(">") else (0, number)
        layout["shapes"] += [_band(*beyond), _level(number)]
        layout["annotations"] = [_level_note(number, unit)]
        layout["yaxis"] = {"range": [min(0, number, _bottom(lines)), _top(lines, number)], "rangemode": "normal"}
    elif test.limit is not None:
        lines += limit_lines(test.limit, unit)
    names, z = state_rows(test)
    if names:
        share = rows_share(len(names))
        layout["yaxis"] |= {"domain": [share + GAP_SHARE, 1]}
        layout["yaxis2"] = {
            "domain": [0, share],
            "type": "category",
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "automargin": True,
            "ticks": "",
            "dtick": 1,
        }
        lines.append(_state_trace(test, names, z))
    return {"data": lines, "layout": layout, "empty": "The query gave no samples in this time."}


def state_rows(test: Backtest) -> tuple[list[str], list[list[int]]]:
    """Each label set's name and states, from the bottom up; those that would have been pending or fired first."""
    hit = {frozenset(own.items()): row for row, own in enumerate(test.labels)}
    known = [{name: text for name, text in own.items() if name != "__name__"} for own in test.measured.labels]
    names = dict(zip((frozenset(own.items()) for own in known), names_of(known), strict=True))
    order = sorted(names, key=lambda own: (own not in hit, names[own]))[:MOST_ROWS][::-1]
    quiet = np.zeros(len(test.times), dtype=np.int8)
    return [names[own] for own in order], [(test.states[hit[own]] if own in hit else quiet).tolist() for own in order]


def rows_share(rows: int) -> float:
    """The part of a chart's height that its rows of states take; the stylesheet's heights of .rows-N fit to it."""
    return ROW_PIXELS * rows / (CHART_PIXELS + ROW_PIXELS * rows) * (1 - GAP_SHARE)


def _state_trace(test: Backtest, names: list[str], z: list[list[int]]) -> dict[str, Any]:
    colours = ("--ok-on", "--warning", "--critical")
    scale = [[(place + end) / 3, colour] for place, colour in enumerate(colours) for end in (0, 1)]
    place = {"type": "heatmap", "x": test.times.tolist(), "y": names, "z": z, "yaxis": "y2", "zmin": 0, "zmax": 2}
    return {**place, "ygap": 6, "colorscale": scale, "showscale": False, "hoverinfo": "skip", "showlegend": False}


def measured_lines(result: promql.Result, unit: str, slots: Mapping[str, int]) -> list[dict[str, Any]]:
    """At most eight series, the largest first. `slots` gives a model its colour on every page, where models tell the series apart."""
    names = names_of(result.labels)
    models = [labels.get("model", "") for labels in result.labels]
    by_model = all(models) and len(set(models)) == len(models)
    sums = np.where(result.present & np.isfinite(result.values), result.values, 0).sum(axis=1)
    order = sorted(range(len(names)), key=lambda row: (-float(sums[row]), names[row]))[:MOST_SERIES]
    times = result.times.tolist()
    return [
        line(
            names[row],
            f"--series-{(slots.get(models[row], place) if by_model else place) % COLOURS}",
            times,
            result.values[row],
            result.present[row],
            unit,
        )
        for place, row in enumerate(order)
    ]


def limit_lines(result: promql.Result, unit: str, most: int = 3) -> list[dict[str, Any]]:
    """A limit that moves, dashed."""
    times = result.times.tolist()
    found = []
    for row, name in list(enumerate(names_of(result.labels)))[:most]:
        trace = line(
            f"limit {name}" if len(result.labels) > 1 else "limit",
            "--critical",
            times,
            result.values[row],
            result.present[row],
            unit,
        )
        trace["line"] = {"color": "--critical", "width": 1, "dash": "4px,3px"}
        found.append(trace)
    return found


def threshold_layout(number: float, unit: str) -> dict[str, Any]:
    """The level of a plain threshold: its line and its words."""
    return {"shapes": [_level(number)], "annotations": [_level_note(number, unit)]}


def _layout(span_ms: tuple[int, int]) -> dict[str, Any]:
    return {"xaxis": {"type": "date", "range": list(span_ms)}, "yaxis": {}, "shapes": [], "annotations": []}


def _rectangle(stretch: Stretch) -> dict[str, Any]:
    across = {
        "type": "rect",
        "xref": "x",
        "x0": stretch.start_ms,
        "x1": stretch.end_ms,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
    }
    return {**across, "fillcolor": f"{stretch.colour}/.13", "line": {"width": 0}, "layer": "below"}


def _dotted(mark: Mark) -> dict[str, Any]:
    across = {"type": "line", "xref": "x", "x0": mark.at_ms, "x1": mark.at_ms, "yref": "paper", "y0": 0, "y1": 1}
    return {**across, "line": {"color": "--second", "width": 1, "dash": "1px,2px"}}


def _band(low: float, high: float) -> dict[str, Any]:
    across = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": low, "y1": high}
    return {**across, "fillcolor": "--critical/.05", "line": {"width": 0}, "layer": "below"}


def _level(number: float) -> dict[str, Any]:
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": number, "y1": number}
    return {**across, "line": {"color": "--critical", "width": 1, "dash": "4px,3px"}}


def _level_note(number: float, unit: str) -> dict[str, Any]:
    where = {
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "yref": "y",
        "y": number,
        "yanchor": "bottom",
        "showarrow": False,
    }
    return {**where, "text": f"threshold {number:,g} {unit}".rstrip(), "font": {"color": "--critical-text", "size": 10}}


def _note(at_ms: int, says: str, colour: str, anchor: str, height: float) -> dict[str, Any]:
    where = {
        "xref": "x",
        "x": at_ms,
        "xanchor": anchor,
        "yref": "paper",
        "y": height,
        "yanchor": "top",
        "showarrow": False,
    }
    return {**where, "text": says, "xshift": 3, "font": {"color": colour, "size": 10}}


def _top(lines: list[dict[str, Any]], number: float) -> float:
    """Above every value and the threshold, with some room."""
    highest = max([value for trace in lines for value in trace["y"] if value is not None], default=0)
    return max(highest, number, 0) * 1.12 or 1


def _bottom(lines: list[dict[str, Any]]) -> float:
    return min([value for trace in lines for value in trace["y"] if value is not None], default=0)
