"""Building the figure of a panel: eight lines of 300 points and a threshold, beside the same by plotly's
graph_objects."""

from __future__ import annotations

import json

import numpy as np
from plotly import graph_objects

from bench.row import median_seconds, row
from core.charts import overlays
from core.charts.figures import Figure, figure, line, time_axis

START, STEP, POINTS, LINES = 1_795_219_200_000, 15_000, 300, 8


def ours(x: list[int], rows: list[np.ndarray]) -> Figure:
    """As a board builds it."""
    data = [line(f"m{place}", f"--series-{place}", x, row, "%{y}") for place, row in enumerate(rows)]
    return figure(data, time_axis(x[0], x[-1]) | overlays.threshold(0.5, "alert 0.5"), "")


def main() -> None:
    """Measure and print the line."""
    x = list(range(START, START + STEP * POINTS, STEP))
    rows = list(np.random.default_rng(1).random((LINES, POINTS)))
    plain = ours(x, rows)
    traces = [{**one, "line": {"width": 1.5}} for one in plain["data"]]
    axis = {"xaxis": plain["layout"]["xaxis"]}

    def by_objects() -> None:
        [graph_objects.Scatter(one).to_plotly_json() for one in traces]
        graph_objects.Layout(axis).to_plotly_json()

    mine, theirs = median_seconds(lambda: ours(x, rows), by_objects, times=30)
    print(
        json.dumps([row("figure of a panel / graph_objects alone", mine, theirs, "s", "<= 1", "8 lines, 300 points")])
    )


if __name__ == "__main__":
    main()
