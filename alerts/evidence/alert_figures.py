"""Figures of an alert, and of a rule over the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import promql
from alerts.models import Rule
from alerts.trial.backtest import Backtest
from core.charts import figures, overlays
from core.charts.figures import Figure, Layout, Trace, figure, heatmap, series_colour, time_axis, values_of
from promql.values import Floats
from usage.boards.behind import behind

MAX_SERIES = 8
MAX_ROWS = 8
MAX_LIMITS = 3
CHART_PIXELS, ROW_PIXELS = 250, 23
GAP_SHARE = 0.1


@dataclass(frozen=True)
class ChartNote:
    """Something that happened at a time (epoch ms), as a dotted line with its label."""

    at_ms: int
    text: str


@dataclass(frozen=True)
class Stretch:
    """A shaded span of time (epoch ms)."""

    start_ms: int
    end_ms: int
    text: str = ""
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


def line(name: str, colour: str, result: promql.Result, row: int, unit: str, **more: object) -> Trace:
    """One series of a result."""
    values = np.where(result.present[row] & np.isfinite(result.values[row]), result.values[row], np.nan)
    return figures.line(name, colour, result.times.tolist(), values, f"%{{y:.4~g}} {unit}", **more)


def alert_figure(
    lines: list[Trace], span_ms: tuple[int, int], stretches: list[Stretch], notes: list[ChartNote]
) -> Figure:
    """The chart of one alert: its series and limit, the time it fired, and what was changed meanwhile."""
    layout = _layout(span_ms)
    layout["shapes"] = [_shade(stretch) for stretch in stretches] + [overlays.change(note.at_ms) for note in notes]
    layout["annotations"] = [
        overlays.label(stretch.start_ms, stretch.text, f"{stretch.colour}-text")
        for stretch in stretches
        if stretch.text
    ] + [overlays.label(note.at_ms, note.text, height=0.93) for note in notes]
    return figure(lines, layout, "The rule's query gives nothing for this time: the data is no longer kept.")


def rule_figure(test: Backtest, rule: Rule, span_ms: tuple[int, int], slots: Mapping[str, int]) -> Figure:
    """What a rule measures over the past, its threshold, when it would have fired, and below a row per label set with
    its state."""
    unit, recovery = rule.unit, rule.recovery_threshold
    lines = measured_lines(test.around[0] if test.around else test.measured, unit, slots)
    layout = _layout(span_ms)
    layout["shapes"] = [_shade(Stretch(start, end)) for start, end in test.firing_intervals()]
    number = test.comparison.number if test.comparison else None
    if test.around is not None:
        lines = [*band_lines(test, unit), *lines]
    elif number is not None and test.comparison is not None:
        beyond = (number, _top(lines, number)) if test.comparison.operator.startswith(">") else (0, number)
        level = threshold_layout(number, unit)
        layout["shapes"] += [overlays.band(*beyond), *level["shapes"]]
        layout["annotations"] = level["annotations"]
        if recovery is not None:
            back = overlays.threshold(recovery, f"recovers at {recovery:,g} {unit}".rstrip(), below=recovery < number)
            layout["shapes"] += back["shapes"]
            layout["annotations"] += back["annotations"]
        for row in rule.thresholds[:MAX_LIMITS]:
            other = overlays.threshold(row["threshold"], f"{row['threshold']:,g} for {row['match']}")
            layout["shapes"] += other["shapes"]
            layout["annotations"] += other["annotations"]
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
    return figure(lines, layout, "The query gave no samples in this time.")


def state_rows(test: Backtest) -> tuple[list[str], list[list[int]]]:
    """Each label set's name and states, from the bottom up; those that would have been pending or fired first."""
    tested = {frozenset(own.items()): row for row, own in enumerate(test.labels) if test.states[row].any()}
    known = [{name: text for name, text in own.items() if name != "__name__"} for own in test.measured.labels]
    names = dict(zip((frozenset(own.items()) for own in known), names_of(known), strict=True))
    order = sorted(names, key=lambda own: (own not in tested, names[own]))[:MAX_ROWS][::-1]
    quiet = np.zeros(len(test.times), dtype=np.int8)
    return [names[own] for own in order], [
        (test.states[tested[own]] if own in tested else quiet).tolist() for own in order
    ]


