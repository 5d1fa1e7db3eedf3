"""Reads tests/promql/cases/*.test: series to load, queries, and what they must answer.

    load 15s                                   samples of the lines below, 15 s apart from 0
      http_total{job="a"} 0+5x10 _ stale 7     start + step x times, gap, stale mark, number (NaN, Inf)
    clear                                      forget all that was loaded
    eval instant at 5m EXPR
      {job="a"} 25                             series and value, in any order; a scalar is a number alone
    eval range from 0 to 2m step 1m EXPR
      {job="a"} 0 _ 40                         a value per step, _ for none
      expect fail msg: text                    the error contains this text
      expect ordered | expect warn TEXT | expect info TEXT | expect string "text"

An eval without lines below answers nothing. A case line that goes on ends in a backslash.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import promql

_SERIES = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)?(?:\{(?P<labels>.*)\})?(?:\s+(?P<values>.*))?$")
_LABEL = re.compile(r'(?P<name>[\w.]+|"[^"]+")\s*=\s*"(?P<value>(?:[^"\\]|\\.)*)"')
_INSTANT = re.compile(r"^eval instant at (?P<at>\S+)\s+(?P<expr>.+)$")
_RANGE = re.compile(r"^eval range from (?P<start>\S+) to (?P<end>\S+) step (?P<step>\S+)\s+(?P<expr>.+)$")
_NUMBER = r"[+-]?(?:[0-9.]+(?:e[+-]?\d+)?|Inf|NaN)"
_PROGRESSION = re.compile(rf"^(?P<start>{_NUMBER})(?:(?P<step>[+-][0-9.]+(?:e[+-]?\d+)?))?x(?P<times>\d+)$", re.I)
_GAP = re.compile(r"^_(?:x(?P<times>\d+))?$")


@dataclass
class Case:
    """One eval with the samples that were loaded before it."""

    place: str
    source: promql.MemorySource
    expr: str
    start_ms: int
    end_ms: int
    step_ms: int
    expected: list[str] = field(default_factory=list)


def read_cases(path: Path) -> Iterator[Case]:
    source = promql.MemorySource()
    load_step = 0
    case: Case | None = None
    for number, line in _lines(path):
        if line.startswith("  "):
            if case is not None:
                case.expected.append(line.strip())
            else:
                _load(source, load_step, line.strip())
            continue
        if case is not None:
            yield case
            case = None
        if line == "clear":
            source = promql.MemorySource()
        elif line.startswith("load "):
            load_step = milliseconds(line.removeprefix("load "))
        else:
            case = _case(f"{path.stem}:{number}", source, line)
    if case is not None:
        yield case


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    pending = ""
    for number, raw in enumerate(path.read_text().splitlines(), start=1):
        line = pending + (raw.strip() if pending else raw.rstrip())
        if line.endswith("\\"):
            pending = line[:-1]
            continue
        pending = ""
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def milliseconds(text: str) -> int:
    if re.fullmatch(r"0[smh]", text):
        return 0
    if re.fullmatch(r"-?[0-9.]+", text):
        return round(float(text) * 1000)
    return promql.parse_duration(text)


def _case(place: str, source: promql.MemorySource, line: str) -> Case:
    if match := _INSTANT.match(line):
        at = milliseconds(match["at"])
        return Case(place, source, match["expr"], at, at, 0)
    if match := _RANGE.match(line):
        start, end, step = (milliseconds(match[name]) for name in ("start", "end", "step"))
        return Case(place, source, match["expr"], start, end, step)
    raise ValueError(f"{place}: cannot read {line!r}")


def _load(source: promql.MemorySource, step_ms: int, line: str) -> None:
    labels, values = read_series(line)
    samples = [(index * step_ms, value) for index, value in enumerate(read_values(values)) if value is not None]
    source.add(labels, [time for time, _ in samples], np.array([value for _, value in samples]))


def read_series(line: str) -> tuple[dict[str, str], str]:
    match = _SERIES.match(line)
    if match is None:
        raise ValueError(f"cannot read the series {line!r}")
    labels = {label["name"].strip('"'): _unescape(label["value"]) for label in _LABEL.finditer(match["labels"] or "")}
    if match["name"]:
        labels["__name__"] = match["name"]
    return labels, match["values"] or ""


def _unescape(text: str) -> str:
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def read_values(text: str) -> list[float | None]:
    values: list[float | None] = []
    for word in text.split():
        if gap := _GAP.match(word):
            values += [None] * int(gap["times"] or 1)
        elif word == "stale":
            values.append(promql.STALE_NAN)
        elif progression := _PROGRESSION.match(word):
            start, step = float(progression["start"]), float(progression["step"] or 0)
            values += [start + step * index for index in range(int(progression["times"]) + 1)]
        else:
            values.append(float(word))
    return values
