"""The graph of several queries. One query takes the palette of its models or of its series; of several, each has one colour in shades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portal.explore.answers import Answer
from portal.explore.units import shown
from promql import Labels, Result
from promql.labels import METRIC_NAME
from usage.figures import COLOURS, Figure, Floats, numbers
from usage.ranges import TimeRange

MOST_LINES = 8
# A figure has an axis on either side.
MOST_UNITS = 2
PLAIN = "plain numbers"
SHADES = ("", "/.7", "/.5", "/.36")
DASHES = ("solid", "dash", "dot", "dashdot")
RIGHT_AXIS = {
    "overlaying": "y",
    "side": "right",
    "showgrid": False,
    "zeroline": False,
    "fixedrange": True,
    "automargin": True,
    "rangemode": "tozero",
    # Else the ticks stand at the left axis's heights, at odd numbers.
    "tickmode": "auto",
    "nticks": 6,
    "ticks": "",
}
EMPTY = "No series in this range. The table tab and the words of the query say what each part has."


def draw(
    answers: Sequence[Answer], time_range: TimeRange, slots: Mapping[str, int], *, lettered: bool = False
) -> Figure:
    """The figure of the answers that there are, of two units at most; `problems` says what failed, by letter.

    `slots` is the colour of each model; `lettered`: names and colours are those of a query among others, if it is alone here.
    """
    good = [answer for answer in answers if answer.result is not None and answer.result.labels]
    units = list(dict.fromkeys(shown(answer.unit) for answer in good))[:MOST_UNITS]
    each = max(MOST_LINES // max(len(good), 1), 2)
    data: list[dict[str, Any]] = []
    for answer in good:
        data += _lines(answer, lettered or len(good) > 1, each, slots, second=shown(answer.unit) in units[1:])
    left, right = ([one for one in data if ("yaxis" in one) is on_right] for on_right in (False, True))
    span = {"type": "date", "range": [time_range.start_ms, time_range.end_ms]}
    layout: dict[str, Any] = {"xaxis": span, "yaxis": _ticks(left)}
    if len(units) > 1:
        layout["yaxis2"] = {**RIGHT_AXIS, **_ticks(right)}
    problems = {answer.asked.letter: answer.wrong.message for answer in answers if answer.wrong}
    return {"data": data, "layout": layout, "empty": EMPTY, "problems": problems, "unit": corner(units)}


def corner(units: Sequence[str]) -> str:
    """What stands in the panel's corner; two units have an axis each."""
    if len(units) < 2:
        return units[0] if units else ""
    return f"{units[0] or PLAIN} left, {units[1] or PLAIN} right"


def _ticks(data: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Large numbers of an axis with their letter: 20k."""
    largest = max((abs(value) for trace in data for value in trace["y"] if value is not None), default=0.0)
    return {"tickformat": "~s"} if largest >= 10_000 else {}


def _lines(answer: Answer, among: bool, each: int, slots: Mapping[str, int], second: bool) -> list[dict[str, Any]]:
    """The lines of one answer, the largest first; further ones faint and without a tooltip of their own."""
    result = answer.result
    if result is None:
        return []
    rows = np.where(result.present & np.isfinite(result.values), result.values, np.nan)
    order = sorted(range(len(rows)), key=lambda row: -float(np.nansum(np.abs(rows[row]))))
    order = [row for row in order if not np.isnan(rows[row]).all()]
    names = series_names(result, answer.asked.text)
    unit = shown(answer.unit)
    axis = {"yaxis": "y2"} if second else {}
    x = result.times.tolist()
    data: list[dict[str, Any]] = []
    for place, row in enumerate(order[:each]):
        name = f"{answer.asked.letter} · {names[row]}" if among else names[row]
        line = _style(answer.asked.place, place) if among else {"color": _colour(result.labels[row], place, slots)}
        hover = f"%{{y:,.4~r}}{f' {unit}' if unit else ''}"
        base = {"type": "scatter", "name": name, "x": x, "y": numbers(rows[row]), "hovertemplate": hover, **axis}
        data.append({**base, "line": {**line, "width": 1.5}, **_dots(rows[row], line["color"])})
    if len(order) > each:
        data.append(_others(rows[order[each:]], x, f"{answer.asked.letter} · " if among else "", axis))
    return data


def _style(query: int, place: int) -> dict[str, str]:
    """A query's colour; its further series in paler shades, then dashed."""
    shade, dash = SHADES[place % len(SHADES)], DASHES[place // len(SHADES) % len(DASHES)]
    return {"color": f"--series-{query % COLOURS}{shade}", "dash": dash}


def _colour(labels: Labels, place: int, slots: Mapping[str, int]) -> str:
    """A model has the same colour on every page; other series take theirs by their place."""
    model = labels.get("model", "")
    return f"--series-{slots.get(model, place) % COLOURS}"


def _dots(values: Floats, colour: str) -> dict[str, Any]:
    """A point without neighbours would not show as a line: it gets a dot."""
    there = np.concatenate([[False], ~np.isnan(values), [False]])
    lonely = there[1:-1] & ~there[:-2] & ~there[2:]
    if not lonely.any():
        return {"mode": "lines"}
    return {"mode": "lines+markers", "marker": {"size": (lonely * 4).tolist(), "color": colour}}


def _others(rows: Floats, x: list[int], prefix: str, axis: dict[str, str]) -> dict[str, Any]:
    """Further lines as one grey trace, parted by gaps."""
    all_y = [value for row in rows for value in [*numbers(row), None]]
    style = {"line": {"color": "--series-other", "width": 1}, "opacity": 0.6, "hoverinfo": "skip", "mode": "lines"}
    return {
        "type": "scatter",
        "name": f"{prefix}{len(rows)} others",
        "x": [*x, x[-1]] * len(rows),
        "y": all_y,
        **style,
        **axis,
    }


def series_names(result: Result, text: str) -> list[str]:
    """What tells the series apart: the values of the labels that differ; of one series its labels or, without any, the query."""
    labels = result.labels
    keys = sorted({name for one in labels for name in one})
    telling = [key for key in keys if len({one.get(key, "") for one in labels}) > 1]
    if len(labels) == 1:
        telling = [key for key in keys if key != METRIC_NAME] or keys
    return [" · ".join(one[key] for key in telling if one.get(key)) or _short(text) for one in labels]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}…"
