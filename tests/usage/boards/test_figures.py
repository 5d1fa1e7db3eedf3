"""Figures of panels, compared whole, over a small source in memory."""

import numpy as np
import pytest

from core.ui.time_range import MINUTE, TimeRange
from promql import MemorySource
from usage.boards.declarations import BOARDS, Panel, Query, expand
from usage.boards.figures import Figure, draw, table
from usage.boards.panels import evaluate

START = 1_795_219_200_000
RANGE = TimeRange(START, START + 2 * MINUTE)
TIMES = list(range(START - 10 * MINUTE, START + 2 * MINUTE + 1, 15_000))
STEPS = [START + 15_000 * step for step in range(9)]


def source(**rates: float) -> MemorySource:
    """Counters tokens{model} that grow by so much every 15 s."""
    found = MemorySource()
    for model, rate in rates.items():
        found.add({"__name__": "tokens", "model": model}, TIMES, [rate * place for place in range(len(TIMES))])
    return found


def panel(chart: str, **given: object) -> Panel:
    query = Query("sum by (model) (rate(tokens[1m]))", "{{model}}")
    fields = {"id": "p", "title": "T", "unit": "tokens/s", "queries": (query,), "colour_by": "model", **given}
    return Panel(chart=chart, **fields)  # type: ignore[arg-type]


def figure(drawn: Panel, of: MemorySource, colours: dict[str, int] | None = None) -> Figure:
    return draw(drawn, evaluate(drawn, of, RANGE), RANGE, colours or {})


def test_lines_are_drawn_whole_with_their_threshold() -> None:
    drawn = panel("line", threshold=3.0, threshold_label="alert 3")
    assert figure(drawn, source(small=15, large=60), {"small": 0, "large": 11}) == {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": STEPS,
                "y": [value] * 9,
                "hovertemplate": "%{y:,.4~r}",
                "meta": {"labels": {"model": name}, "step": 15_000},
                "line": {"color": colour, "width": 1.5},
            }
            for name, value, colour in (("small", 1.0, "--series-0"), ("large", 4.0, "--series-1"))
        ],
        "layout": {
            "xaxis": {"type": "date", "range": [START, START + 2 * MINUTE]},
            "yaxis": {},
            "shapes": [
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "yref": "y",
                    "y0": 3.0,
                    "y1": 3.0,
                    "line": {"color": "--critical", "dash": "4px,3px", "width": 1},
                }
            ],
            "annotations": [
                {
                    "xref": "paper",
                    "x": 1,
                    "xanchor": "right",
                    "yref": "y",
                    "y": 3.0,
                    "yanchor": "bottom",
                    "showarrow": False,
                    "text": "alert 3",
                    "font": {"color": "--critical-text", "size": 10},
                    "bgcolor": "--panel/.8",
                }
            ],
        },
        "empty": "Nothing was recorded in this range.",
    }


def test_areas_are_stacked_with_the_largest_first() -> None:
    drawn = figure(panel("area"), source(small=15, large=60), {"small": 0, "large": 1})
    assert [(trace["name"], trace["stackgroup"], trace["fillcolor"]) for trace in drawn["data"]] == [
        ("large", "all", "--series-1/.85"),
        ("small", "all", "--series-0/.85"),
    ]


def test_bars_stand_over_the_time_that_they_count() -> None:
    (trace,) = figure(panel("bars"), source(only=15), {"only": 0})["data"]
    assert trace["type"] == "bar"
    assert trace["x"][0] == START - 7500


def test_gaps_stay_gaps_and_a_lonely_point_gets_a_dot() -> None:
    drawn = panel("line", queries=(Query("gauge", "{{model}}"),))
    of = MemorySource()
    stale = float(np.array([0x7FF0000000000002], dtype=np.uint64).view(np.float64)[0])
    of.add({"__name__": "gauge", "model": "m"}, STEPS, [1, 2, stale, stale, 5, stale, stale, 7, 8])
    (trace,) = figure(drawn, of)["data"]
    assert trace["y"] == [1.0, 2.0, None, None, 5.0, None, None, 7.0, 8.0]
    assert trace["marker"]["size"] == [0, 0, 0, 0, 4, 0, 0, 0, 0]


def test_more_than_eight_series_become_others() -> None:
    many = source(**{f"m{place}": 15.0 * (place + 1) for place in range(11)})
    areas = figure(panel("area"), many)["data"]
    assert [trace["name"] for trace in areas] == [*(f"m{place}" for place in range(10, 2, -1)), "3 others"]
    assert areas[-1]["y"][0] == pytest.approx(1 + 2 + 3)
    lines = figure(panel("line"), many)["data"]
    assert lines[-1]["name"] == "3 others"
    assert lines[-1]["y"].count(None) == 3


def test_names_that_occur_twice_are_made_distinct() -> None:
    of = MemorySource()
    for provider in ("azure", "openai"):
        of.add({"__name__": "g", "provider": provider, "model": "gpt"}, STEPS, [1.0] * 9)
    drawn = panel("line", queries=(Query("sum by (provider, model) (g)", "{{model}}"),))
    assert sorted(trace["name"] for trace in figure(drawn, of)["data"]) == ["azure · gpt", "openai · gpt"]


