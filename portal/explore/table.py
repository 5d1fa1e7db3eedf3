"""The values of a query at one time as a table: a column per label, sorted as the reader wishes; and the same as
CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.http import HttpResponse

from core.ui.csv_file import CsvFile
from portal.explore.query_results import QueryResult
from portal.explore.units import shown, value_text
from promql.labels import METRIC_NAME
from promql.text_forms import format_value

MAX_ROWS = 250
VALUE = "value"


@dataclass(frozen=True)
class TableRow:
    """One series: its labels' values in the columns' order, its value as text and exact."""

    cells: list[str]
    number: float
    description: str
    exact: str


@dataclass(frozen=True)
class Column:
    """A label's column: how it is sorted now, and the `sort` of the URL that a click on it asks for."""

    name: str
    label: str
    sorted: str
    sort: str


@dataclass(frozen=True)
class Table:
    """An answer as a table. `text` stands in place of rows where the answer is a string."""

    answer: QueryResult
    columns: list[Column]
    rows: list[TableRow]
    count: int
    text: str = ""

    @property
    def unit(self) -> str:
        """For the heading of the value."""
        return shown(self.answer.unit)

    @property
    def hidden(self) -> int:
        """Rows beyond those that are shown."""
        return self.count - len(self.rows)


def table(answer: QueryResult, sort: str) -> Table:
    """The table of an answer; `sort` is a column's name, after "-" the other way round; the query's own order where it
    is empty."""
    result = answer.result
    if result is None or result.string is not None:
        return Table(answer, [], [], 0, (result.string or "") if result else "")
    names = sorted({name for labels in result.labels for name in labels}, key=lambda name: (name != METRIC_NAME, name))
    rows = [
        _row(answer, [labels.get(name, "") for name in names], values[present])
        for labels, values, present in zip(result.labels, result.values, result.present, strict=True)
        if present.any()
    ]
    key, down = sort.removeprefix("-"), sort.startswith("-")
    if key == VALUE:
        rows.sort(key=lambda row: (not np.isnan(row.number), row.number), reverse=down)
    elif key in names:
        rows.sort(key=lambda row: row.cells[names.index(key)], reverse=down)
    columns = [_column(name, key, down) for name in [*names, VALUE]]
    return Table(answer, columns, rows[:MAX_ROWS], len(rows))


def _row(answer: QueryResult, cells: list[str], values: np.ndarray) -> TableRow:
    """A range of samples is said by its last one and their number."""
    last = float(values[-1])
    description = value_text(last, answer.unit)
    if answer.query is not None and answer.query.type == "matrix":
        description = f"{len(values):,} samples, the last {description}"
    return TableRow(cells, last, description, format_value(last))


def _column(name: str, key: str, down: bool) -> Column:
    is_sorted = name == key
    up_first = name != VALUE
    other_way = (not down) if is_sorted else not up_first
    label = "metric" if name == METRIC_NAME else name
    return Column(
        name, label, ("descending" if down else "ascending") if is_sorted else "", f"{'-' if other_way else ''}{name}"
    )


def write_table(answers: Sequence[QueryResult]) -> HttpResponse:
    """CSV of values at one time: the query's letter, every label, the value."""
    names = sorted({name for one in answers if one.result for labels in one.result.labels for name in labels})
    file = CsvFile("explore-table.csv")
    file.add(["query", *names, VALUE])
    for answer in answers:
        if answer.result is None:
            continue
        for labels, values, present in zip(
            answer.result.labels, answer.result.values, answer.result.present, strict=True
        ):
            for value in values[present].tolist()[-1:]:
                file.add([answer.asked.letter, *(labels.get(name, "") for name in names), format_value(value)])
    return file.response


def write_graph(answers: Sequence[QueryResult]) -> HttpResponse:
    """CSV of values over a range: a row per series and time (ISO 8601, UTC)."""
    names = sorted({name for one in answers if one.result for labels in one.result.labels for name in labels})
    file = CsvFile("explore-graph.csv")
    file.add(["time", "query", *names, VALUE])
    for answer in answers:
        result = answer.result
        if result is None:
            continue
        times = np.datetime_as_string(result.times.astype("datetime64[ms]"), unit="s").tolist()
        for labels, values, present in zip(result.labels, result.values, result.present, strict=True):
            cells = [answer.asked.letter, *(labels.get(name, "") for name in names)]
            for place in np.flatnonzero(present):
                file.add([f"{times[place]}Z", *cells, format_value(float(values[place]))])
    return file.response