def rows_share(rows: int) -> float:
    """The part of a chart's height that its rows of states take; the stylesheet's heights of .rows-N fit to it."""
    return ROW_PIXELS * rows / (CHART_PIXELS + ROW_PIXELS * rows) * (1 - GAP_SHARE)


def _state_trace(test: Backtest, names: list[str], z: list[list[int]]) -> Trace:
    colours = ("--ok-on", "--warning", "--critical")
    scale = [[(place + end) / 3, colour] for place, colour in enumerate(colours) for end in (0, 1)]
    style = {"yaxis": "y2", "zmin": 0, "zmax": 2, "ygap": 6, "colorscale": scale, "hoverinfo": "skip"}
    return heatmap(test.times.tolist(), names, z, showlegend=False, **style)


def measured_lines(result: promql.Result, unit: str, slots: Mapping[str, int]) -> list[Trace]:
    """At most eight series, the largest first. `slots` gives a model its colour on every
    page, where models tell the series apart."""
    names = names_of(result.labels)
    models = [labels.get("model", "") for labels in result.labels]
    by_model = all(models) and len(set(models)) == len(models)
    sums = np.where(result.present & np.isfinite(result.values), result.values, 0).sum(axis=1)
    order = sorted(range(len(names)), key=lambda row: (-float(sums[row]), names[row]))[:MAX_SERIES]
    places = [slots.get(models[row], place) if by_model else place for place, row in enumerate(order)]
    step = result.times[1] - result.times[0] if len(result.times) > 1 else 0
    return [
        line(names[row], series_colour(place), result, row, unit, **behind(result.labels[row], int(step)))
        for place, row in zip(places, order, strict=True)
    ]


def limit_lines(result: promql.Result, unit: str) -> list[Trace]:
    """A limit that moves, dashed."""
    style = {"color": "--critical", "width": 1, "dash": "4px,3px"}
    names = [f"limit {name}" for name in names_of(result.labels)] if len(result.labels) > 1 else ["limit"]
    return [
        line(name, "--critical", result, row, unit, line=style)
        for row, name in enumerate(names[: min(MAX_LIMITS, len(result.labels))])
    ]


def band_lines(test: Backtest, unit: str) -> list[Trace]:
    """The bands around what is usual, within which nothing fires: a lower and an upper edge each."""
    if test.around is None:
        return []
    usual = test.around[1]
    lines = []
    for row, name in enumerate(names_of(usual.labels)[:MAX_LIMITS]):
        centre = np.where(usual.present[row], usual.values[row], np.nan)
        width = _width(test, usual.labels[row])
        for edge, value, fill in (("from", centre - width, {}), ("to", centre + width, {"fill": "tonexty"})):
            style = {"line": {"color": "--ok", "width": 1, "dash": "2px,3px"}, "fillcolor": "--ok/.12", **fill}
            title = f"usual {name}: {edge}"
            lines.append(figures.line(title, "--ok", usual.times.tolist(), value, f"%{{y:.4~g}} {unit}", **style))
    return lines


def _width(test: Backtest, labels: promql.Labels) -> Floats:
    """Half the width of the band around one label set at each time; NaN where there is none."""
    if test.limit is None:
        number = test.comparison.number if test.comparison else None
        return np.full(len(test.times), np.nan if number is None else number)
    row = next((row for row, own in enumerate(test.limit.labels) if own == labels), None)
    if row is None:
        return np.full(len(test.times), np.nan)
    return np.where(test.limit.present[row], test.limit.values[row], np.nan)


def threshold_layout(number: float, unit: str) -> Layout:
    """The level of a plain threshold: its line and its label."""
    return overlays.threshold(number, f"threshold {number:,g} {unit}".rstrip())


def _layout(span_ms: tuple[int, int]) -> Layout:
    return {**time_axis(*span_ms), "yaxis": {}, "shapes": [], "annotations": []}


def _shade(stretch: Stretch) -> overlays.Shape:
    return overlays.span(stretch.start_ms, stretch.end_ms, f"{stretch.colour}/.13")


def _top(lines: list[Trace], number: float) -> float:
    """Above every value and the threshold, with some room."""
    highest = max(values_of(lines), default=0)
    return max(highest, number, 0) * 1.12 or 1


def _bottom(lines: list[Trace]) -> float:
    return min(values_of(lines), default=0)