def test_heat_map_has_a_row_per_bucket_and_lines_above() -> None:
    of = MemorySource()
    for le, rate in (("0.1", 1), ("0.5", 3), ("+Inf", 3)):
        labels = {"__name__": "llm_provider_request_seconds_bucket", "le": le}
        of.add(labels, TIMES, [rate * place for place in range(len(TIMES))])
    heat = BOARDS["overview"].panel("latency")
    assert heat is not None
    drawn = figure(heat, of)
    assert [trace.get("name") for trace in drawn["data"]] == [None, "p50", "p95", "p99"]
    assert drawn["data"][0]["y"] == [0.05, 0.1, 0.5, 1.0]
    assert [row[0] for row in drawn["data"][0]["z"]] == [0.5, 1.0, None]
    assert drawn["layout"]["yaxis"]["range"] == pytest.approx([np.log10(0.05), np.log10(0.5)], abs=1e-3)


def test_matrix_has_a_cell_per_server_and_tool() -> None:
    of = MemorySource()
    for server, tool, seconds in (("web", "fetch", 2.0), ("web", "search", 0.25), ("db", "sql", 0.5)):
        of.add({"__name__": "g", "server_id": server, "tool_name": tool}, STEPS, [seconds] * 9)
    drawn = figure(panel("matrix", queries=(Query("g", "{{server_id}}\t{{tool_name}}"),)), of)["data"][0]
    assert (drawn["x"], drawn["y"]) == (["fetch", "search", "sql"], ["db", "web"])
    assert drawn["text"] == [["", "", "500\u00a0ms"], ["2\u00a0s", "250\u00a0ms", ""]]


def test_nothing_recorded_is_said_in_the_panels_words() -> None:
    failures = BOARDS["overview"].panel("failures")
    assert failures is not None
    drawn = figure(failures, MemorySource())
    assert (drawn["data"], drawn["empty"]) == ([], "No call failed in this range.")


def test_csv_has_a_column_per_series() -> None:
    drawn = panel("line")
    header, rows = table(drawn, evaluate(drawn, source(a=15, b=30), RANGE))
    assert header == ["time", "a", "b"]
    assert rows[0] == ["2026-11-21T00:00:00Z", "1", "2"]
    assert len(rows) == 9


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.id)
def test_every_panel_of_every_board_can_be_evaluated(board: object) -> None:
    for one in board.panels:  # type: ignore[attr-defined]
        assert figure(one, MemorySource())["data"] == []


def test_coverage_of_a_model_without_failures_is_full() -> None:
    of = MemorySource()
    name = "compozy_llm_usage_events_total"
    of.add({"__name__": name, "model": "m", "outcome": "success"}, TIMES, [3.0 * place for place in range(len(TIMES))])
    coverage = BOARDS["overview"].panel("coverage")
    assert coverage is not None
    (trace,) = figure(coverage, of, {"m": 0})["data"]
    assert trace["y"] == [100.0] * 9


def test_placeholders_are_filled_in() -> None:
    assert expand("rate(a[$__rate_interval]) + b[$__range]", "5m", "1d") == "rate(a[5m]) + b[1d]"


def test_the_last_point_is_at_the_very_end_of_the_range() -> None:
    drawn = panel("line")
    ragged = TimeRange(START + 1000, START + 2 * MINUTE - 2000)
    (result,) = evaluate(drawn, source(a=15), ragged)
    assert result.times.tolist() == [*STEPS[1:8], START + 2 * MINUTE - 2000]
    assert result.present.all()


def test_the_bar_under_way_has_what_happened_so_far() -> None:
    of = MemorySource()
    half = [START + place * 15_000 for place in range(5)]
    of.add({"__name__": "calls_total", "model": "a"}, half, [0, 0, 0, 0, 30])
    drawn = panel("bars", queries=(Query("increase(calls_total[1m])", "{{model}}"),))
    whole, ragged = TimeRange(START, START + MINUTE), TimeRange(START, START + MINUTE - 5000)
    (result,) = evaluate(drawn, of, whole)
    (under_way,) = evaluate(drawn, of, ragged)
    assert under_way.times.tolist() == result.times.tolist()
    assert under_way.values[0, -1] == pytest.approx(result.values[0, -1])
    assert result.values[0, -1] > 0


def test_a_series_that_is_only_at_the_end_is_there() -> None:
    of = MemorySource()
    of.add({"__name__": "g", "model": "late"}, [START + 2 * MINUTE - 4000], [7.0])
    drawn = panel("line", queries=(Query("g", "{{model}}"),))
    (result,) = evaluate(drawn, of, TimeRange(START, START + 2 * MINUTE - 2000))
    assert result.values[:, -1].tolist() == [7.0]
    assert result.present.tolist() == [[False] * 8 + [True]]
