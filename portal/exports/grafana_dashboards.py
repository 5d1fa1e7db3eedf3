"""cluster/grafana/dashboards/*.json and provisioning/: the boards of
`portal.exports.grafana_boards`, built with Grafana's own SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from alerts.exchange.grafana import DATASOURCE_UID, FOLDER
from alerts.exchange.yaml_text import dump
from core.charts.units import UNITS
from portal.exports.grafana_boards import GrafanaBoard, PanelRow
from portal.exports.prometheus_files import MADE, PROMETHEUS_ADDRESS, SCRAPE_SECONDS, duration
from usage.boards.declarations import Panel, Query

# The dashboards ask the data source that the variable at their top names, so that they can be imported anywhere.
DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHT = 8
FULL = 24
# A dashboard has 24 columns where a page of the portal has 12.
WIDEN = 2
GREEN, AMBER, RED, PLAIN = "green", "orange", "red", "text"

Builder = timeseries.Panel | heatmap.Panel | stat.Panel | table.Panel


def dashboard_file(board: GrafanaBoard) -> str:
    """A dashboard as Grafana imports and provisions it."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["llm-usage"])
        .timezone("browser")
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .annotations([])
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    y = 0
    for row in board.rows:
        builder = builder.with_row(dashboard.Row(row.title).grid_pos(model.GridPos(h=1, w=FULL, x=0, y=y)))
        x, y = 0, y + 1
        for panel, width in _panels(row):
            if x + width > FULL:
                x, y = 0, y + HEIGHT
            builder = builder.with_panel(panel.grid_pos(model.GridPos(h=HEIGHT, w=width, x=x, y=y)))
            x += width
        y += HEIGHT
    built = builder.build()
    for number, placed in enumerate(built.panels or [], 1):
        placed.id_val = number
    return JSONEncoder(sort_keys=True, indent=2).encode(built) + "\n"


def _panels(row: PanelRow) -> Iterator[tuple[Builder, int]]:
    """A row's panels with their widths."""
    for panel in row.stats:
        yield _stat(panel), panel.columns * WIDEN
    for panel in row.panels:
        yield _DRAWN[panel.chart](panel), panel.columns * WIDEN
        if panel.chart == "heat" and len(panel.queries) > 1:
            # A heat map of Grafana's takes one query: the lines above it stand beside it.
            lines = replace(panel, title=f"{panel.title}: quantiles", queries=panel.queries[1:])
            yield _lines(lines), panel.columns * WIDEN


def _dressed(builder: Any, panel: Panel) -> Any:
    """Title, place, unit and queries: what all sorts of panels have alike."""
    builder = (
        builder.title(panel.title)
        .description(panel.description)
        .datasource(DATASOURCE)
        .unit(UNITS[panel.unit].grafana)
        .no_value("nothing recorded")
    )
    for number, query in enumerate(panel.queries):
        builder = builder.with_target(_target(query, "ABCDEFGH"[number]))
    return builder


def _target(query: Query, ref: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .expr(query.expr)
        .legend_format(query.legend or "__auto")
        .ref_id(ref)
        .datasource(DATASOURCE)
    )


def _scaled(builder: Any, panel: Panel) -> Any:
    """The axis, and the threshold with its two sides."""
    builder = builder.min(0)
    if panel.share:
        builder = builder.max(100)
    if panel.threshold is None:
        return builder
    low, high = (RED, GREEN) if panel.share else (GREEN, RED)
    steps = [model.Threshold(None, low), model.Threshold(panel.threshold, high)]
    return builder.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))


def _lines(panel: Panel) -> timeseries.Panel:
    """Lines, stacked areas or stacked bars."""
    builder = _scaled(_dressed(timeseries.Panel(), panel), panel)
    builder = builder.legend(
        common.VizLegendOptions()
        .display_mode(common_model.LegendDisplayMode.LIST)
        .placement(common_model.LegendPlacement.BOTTOM)
        .show_legend(True)
    ).tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI))
    if panel.chart in ("area", "bars"):
        builder = builder.fill_opacity(40).stacking(
            common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A")
        )
    if panel.chart == "bars":
        builder = builder.draw_style(common_model.GraphDrawStyle.BARS).fill_opacity(80)
    if panel.threshold is not None:
        style = common.GraphThresholdsStyleConfig().mode(common_model.GraphTresholdsStyleMode.DASHED)
        builder = builder.thresholds_style(style)
    drawn: timeseries.Panel = builder
    return drawn


def _heat(panel: Panel) -> heatmap.Panel:
    """A histogram's buckets over time."""
    builder = _dressed(heatmap.Panel(), replace(panel, queries=()))
    [query, *_] = panel.queries
    target = _target(replace(query, legend="{{le}}"), "A").format(PromQueryFormat.HEATMAP)
    drawn: heatmap.Panel = (
        builder.with_target(target)
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(32))
        .y_axis(heatmap.YAxisConfig().unit(UNITS[panel.unit].grafana))
        .cell_values(heatmap.CellValues().unit("short"))
        .show_tooltip()
    )
    return drawn


def _stat(panel: Panel) -> stat.Panel:
    """The last value of each series, with its trend."""
    drawn: stat.Panel = (
        _scaled(_dressed(stat.Panel(), panel), panel)
        .graph_mode(common_model.BigValueGraphMode.AREA)
        .color_mode(
            common_model.BigValueColorMode.NONE if panel.threshold is None else common_model.BigValueColorMode.VALUE
        )
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return drawn


def _matrix(panel: Panel) -> table.Panel:
    """A cell for each pair of two labels, which the legend names, coloured by its value over the whole range."""
    row, column = (name.strip("{}") for name in panel.queries[0].legend.split("\t"))
    builder = _dressed(table.Panel(), replace(panel, queries=()))
    target = _target(panel.queries[0], "A").instant().format(PromQueryFormat.TABLE)
    steps = [model.Threshold(None, GREEN), model.Threshold(1, AMBER), model.Threshold(10, RED)]
    drawn: table.Panel = (
        builder.with_target(target)
        .with_transformation(
            model.DataTransformerConfig(
                id_val="groupingToMatrix",
                options={"columnField": column, "rowField": row, "valueField": "Value", "emptyValue": "null"},
            )
        )
        .thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
        .override_by_field_type(
            "number", [model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background"})]
        )
    )
    return drawn


_DRAWN: Mapping[str, Callable[[Panel], Builder]] = {
    "line": _lines,
    "area": _lines,
    "bars": _lines,
    "heat": _heat,
    "matrix": _matrix,
}


def datasource_file() -> str:
    """provisioning/datasources/prometheus.yaml: the Prometheus that scrapes the portal."""
    source = {
        "name": "LLM usage",
        "uid": DATASOURCE_UID,
        "type": "prometheus",
        "access": "proxy",
        "url": f"http://{PROMETHEUS_ADDRESS}",
        "jsonData": {"httpMethod": "POST", "timeInterval": duration(SCRAPE_SECONDS)},
    }
    return MADE + dump({"apiVersion": 1, "datasources": [source]})


def provider_file() -> str:
    """provisioning/dashboards/llm-usage.yaml: where Grafana finds the dashboards."""
    provider = {
        "name": "llm-usage",
        "folder": FOLDER,
        "type": "file",
        "options": {"path": "/var/lib/grafana/dashboards/llm-usage"},
    }
    return MADE + dump({"apiVersion": 1, "providers": [provider]})
