"""What a Prometheus-compatible server answers, as results of `promql`."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec
import numpy as np

from promql import EvalError, Labels, LimitError, Limits, ParseError, Result, UnavailableError, UnsupportedError
from promql.values import Bools, Floats, Ints

UNREADABLE = "the Prometheus server answered what is no answer of its API"


class Envelope(msgspec.Struct):
    """What every answer is wrapped in."""

    status: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    errorType: str = ""
    error: str = ""
    warnings: list[str] = []
    infos: list[str] = []


class Data(msgspec.Struct):
    """`data` of a query: the form of `result` depends on its type."""

    resultType: str
    result: msgspec.Raw


class RemoteSeries(msgspec.Struct):
    """A series: `value` in a vector, `values` in a matrix; times in Unix seconds, values as text."""

    metric: Labels
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] = []
    histogram: Any = None
    histograms: Any = None


def opened(body: bytes) -> Envelope | None:
    """The envelope; None where the body is none."""
    try:
        return msgspec.json.decode(body, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def refused(envelope: Envelope) -> NoReturn:
    """Raise the promql error that the server's error stands for."""
    text = f"the Prometheus server answers: {envelope.error}"
    if envelope.errorType in ("timeout", "canceled"):
        raise LimitError("timeout_seconds", text)
    if envelope.errorType == "bad_data":
        raise ParseError(text)
    raise EvalError(text)


def series_of(envelope: Envelope) -> list[Labels]:
    """The label sets of an answer of /series. Raises UnavailableError."""
    try:
        return msgspec.json.decode(envelope.data, type=list[Labels])
    except msgspec.DecodeError as error:
        raise UnavailableError(f"{UNREADABLE}: {error}") from None


def instant_result(envelope: Envelope, at_ms: int, limits: Limits) -> Result:
    """The answer of /query: a vector, scalar or string at `at_ms`, or the raw samples of a range selector. Raises
    PromQLError."""
    at = np.array([at_ms], dtype=np.int64)
    try:
        data = msgspec.json.decode(envelope.data, type=Data)
        if data.resultType in ("scalar", "string"):
            _, text = msgspec.json.decode(data.result, type=tuple[float, str])
            if data.resultType == "string":
                return finished(Result("string", [], at, *empty(0, 1), string=text), envelope)
            one = np.array([[float(text)]])
            return finished(Result("scalar", [{}], at, one, np.ones((1, 1), dtype=bool)), envelope)
        rows = rows_of(data, limits)
        if data.resultType == "matrix":
            stamps = [milliseconds(row) for row in rows]
            grid = np.unique(np.concatenate(stamps)) if stamps else np.zeros(0, dtype=np.int64)
            return finished(matrix(rows, grid, stamps), envelope)
        values = np.array([[float(row.value[1])] for row in rows if row.value is not None]).reshape(len(rows), 1)
    except (msgspec.DecodeError, ValueError) as error:
        raise UnavailableError(f"{UNREADABLE}: {error}") from None
    return finished(
        Result("vector", [row.metric for row in rows], at, values, np.ones(values.shape, dtype=bool)), envelope
    )


def range_result(envelope: Envelope, times: Ints, limits: Limits) -> Result:
    """The answer of /query_range on the times (ms) that were asked for. Raises PromQLError."""
    try:
        rows = rows_of(msgspec.json.decode(envelope.data, type=Data), limits)
        return finished(matrix(rows, times, [milliseconds(row) for row in rows]), envelope)
    except (msgspec.DecodeError, ValueError) as error:
        raise UnavailableError(f"{UNREADABLE}: {error}") from None


def rows_of(data: Data, limits: Limits) -> list[RemoteSeries]:
    """The series of a vector or matrix. Raises LimitError, UnsupportedError."""
    rows = msgspec.json.decode(data.result, type=list[RemoteSeries])
    if any(row.histogram is not None or row.histograms is not None for row in rows):
        raise UnsupportedError("the answer has native histograms, which are not supported")
    if len(rows) > limits.max_series:
        raise LimitError("max_series", f"the answer has {len(rows)} series, more than {limits.max_series}")
    return rows


def matrix(rows: list[RemoteSeries], times: Ints, stamps: list[Ints]) -> Result:
    """The series on a grid of times; ValueError where a sample lies beside it."""
    values, present = empty(len(rows), len(times))
    for number, (row, own) in enumerate(zip(rows, stamps, strict=True)):
        columns = np.searchsorted(times, own)
        if not np.array_equal(times[np.minimum(columns, len(times) - 1)], own):
            raise ValueError("samples at times that were not asked for")
        values[number, columns] = [float(text) for _, text in row.values]
        present[number, columns] = True
    return Result("matrix", [row.metric for row in rows], times, values, present)


def milliseconds(row: RemoteSeries) -> Ints:
    """The times of a series' samples."""
    return np.array([round(at * 1000) for at, _ in row.values], dtype=np.int64)


def empty(rows: int, columns: int) -> tuple[Floats, Bools]:
    """Values and presence, nothing present."""
    return np.zeros((rows, columns)), np.zeros((rows, columns), dtype=bool)


def finished(result: Result, envelope: Envelope) -> Result:
    """The result with the server's annotations."""
    result.warnings, result.infos = envelope.warnings, envelope.infos
    return result
