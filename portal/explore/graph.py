"""The graph of several queries. One query takes the palette of its models or of its series; of
several, each has one colour in shades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.charts import figures
from core.charts.figures import Figure, Layout, Trace, figure, series_colour, time_axis, values_of
from core.ui.time_range import TimeRange
from portal.explore.query_results import QueryResult
from portal.explore.units import shown
from promql import Labels, Result
from promql.labels import METRIC_NAME
from usage.boards.behind import asked, behind

MAX_LINES = 8
# A figure has an axis on either side.
MAX_UNITS = 2
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
    answers: Sequence[QueryResult], time_range: TimeRange, colours: Mapping[str, int], *, lettered: bool = False
) -> Figure:
    """The figure of the answers that there are, of two units at most; `problems` says what failed, by letter.

    `colours` is the colour of each model; `lettered`: names and colours are those of a
    query among others, if it is alone here.
    """
    good = [answer for answer in answers if answer.result is not None and answer.result.labels]
    units = list(dict.fromkeys(shown(answer.unit) for answer in good))[:MAX_UNITS]
    each = max(MAX_LINES // max(len(good), 1), 2)
    data: list[Trace] = []
    for answer in good:
        data += _lines(answer, lettered or len(good) > 1, each, colours, second=shown(answer.unit) in units[1:])
    left, right = ([one for one in data if ("yaxis" in one) is on_right] for on_right in (False, True))
    layout: Layout = {**time_axis(time_range.start_ms, time_range.end_ms), "yaxis": _ticks(left)}
    if len(units) > 1:
        layout["yaxis2"] = {**RIGHT_AXIS, **_ticks(right)}
    problems = {answer.asked.letter: answer.wrong.message for answer in answers if answer.wrong}
    return figure(data, layout, EMPTY, problems=problems, unit=corner(units))


def corner(units: Sequence[str]) -> str:
    """What stands in the panel's corner; two units have an axis each."""
    if len(units) < 2:
        return units[0] if units else ""
    return f"{units[0] or PLAIN} left, {units[1] or PLAIN} right"


def _ticks(data: Sequence[Trace]) -> dict[str, str]:
    """Large numbers of an axis with their letter: 20k."""
    largest = max((abs(value) for value in values_of(data)), default=0.0)
    return {"tickformat": "~s"} if largest >= 10_000 else {}


def _lines(answer: QueryResult, among: bool, each: int, colours: Mapping[str, int], second: bool) -> list[Trace]:
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
    step = x[1] - x[0] if len(x) > 1 else 0
    wanted = asked(answer.asked.text)
    data: list[Trace] = []
    for place, row in enumerate(order[:each]):
        name = f"{answer.asked.letter} · {names[row]}" if among else names[row]
        line = _style(answer.asked.place, place) if among else {"color": _colour(result.labels[row], place, colours)}
        hover = f"%{{y:,.4~r}}{f' {unit}' if unit else ''}"
        style = {**line, "width": 1.5}
        more = axis | behind({**wanted, **result.labels[row]}, step)
        data.append(figures.line(name, line["color"], x, rows[row], hover, line=style, **more))
    if len(order) > each:
        others = f"{answer.asked.letter} · " if among else ""
        data.append(figures.faint(f"{others}{len(order) - each} others", x, list(rows[order[each:]]), **axis))
    return data


def _style(query: int, place: int) -> dict[str, str]:
    """A query's colour; its further series in paler shades, then dashed."""
    shade, dash = SHADES[place % len(SHADES)], DASHES[place // len(SHADES) % len(DASHES)]
    return {"color": f"{series_colour(query)}{shade}", "dash": dash}


def _colour(labels: Labels, place: int, colours: Mapping[str, int]) -> str:
    """A model has the same colour on every page; other series take theirs by their place."""
    model = labels.get("model", "")
    return series_colour(colours.get(model, place))


def series_names(result: Result, text: str) -> list[str]:
    """What tells the series apart: the values of the labels that differ; of one series
    its labels or, without any, the query."""
    labels = result.labels
    keys = sorted({name for one in labels for name in one})
    telling = [key for key in keys if len({one.get(key, "") for one in labels}) > 1]
    if len(labels) == 1:
        telling = [key for key in keys if key != METRIC_NAME] or keys
    return [" · ".join(one[key] for key in telling if one.get(key)) or _short(text) for one in labels]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}…"
