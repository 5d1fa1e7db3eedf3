"""Traces as plotly.js takes them, compared whole."""

import json

import numpy as np

from core.charts import figures

X = [0, 15_000, 30_000, 45_000]
NAN = float("nan")


def test_a_gap_is_null_and_a_lonely_point_gets_a_dot() -> None:
    drawn = figures.line("a", "--series-0", X, np.array([1.23456789, NAN, NAN, 2.0]), "%{y}")
    assert drawn == {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "a",
        "x": X,
        "y": [1.23457, None, None, 2.0],
        "hovertemplate": "%{y}",
        "line": {"color": "--series-0", "width": 1.5},
        "marker": {"size": [4, 0, 0, 4], "color": "--series-0"},
    }
    json.dumps(drawn, allow_nan=False)


def test_a_line_of_neighbours_has_no_dots() -> None:
    drawn = figures.line("a", "--series-0", X, np.array([1.0, 2.0, NAN, NAN]), "%{y}", yaxis="y2")
    assert (drawn["mode"], "marker" in drawn, drawn["yaxis"]) == ("lines", False, "y2")


def test_faint_lines_are_one_trace_parted_by_gaps() -> None:
    drawn = figures.faint("2 others", X[:2], [np.array([1.0, 2.0]), np.array([3.0, NAN])])
    assert drawn["x"] == [0, 15_000, 15_000, 0, 15_000, 15_000]
    assert drawn["y"] == [1.0, 2.0, None, 3.0, None, None]


def test_series_share_ten_colours() -> None:
    assert [figures.series_colour(place) for place in (0, 9, 10)] == ["--series-0", "--series-9", "--series-0"]


def test_the_heat_scale_goes_from_pale_to_strong() -> None:
    assert figures.heat_scale(0.35) == [[0, "--heat-0"], [0.35, "--heat-1"], [1, "--heat-2"]]


def test_a_figure_is_data_layout_and_what_stands_where_there_is_none() -> None:
    assert figures.figure([], figures.time_axis(1, 2), "No call.", unit="ms") == {
        "data": [],
        "layout": {"xaxis": {"type": "date", "range": [1, 2]}},
        "empty": "No call.",
        "unit": "ms",
    }
